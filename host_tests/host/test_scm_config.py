"""`msgin5g scm-server --config`: a TOML file with every option, and what is wrong in one."""

import re

import click
import pytest
from forked_commands import ForkedCommands
from scm_process import address_of, running
from scm_setup import MAX_AGE, UE7, Client, document, problem, uint

from msgin5g_tools import option_file
from msgin5g_tools.commands.scm_server import scm_server
from msgin5g_tools.scm_server.store import Store

_CONFIG = """
bind = "127.0.0.1:0"
db = "data/größe.db"            # in the folder of this file
recipient = "coap://scm.example"
max-age = 7
max-rate = 1000.0
gateway = ["127.0.0.9"]
read-only = true
echo = false
json = true
"""


@pytest.fixture(scope="module")
def msgin5g():
    with ForkedCommands() as commands:
        yield commands


def _write(folder, text):
    path = folder / "sérver.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _names():
    """The long names of all options of the command that may stand in a file."""
    names = {max(each.opts, key=len)[2:] for each in scm_server.params}
    return names - {"config", "print-config"}


def test_the_server_runs_with_the_options_of_a_file_and_the_command_line_wins(tmp_path):
    (tmp_path / "data").mkdir()
    with Store(tmp_path / "data" / "größe.db") as store:
        store.put("msgin5g", "ue-0007", document(UE7))
    config = _write(tmp_path, _CONFIG)
    with running("scm-server", "--config", config, "--max-age", "9", cwd="/") as (started, _):
        assert started["recipient"] == "coap://scm.example"
        with Client(address_of(started)) as client:
            answer = client.get(f"ue-uri={UE7}")
            assert answer.code == "2.05" and answer.options[MAX_AGE] == [uint(9)], answer
            assert "read-only" in problem(client.put("ue-0007", document(UE7)))[-2].lower()
            bulk = client.get(f"ue-uri={UE7}", "ue-uri=urn:x:2", "bulkConfFlag=msgin5g-bulk")
            assert bulk.code == "4.03", "127.0.0.9 alone is entitled"


def test_the_printed_file_has_every_option_and_means_the_same(msgin5g, tmp_path):
    line = ("--tcp", "[::1]:7", "--gateway", "192.0.2.1", "--gateway", "192.0.2.2", "--json")
    line = (*line, "--db", tmp_path / 'ü "𝄞".db', "--no-echo", "--max-rate", "1.5")
    printed = msgin5g("scm-server", *line, "--print-config")
    assert (printed.status, printed.err) == (0, b"")
    text = printed.out.decode()
    given = set(re.findall(r"^([a-z-]+) = ", text, re.MULTILINE))
    left = set(re.findall(r"^# ([a-z-]+) = ", text, re.MULTILINE))
    assert given == {"tcp", "gateway", "json", "db", "echo", "max-rate"}
    assert given | left == _names() and not given & left
    again = msgin5g("scm-server", "--config", _write(tmp_path, text), "--print-config")
    assert again == printed, again
    # What stands in a comment has the right type: a person takes the `#` away.
    all_given = re.sub(r'^# ([a-z-]+ = (?!"[A-Z[]).*)', r"\1", text, flags=re.MULTILINE)
    done = msgin5g("scm-server", "--config", _write(tmp_path, all_given), "--print-config")
    assert done.status == 0, done
    assert done.out.decode().count("\n# ") < text.count("\n# ") - 10


def test_what_is_wrong_in_a_file_is_one_line_with_file_place_key_and_what_is_allowed(
    msgin5g, tmp_path
):
    for text, status, *said in (
        ('max-age = "60"', 1, "line 2, column 1: max-age must be a whole number"),
        ("max-age = true", 1, "max-age must be a whole number"),
        ("max-age = -1", 1, "line 2, column 1: max-age: -1 is not between 0 and 4294967295"),
        ("max-rate = nan", 1, "max-rate: nan is not between 0 and"),
        ("maxage = 1", 1, "line 2, column 1: unknown key 'maxage'; did you mean 'max-age'?"),
        ("qqq = 1", 1, "unknown key 'qqq'; known: ", ", max-age, ", ", log-level, "),
        ("[oscore]\na = 1", 1, "line 2, column 1: unknown table [oscore]; known: "),
        ("read-only = 1", 1, "read-only must be true or false"),
        ("gateway = '127.0.0.1'", 1, "gateway must be an array; each is a text in quotation"),
        ("gateway = ['a b']", 1, "line 2, column 1: gateway: 'a b' is not an IP address"),
        ("log-level = 'loud'", 1, 'log-level must be one of "debug", "info", "warning"'),
        ("bind = 'here'", 1, "bind: 'here' is not HOST:PORT with a port of 0 to 65535"),
        ("recipient = ''", 1, "recipient must be a text in quotation marks that is not empty"),
        ('service-id = "a\\u0000"', 1, "service-id must be a text"),
        ("metrics = 'here'", 1, "line 2, column 1: metrics: 'here' is not HOST:PORT"),
        ("config = 'other.toml'", 1, "unknown key 'config'"),
        ("tcp = [", 1, "line 3, column 1: not TOML: "),
    ):
        path = _write(tmp_path, f'db = "x.db"\n{text}\n')
        done = msgin5g("scm-server", "--config", path)
        line = done.err.decode()
        assert done.status == status and line.count("\n") == 1 and done.out == b"", done
        assert line.startswith(f"Error: {path}: line "), line
        assert all(part in line for part in said), (line, said)
    missing = msgin5g("scm-server", "--config", tmp_path / "no.toml")
    assert missing.status == 1 and b"no.toml: No such file" in missing.err
    # The mistake of the command line is not one of the file.
    path = _write(tmp_path, 'db = "x.db"\nmax-age = 5')
    done = msgin5g("scm-server", "--config", path, "--max-age", "-2")
    assert done.status == 2 and done.err.startswith(b"Error: --max-age: -2 is not"), done


def test_options_that_are_added_are_keys_by_themselves(tmp_path):
    @click.command()
    @option_file.options
    @click.option("--new-one", type=float)
    @click.option("--folder", metavar="DIRECTORY")
    def command(print_config, **options):
        raise RuntimeError(options)  # where the values arrive

    path = _write(tmp_path, 'new-one = 2\nfolder = "här"')
    try:
        command.main(["--config", str(path)], standalone_mode=False)
    except RuntimeError as arrived:
        assert arrived.args[0] == {"new_one": 2.0, "folder": str(tmp_path / "här")}
