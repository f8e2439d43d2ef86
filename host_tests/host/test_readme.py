"""The commands of the README and of two transcripts, typed as they stand, against a virtual board.

Only names are other ones, so that runs side by side do not meet: the addresses 127.0.0.x, the
port /tmp/board, the examples (copied for that, the UE asks at once) and the database.
"""

import json
import re

import pytest
from addresses import network
from person_shell import Shell, blocks, commands, end_of_what_names, shown

from msgin5g_tools.device import bundle
from msgin5g_tools.device.settings_check import checked_settings
from msgin5g_tools.paths import ROOT

_OTHERS = {"make demo", "make test"}  # test_demo; and this is a part of the other
_FAILS = {"/dev/ttyACM9": 3}


@pytest.fixture
def shell(tmp_path):
    """A Shell whose commands name things of their own; what they started ends with it."""
    prefix = network()
    for file in (ROOT / "examples").glob("*.json"):
        settings = json.loads(file.read_text().replace("127.0.0.", prefix))
        settings.update({"start_delay_s": 0} if file.name == "ue.json" else {})
        (tmp_path / file.name).write_text(json.dumps(settings))
    names = {
        "127.0.0.": prefix,
        "/tmp/board": str(tmp_path / "board"),
        "examples/": f"{tmp_path}/",
        "scm.db": str(tmp_path / "scm.db"),
        "crowd.svg": str(tmp_path / "crowd.svg"),
    }
    person = Shell(names)
    yield person
    person.close()
    end_of_what_names(tmp_path)


def test_from_an_empty_board_to_configured_as_the_readme_says(shell):
    run = set()
    all_blocks = [block for block in blocks() if set(commands(block)) - _OTHERS]
    first = all_blocks[0]
    assert 5 < len(commands(first)) == len(first) <= 10
    following = blocks()[blocks().index(first) + 1 :]
    n_lines = 0
    for block in all_blocks[:2]:
        for command in commands(block):
            screen = shell.does(command)
            run.add(command)
            if block is first and "flash" in command:
                assert re.search(r"\d+ files copied, configured after \d\.\d s\n", screen), screen
                list(_transcribed(shell, transcript("docs/operation.md")))
            elif "doctor" in command:
                assert "warn" not in screen and "fail" not in screen, screen
        if block is first:
            for output in following[: following.index(all_blocks[1])]:
                for line in output:
                    assert shown(shell.here(line)).search(shell.seen), line
                    n_lines += 1
    assert n_lines > 3
    assert " info applied configuration={" in shell.seen
    assert "11 Uri-Path        su-uc" in shell.seen
    everything = {command for block in blocks() for command in commands(block)}
    assert everything - run == _OTHERS


def test_the_simulation_of_the_page_on_gateways(shell, tmp_path):
    block = transcript("docs/gateway.md")
    shell.does(". .venv/bin/activate")
    assert list(_transcribed(shell, block)) == commands(block)
    assert (tmp_path / "crowd.svg").exists()


def transcript(page):
    """The first block of a page that shows commands after `$ ` and what they print."""
    return next(block for block in blocks(page) if block[0].startswith("    $ "))


def _transcribed(shell, block):
    """Type what follows `$ `, see what follows that; the commands."""
    screen = ""
    for line in block:
        if line.startswith("    $ "):
            command = commands([line])[0]
            screen = shell.does(command, _FAILS.get(command.split()[-1], 0))
            yield command
        else:
            assert shown(shell.here(line)).search(screen), (line, screen)


def test_the_figures_of_an_installation_are_those_of_today():
    files = bundle.build("ue")
    text = (ROOT / "docs/operation.md").read_text()
    n_files, n_bytes = map(int, re.search(r"(\d+) files, (\d+) bytes of msgin5g", text).groups())
    assert abs(n_files - len(files)) <= 2, len(files)
    today = sum(len(file.data) for file in files if file.path != "main.py")
    assert abs(n_bytes - today) < today // 20, today


def test_the_examples_for_a_pico_w_fit_together():
    ue, relay = (
        checked_settings((ROOT / "examples" / name).read_bytes(), None)
        for name in ("pico-w.json", "pico-w-relay.json")
    )
    assert not ue[1].unknown and not relay[1].unknown
    address = json.loads(ue[0])["wifi"]["address"]
    links = json.loads(relay[0])["links"]
    assert links == {ue[1].ue_id: [address, 65401]}
    documents = json.loads((ROOT / "examples" / "documents.json").read_text())["documents"]
    assert ue[1].ue_id in documents[0]["ues"]
