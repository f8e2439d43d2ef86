"""The project file msgin5g.toml, and the completion of a shell."""

import json
import os
import shutil
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from flash_setup import ue_file, ue_settings

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.cli import COMMANDS, msgin5g
from msgin5g_tools.device.errors import PORT_MISSING
from msgin5g_tools.person_file import FileError
from msgin5g_tools.project_file import COMMANDS as WITH_DEFAULTS
from msgin5g_tools.project_file import KEYS, ProjectFile

PROGRAM = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()"]


def run(folder, *arguments, **more):
    """(exit status, stdout, stderr) of the command in a folder."""
    done = subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
        **more,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture
def project(tmp_path):
    """A folder with a project file, whose name has a space and an umlaut, and one below it."""
    folder = tmp_path / "tür 1"
    (folder / "below" / "deeper").mkdir(parents=True)
    (folder / "ue.json").write_text(ue_file(tmp_path, 0).read_text())
    (folder / "msgin5g.toml").write_text(
        'port = "./board"  # a link\nsettings = "ue.json"\nboard = "RPI_PICO_W"\n',
        encoding="utf-8",
    )
    return folder


def test_port_settings_and_board_come_from_the_project_file_above(project):
    with VirtualBoard(heap="96K", link=str(project / "board")):
        status, out, said = run(project / "below" / "deeper", "flash", "--dry-run")
        assert status == 0 and "files would be copied (ue)" in out, out
        assert said == f"defaults of {project / 'msgin5g.toml'}: port, settings, board\n"
        assert "settings.json" in out
        status, out, said = run(project, "doctor")
        assert "RPI_PICO_W" in out or "Raspberry Pi Pico W" in out, out
        assert said == f"defaults of {project / 'msgin5g.toml'}: port\n"


def test_an_option_on_the_command_line_wins(project):
    status, out, said = run(project, "flash", "--port", "/dev/none", "--dry-run")
    assert (
        status == PORT_MISSING
        and "/dev/none: Error: " in said
        and str(project / "board") not in out
    )
    (project / "broken.json").write_text("{")
    _, _, said = run(project, "flash", "--settings", "broken.json", "--dry-run")
    assert "broken.json: settings: not JSON" in said
    with VirtualBoard(heap="96K", link=str(project / "board"), board="ESP32_GENERIC"):
        status, out, said = run(project, "flash", "--dry-run")
        assert status != 0 and "RPI_PICO_W" in said, said
        status, out, _ = run(project, "flash", "--board", "ESP32_GENERIC", "--dry-run")
        assert status == 0, out


def test_with_all_or_several_ports_the_settings_of_one_board_are_not_used(project):
    arguments = ("flash", "--port", "/dev/none", "--port", "/dev/neither", "--dry-run")
    status, _, said = run(project, *arguments)
    assert status == PORT_MISSING and "would both be" not in said and "/dev/neither" in said
    status, _, said = run(project, "flash", "--all", "--dry-run")
    assert "either --port" not in said


def test_a_command_may_have_values_of_its_own(project):
    relay = {**ue_settings(0), "role": "relay"}
    (project / "relay.json").write_text(json.dumps(relay))
    with open(project / "msgin5g.toml", "a") as file:
        file.write('\n[run]\nsettings = "relay.json"\n')
    file = ProjectFile(project / "msgin5g.toml")
    assert file.defaults_for("run") == {"settings": str(project / "relay.json")}
    assert file.defaults_for("flash")["settings"] == str(project / "ue.json")
    # A relay needs more: the message names the file that was taken.
    status, _, said = run(project, "run")
    assert status != 0 and "server.address" in said, said


def test_a_path_is_relative_to_the_project_file_and_another_port_is_as_it_is(tmp_path):
    path = tmp_path / "msgin5g.toml"
    for text, port in (
        ("/dev/ttyACM0", "/dev/ttyACM0"),
        ("COM3", "COM3"),
        ("rfc2217://h:1", "rfc2217://h:1"),
        ("./b", str(tmp_path / "b")),
    ):
        path.write_text(f'port = "{text}"\n')
        assert ProjectFile(path).defaults_for("flash") == {"port": port}
    assert ProjectFile(path).defaults_for("run") == {}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('prot = "COM3"\n', "line 1, column 1: unknown key 'prot'; did you mean 'port'?"),
        ('\n  colour = "red"\n', "line 2, column 3: unknown key 'colour'; known: port, "),
        ("port = 3\n", "line 1, column 1: port must be a text in quotation marks"),
        ('port = ""\n', "line 1, column 1: port must be a text in quotation marks"),
        (
            'port = "a"\nboard = "PICO"\n',
            "line 2, column 1: unknown board 'PICO'; known: ESP32_GENERIC, ",
        ),
        ('port = "a"\nboard = RPI\n', "line 2, column 9: not TOML: Invalid value"),
        ('port = "a\n', "line 1, column 10: not TOML: Illegal character"),
        ('port = """a', "line 1, column 12: not TOML: "),
        ('port = "a"\nport = "b"\n', "line 2, column "),
        ('port = "a"\n\n[falsh]\nport = "a"\n', "line 3, column 1: unknown table [falsh]; did"),
        ('[run]\nport = "a"\n', "line 2, column 1: unknown key 'port'; known: settings"),
        ('[image]\nboard = "x"\n', "line 2, column 1: unknown board 'x'; "),
        ('port = "x"\n[ "run" ]\n\tsettings = 1\n', "line 3, column 2: settings must be a text"),
        ("run.settings = 1\n", "line 1, column 1: settings must be a text"),
        ("run = {settings = 1}\n", "line 1"),
        ("x = " + "[" * 2000, ""),
        ("\xff", "byte 0 is not UTF-8"),
    ],
)
def test_a_mistake_in_the_project_file_is_one_line_with_its_place(tmp_path, text, line):
    path = tmp_path / "msgin5g.toml"
    path.write_bytes(text.encode("latin-1"))
    status, out, said = run(tmp_path, "flash", "--port", "/dev/none")
    assert (status, out) == (1, "")
    assert said.startswith(f"Error: {path}: ") and said.count("\n") == 1, said
    assert line in said, said
    with pytest.raises(FileError):
        ProjectFile(path)
    assert run(tmp_path, "ports")[0] == 0  # a command without defaults does not read it


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_the_project_file_may_be_in_any_unicode(encoding, tmp_path):
    path = tmp_path / "msgin5g.toml"
    path.write_text('port = "tür"\r\nsettings = "ü.json"\r\n', encoding=encoding)
    values = {"port": "tür", "settings": str(tmp_path / "ü.json")}
    assert ProjectFile(path).defaults_for("flash") == values


def test_every_command_with_a_default_has_that_option():
    context = click.Context(msgin5g)
    for key, commands in KEYS.items():
        for name in commands:
            options = {o for p in msgin5g.get_command(context, name).params for o in p.opts}
            assert f"--{key}" in options, (key, name)


def test_the_file_is_read_for_those_commands_only_and_never_for_help(tmp_path, monkeypatch):
    (tmp_path / "msgin5g.toml").write_text("wrong\n")
    monkeypatch.chdir(tmp_path)
    for name in COMMANDS:
        said = CliRunner().invoke(msgin5g, [name, "--unknown"]).output
        assert ("msgin5g.toml: line 1" in said) == (name in WITH_DEFAULTS), name
        assert CliRunner().invoke(msgin5g, [name, "--help"]).exit_code == 0, name


def completed(shell, words):
    """What the completion of a shell offers for these words; the last one is being typed."""
    more = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    if shell == "fish":
        more["COMP_CWORD"] = words[-1]
    environment = {**os.environ, **more, "_MSGIN5G_COMPLETE": f"{shell}_complete"}
    status, out, said = run(".", env=environment)
    assert (status, said) == (0, "")
    if shell == "bash":
        return [line.partition(",")[2] for line in out.splitlines()]
    if shell == "fish":
        return [line.split(",")[1].split("\t")[0] for line in out.splitlines()]
    return out.splitlines()[1::3]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_each_shell_offers_commands_options_and_values(shell):
    assert completed(shell, ["msgin5g", "fla"]) == ["flash"]
    assert set(completed(shell, ["msgin5g", ""])) == set(COMMANDS)
    assert "--dry-run" in completed(shell, ["msgin5g", "flash", "--d"])
    assert completed(shell, ["msgin5g", "flash", "--board", "RPI_PICO2"]) == ["RPI_PICO2_W"]
    assert completed(shell, ["msgin5g", "documents", "ex"]) == ["export"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_one_that_the_shell_reads(shell, tmp_path):
    environment = {**os.environ, "_MSGIN5G_COMPLETE": f"{shell}_source"}
    status, script, said = run(".", env=environment)
    assert (status, said) == (0, "") and f"_MSGIN5G_COMPLETE={shell}_complete" in script
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    file = tmp_path / "script"
    file.write_text(script)
    subprocess.run([shell, "-n", file], check=True, timeout=60)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_itself_completes_after_the_line_of_the_documentation(tmp_path):
    program = tmp_path / "msgin5g"
    program.write_text(f"#!{sys.executable}\nfrom msgin5g_tools.cli import main\nmain()\n")
    program.chmod(0o755)
    typed = (
        'eval "$(_MSGIN5G_COMPLETE=bash_source msgin5g)"\n'
        "COMP_WORDS=(msgin5g prov) COMP_CWORD=1\n"
        "_msgin5g_completion msgin5g prov msgin5g\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", typed], env=environment, capture_output=True, timeout=60, check=True
    )
    assert done.stdout.decode().split() == ["provision"], done.stderr
