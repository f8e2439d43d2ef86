"""`msgin5g simulate`: what it counts is so, every UE has its own, and mistakes are one line."""

import ipaddress
import json
import math
import re
import subprocess
import sys
from collections import Counter
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from msgin5g_tools.bench.errors import BenchError
from msgin5g_tools.bench.simulate import costs
from msgin5g_tools.cli import msgin5g
from msgin5g_tools.simulate import intermediary, population
from msgin5g_tools.simulate.simulation import Simulation

_SVG = "{http://www.w3.org/2000/svg}"


def run(*arguments):
    return CliRunner().invoke(msgin5g, ["simulate", *map(str, arguments)])


def figures(*arguments):
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def test_a_thousand_ues_behind_a_gateway_are_31_bulk_requests():
    found = figures("--ues", 1000, "--denied", 0)
    assert found["outcomes"] == {"configured": 990, "4.04": 10, "4.03": 0, "not_its_own": 0,
                                 "none": 0}  # fmt: skip
    assert found["ues_per_bulk"] == 33 and found["bulk_requests"] == math.ceil(1000 / 33)
    # Those without a document are asked for once more.
    assert found["single_requests"] == 10 and found["largest_bulk_bytes"] <= 1152
    assert found["requests"] == found["bulk_requests"] + found["later_blocks"] + 10
    assert found["repeated_requests"] == found["timeouts"] == found["turned_away"] == 0
    # 31 bulk requests and their blocks, and nothing is lost: each has one answer.
    assert found["datagrams"]["hop_to_server"] == found["datagrams"]["server_to_hop"]
    assert found["datagrams"]["ue_to_hop"] == 2000  # a request and an acknowledgement
    assert found["bytes"]["server_to_hop"] > 990 * 150
    assert found["peaks"]["links"] == 1000 and 33 <= found["peaks"]["waiting"] < 1000
    # Those of the last request, which is not full, wait for others first.
    assert found["configured_median_s"] < 3
    assert found["configured_p99_s"] <= found["configured_last_s"] <= found["seconds"] < 40


def test_through_a_relay_each_ue_is_a_request_of_its_own():
    found = figures("--ues", 100, "--role", "relay", "--denied", 2, "--missing", 3)
    outcomes = {"configured": 95, "4.04": 3, "4.03": 2, "not_its_own": 0, "none": 0}
    assert (found["role"], found["outcomes"]) == ("relay", outcomes)
    assert found["requests"] == found["single_requests"] == 100
    assert found["bulk_requests"] == found["later_blocks"] == found["largest_bulk_bytes"] == 0
    assert found["peaks"]["links"] == 100 and 0 < found["peaks"]["flows"] <= 16
    assert found["turned_away"] > 0  # 20 requests a second is what a relay lets through


@pytest.mark.parametrize("role", ["relay", "gateway"])
def test_with_loss_all_end_well_and_the_same_seed_is_the_same_story(role):
    options = ("--ues", 100, "--role", role, "--loss", "20%", "--missing", 4, "--denied", 2)
    found = figures(*options)
    assert found["ok"] and found["outcomes"]["configured"] == 94
    assert found["outcomes"]["4.04"] == 4 and found["outcomes"]["4.03"] == 2
    assert found["repeated_requests"] > 0
    assert found["requests"] < 140 if role == "relay" else found["bulk_requests"] <= 5
    assert figures(*options) == found
    assert figures(*options, "--seed", 8)["bytes"] != found["bytes"]


def test_settings_of_the_gateway_show_in_its_tables(tmp_path):
    file = tmp_path / "gateway.json"
    file.write_text('{"role": "relay", "links": {}, "gateway": {"max_waiting": 5}}')
    found = figures("--ues", 40, "--settings", file)
    assert found["role"] == "gateway" and found["peaks"]["waiting"] == 5
    assert found["turned_away"] > 0 and found["discarded"]["busy"] >= found["turned_away"]


def test_a_ue_with_anothers_configuration_is_seen(monkeypatch):
    fill = population.fill

    def crossed(store, people):
        fill(store, people)
        one, two = people[:2]
        fill(store, [one._replace(ue_id=two.ue_id), two._replace(ue_id=one.ue_id)])

    monkeypatch.setattr(population, "fill", crossed)
    done = run("--ues", 10, "--missing", 0, "--json")
    found = json.loads(done.output)
    assert (done.exit_code, found["ok"]) == (1, False)
    assert found["outcomes"]["not_its_own"] == 2 and found["outcomes"]["configured"] == 8
    done = run("--ues", 10, "--missing", 0)
    assert done.exit_code == 1 and "Not every UE has ended as it should" in done.output


def heights_of(group):
    """The different heights of a curve in an SVG."""
    (curve,) = group.findall(_SVG + "path")
    return {point.split()[-1] for point in curve.get("d").replace("L", "M").split("M")[1:]}


def test_the_picture_shows_relay_and_gateway_side_by_side(tmp_path):
    file = tmp_path / "crowd.svg"
    options = ("--ues", 60, "--role", "relay", "--loss", 10, "--missing", 10, "--denied", 5)
    found = figures(*options, "--picture", file)
    assert (found["role"], found["compared_with"]["role"]) == ("relay", "gateway")
    assert found["compared_with"]["bulk_requests"] and not found["bulk_requests"]
    root = ElementTree.parse(file).getroot()
    assert root.tag == _SVG + "svg"
    groups = {group.get("id"): group for group in root.iter(_SVG + "g")}
    for role, seen in (("relay", found), ("gateway", found["compared_with"])):
        # A step up for each UE, from 0; clipped where one or two came very late.
        outcomes = seen["outcomes"]
        for name, n in (("", outcomes["configured"]), ("-4.04", outcomes["4.04"]),
                        ("-4.03", outcomes["4.03"])):  # fmt: skip
            heights = heights_of(groups[f"curve-{role}{name}"])
            assert n - 2 <= len(heights) - 1 <= n, (role, name)
        # The load at the server: as many requests a second as the legend says, at most.
        assert len(heights_of(groups[f"load-{role}"])) > 2, role
    texts = [text.text for text in root.iter(_SVG + "text")]
    for text in ("seconds since the start", "UEs configured", "UEs rejected",
                 "requests a second", "at the server", "relay: 6 4.04, no document",
                 "gateway: 3 4.03, denied"):  # fmt: skip
        assert text in texts, texts
    for role in ("relay", "gateway"):
        assert any(text.startswith(f"{role}: ") and " requests at" in text for text in texts)
    assert "60 UEs switched on together, 10 % loss each way, seed 7" in texts
    before = file.read_bytes()
    figures(*options, "--picture", file)
    assert file.read_bytes() == before, "the same options make the same chart"


def luminance(colour):
    """The relative luminance of #rrggbb (WCAG 2.1)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(c * weight for c, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


def contrast(one, two):
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def test_the_picture_is_readable_on_a_light_and_on_a_dark_page(tmp_path):
    file = tmp_path / "crowd.svg"
    figures("--ues", 20, "--picture", file)
    text = file.read_text()
    light, dark = re.findall(r"svg \{ ((?:color-scheme: light dark; )?--[^}]*)\}", text)
    assert "@media (prefers-color-scheme: dark)" in text
    for sheet in (light, dark):
        colours = dict(re.findall(r"--(\w+): (#\w{6});", sheet))
        assert contrast(colours["text"], colours["page"]) >= 7
        for role in ("gateway", "relay"):
            assert contrast(colours[role], colours["page"]) >= 3, role  # WCAG 2.1, 1.4.11
    # Everything drawn has one of these colours, and the light one where variables are not known.
    drawn = text[text.index("</style>") :]
    used = set(re.findall(r"(?:fill|stroke): (#\w+|[a-z]+)(?=[;\"])", drawn)) - {"none"}
    assert used <= set(re.findall(r"#\w{6}", light)), used
    assert len(re.findall(r": #\w+", drawn)) == drawn.count(": var(--")


def test_a_person_gets_a_table_with_a_column_for_each_role(tmp_path):
    file = tmp_path / "crowd.png"
    text = run("--ues", 20, "--picture", file).output
    assert file.read_bytes().startswith(b"\x89PNG")
    assert "\x1b" not in text and f"Picture: {file}" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["gateway", "relay"] in lines
    (row,) = (line for line in lines if line[:4] == ["requests", "at", "the", "server"])
    assert int(row[4]) < 12 and row[5] == "20"
    assert "Every UE has ended with its own response" in text


def calls_by_function(role, n_ues):
    """How often each function ran or called another: the work of a simulation, by name."""
    # One transfer at a time: the others wait, as they do in a large crowd.
    queue = {"gateway": {"max_transfers": 1}} if role == "gateway" else None
    settings = intermediary.settings_for(role, n_ues, queue)
    people = population.identities(n_ues, 1, 0.3, 7)
    counts = Counter()

    def count(frame, event, _):
        if event in ("call", "c_call"):
            code = frame.f_code
            counts[code.co_filename, code.co_firstlineno, code.co_name] += 1

    simulation = Simulation(people, settings, 0, 7, lambda n: None)
    sys.setprofile(count)
    try:
        found = simulation.run()
    finally:
        sys.setprofile(None)
    assert found["ok"]
    return counts


@pytest.mark.parametrize("role", ["relay", "gateway"])
def test_the_work_of_each_function_grows_with_the_number_of_ues_and_not_faster(role):
    n, times = 600, 2
    small, large = (calls_by_function(role, size) for size in (n, n * times))
    assert sum(large.values()) < sum(small.values()) * times * 1.2
    growing = {
        name: (small[name], count)
        for name, count in large.items()
        # Less than that is what a few UEs cause, or only UEs that find a queue.
        if count > 3 * n * times and count > small[name] * times * 1.4
    }
    assert not growing


def test_addresses_and_ids_of_a_hundred_thousand_ues_are_different_and_sound():
    people = population.identities(100000, 1, 0.3, 7)
    addresses = {each.address[0] for each in people}
    assert len(addresses) == len({each.ue_id for each in people}) == len(people)
    assert all(ipaddress.ip_address(address) for address in addresses)
    for role in ("relay", "gateway"):
        assert intermediary.settings_for(role, 100000).role == role


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--ues", "0"), "--ues: '0' is not a whole number of 1 to 100000"),
        (("--ues", "1.5"), "--ues: '1.5' is not a whole number of 1 to 100000"),
        (("--loss", "90"), "--loss: '90' is not a number of 0 to 75"),
        (("--loss", "nan"), "--loss: 'nan' is not a number of 0 to 75"),
        (("--role", "ue"), "--role: 'ue' is not relay or gateway"),
        (
            ("--missing", "70", "--denied", "40"),
            "--missing and --denied: the sum is more than 100",
        ),
        (("--picture", "crowd.gif"), "--picture: 'crowd.gif' does not end in .png or .svg"),
        (
            ("--picture", "/nowhere/a.svg"),
            "--picture: '/nowhere/a.svg': there is no folder /nowhere",
        ),
        (("--settings", "/nowhere"), "--settings: /nowhere: No such file or directory"),
        (("--settings", "{bulk}"), "--settings: {bulk}: settings: bulk.count: 0 is not 1 to 1000"),
        (("--settings", "{typo}"), "--settings: {typo}: settings: unknown: bulk.cuont"),
        (
            ("--settings", "{text}"),
            "--settings: {text}: not JSON: Expecting value at line 1, ",
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path, arguments, line):
    texts = {"bulk": '{"bulk": {"count": 0}}', "typo": '{"bulk": {"cuont": 2}}', "text": "bulk"}
    names = {name: str(tmp_path / name) for name in texts}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    in_a_file = "/" in line or "{" in line
    for name, file in names.items():
        arguments = [a.replace("{" + name + "}", file) for a in arguments]
        line = line.replace("{" + name + "}", file)
    done = run("--ues", "5", *arguments)
    said = re.sub(r"Invalid value for '(--\w+)'", r"\1", done.output.splitlines()[-1])
    assert said.startswith("Error: " + line), done.output
    assert done.exit_code == (1 if in_a_file else 2), done.output


def test_bench_compares_the_costs_of_a_ue_for_several_numbers_of_ues():
    done = CliRunner().invoke(msgin5g, ["bench", "--simulate", "20,60", "--json"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.output.splitlines()]
    assert [(row["role"], row["ues"]) for row in rows] == [
        (role, ues) for role in ("gateway", "relay") for ues in (20, 60)
    ]
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        assert first["time_ratio"] == first["memory_ratio"] == 1
        expected = second["peak_bytes"] / 60 / (first["peak_bytes"] / 20)
        assert abs(second["memory_ratio"] - expected) < 1e-9 and second["seconds"] > 0
    for sizes, wrong in (("20,0", "0"), ("20;60", "20;60"), ("20,", ""), ("20,200000", "200000")):
        done = CliRunner().invoke(msgin5g, ["bench", "--simulate", sizes])
        assert done.exit_code == 2, done.output
        assert (
            f"'{wrong}' is not a whole number of 1 to 100000; several as 1000,3000" in done.output
        )
    with pytest.raises(BenchError, match="--ues 200000: not every UE has ended as it should"):
        list(costs([200000]))


def test_a_simulation_does_not_load_what_it_does_not_use():
    """One of 10,000 UEs has about 180 MB; pydantic alone would be 14 of them."""
    program = """if True:
        import sys
        from msgin5g_tools.cli import main
        sys.argv[1:] = ["simulate", "--ues", "5", "--json"]
        try:
            main()
        finally:
            loaded = {"pydantic", "sqlalchemy", "matplotlib", "cryptography"} & set(sys.modules)
            print(sorted(loaded), file=sys.stderr)
    """
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "[]\n"), done
    assert json.loads(done.stdout)["ok"]
