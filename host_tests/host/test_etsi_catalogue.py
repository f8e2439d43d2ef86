"""Every step of the ETSI catalogue is a test, or stands in ETSI.md with the reason why not."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The names of all steps of the catalogue, CoAP4: 59 of them.
STEPS = HERE.parent / "support" / "vectors" / "etsi-coap4-steps.txt"


def run_steps():
    """The steps that tests are named after."""
    found = set()
    for file in HERE.glob("test_etsi_*.py"):
        for node in ast.parse(file.read_text()).body:
            step = re.match(r"test_(td_coap_[a-z]+_\d\d)_", getattr(node, "name", ""))
            if step:
                found.add(step[1].upper())
    return found


def not_run():
    """step -> reason, of ETSI.md."""
    text = (HERE / "ETSI.md").read_text().split("## Steps that do not apply")[1]
    return dict(re.findall(r"^\| (TD_COAP_\w+) \| (.+) \|$", text, re.MULTILINE))


def test_a_step_is_run_or_has_a_reason_and_never_both():
    reasons = not_run()
    assert len(run_steps()) > 30 and len(reasons) > 10
    assert not run_steps() & set(reasons)
    assert all(reason.endswith(".") and len(reason) > 20 for reason in reasons.values())


def test_no_step_of_the_catalogue_is_forgotten_and_none_is_invented():
    steps = STEPS.read_text().split()
    assert len(steps) == len(set(steps)) == 59
    assert run_steps() | set(not_run()) == set(steps)
