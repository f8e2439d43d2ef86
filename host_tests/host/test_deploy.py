"""deploy/: the systemd unit, the configuration and the Dockerfile of the server.

The test plays systemd and the container: it runs the commands that these files name.
"""

import asyncio
import importlib.metadata
import json
import re
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
from types import SimpleNamespace

import pytest
from scm_process import PROGRAM, address_of, running
from scm_setup import UE7, Client, Scm, document

from msgin5g_tools import service_manager
from msgin5g_tools.paths import ROOT
from msgin5g_tools.scm_server.store import Store

_DEPLOY = ROOT / "deploy"
_WATCHDOG_S = 1.0
# As MemoryDenyWriteExecute and NoNewPrivileges of the unit: kept by what is started.
_HARDENED = """
import ctypes, os, sys
prctl = ctypes.CDLL(None).prctl
prctl(65, 1, 0, 0, 0)  # PR_SET_MDWE; kernels before 6.3 do not have it
prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
os.execv(sys.argv[1], sys.argv[1:])
"""


def _unit():
    """{key: its values} of the unit."""
    found = {}
    for line in (_DEPLOY / "msgin5g-scm.service").read_text().splitlines():
        key, is_set, value = line.partition("=")
        if is_set and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def _docker(word):
    """What follows this word in the Dockerfile, each with its further lines."""
    text = (_DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    return re.findall(rf"^\s*{word} (.*)$", text, re.MULTILINE)


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def config(tmp_path):
    """(the configuration of deploy/ with addresses and a folder of this test, port of /health)."""
    text, port = (_DEPLOY / "scm-server.toml").read_text(), _free_port()
    for old, new in (
        ("0.0.0.0:5683", "127.0.0.1:0"),
        ("127.0.0.1:9100", f"127.0.0.1:{port}"),
        ("/var/lib/msgin5g-scm/", ""),
        ('log-level = "warning"', "json = true"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = tmp_path / "scm-server.toml"
    path.write_text(text)
    return path, port


def _options(command, path):
    """The arguments of a command of deploy/, with another configuration file."""
    words = shlex.split(command)[1:]
    words[words.index("/etc/msgin5g/scm-server.toml")] = str(path)
    return words


def test_the_unit_starts_a_server_that_says_when_it_is_ready_alive_and_stopping(
    config, tmp_path, monkeypatch
):
    unit = _unit()
    assert unit["Type"] == ["notify"] and unit["Restart"] == ["on-failure"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", str(int(_WATCHDOG_S * 1e6)))
        hardened = [sys.executable, "-c", _HARDENED]
        arguments = _options(unit["ExecStart"][0], config[0])
        with running(*arguments, prefix=hardened) as (started, _):
            assert manager.recv(100) == b"READY=1"
            with Client(address_of(started)) as client:
                assert client.get(f"ue-uri={UE7}").code == "4.04"
            assert [manager.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        words = []
        while b"STOPPING=1" not in words:
            words.append(manager.recv(100))
    assert (tmp_path / "scm.db").exists(), "the database is in its folder"


def test_a_service_says_that_it_is_alive_twice_in_the_time_of_the_watchdog(monkeypatch):
    class EndedError(Exception):
        pass

    pauses_s = []

    async def sleep(seconds):
        pauses_s.append(seconds)
        if len(pauses_s) == 3:
            raise EndedError

    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setattr(service_manager, "asyncio", SimpleNamespace(sleep=sleep))
    with pytest.raises(EndedError):
        asyncio.run(service_manager.keep_alive())
    assert pauses_s == [15, 15, 15]


def test_the_folders_and_users_of_the_files_are_the_same():
    unit, text = _unit(), (_DEPLOY / "scm-server.toml").read_text()
    folder = f"/var/lib/{unit['StateDirectory'][0]}"
    assert [folder] == unit["WorkingDirectory"] == _docker("WORKDIR")[1:] == _docker("VOLUME")
    assert f'db = "{folder}/' in text
    assert unit["User"] == _docker("USER") and unit["User"][0] in _docker("RUN")[-1]
    port = re.search(r'metrics = "127.0.0.1:(\d+)"', text)[1]
    assert f"http://127.0.0.1:{port}/health" in _docker("HEALTHCHECK")[0]
    assert f"5683/udp {port}/tcp" in _docker("EXPOSE")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_finds_no_fault_in_the_unit_and_rates_it_as_well_protected(tmp_path):
    text = (_DEPLOY / "msgin5g-scm.service").read_text()
    path = tmp_path / "msgin5g-scm.service"
    path.write_text(text.replace("/opt/msgin5g/bin/msgin5g", shutil.which("true")))
    for arguments in (["verify", "--man=no"], ["security", "--offline=yes", "--threshold=20"]):
        done = subprocess.run(
            ["systemd-analyze", "--no-pager", *arguments, path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-300:] + done.stderr
        assert arguments[0] == "security" or done.stderr == "", done.stderr


def test_the_container_starts_a_server_without_what_it_leaves_out_and_checks_its_health(
    config, tmp_path
):
    (left_out,) = (line for line in _docker("RUN") if "uninstall" in line)
    left_out = set(left_out.split("--yes")[1].split())
    names = importlib.metadata.packages_distributions().items()
    modules = [name for name, of in names if left_out & {each.lower() for each in of}]
    assert len(modules) >= len(left_out)
    program = f"import sys; sys.modules.update(dict.fromkeys({modules!r}))\n{PROGRAM}"
    with Store(tmp_path / "scm.db") as store:
        store.put("msgin5g", "ue-0007", document(UE7))
    entry, command = (json.loads(_docker(word)[0]) for word in ("ENTRYPOINT", "CMD"))
    path, port = config
    arguments = _options(shlex.join([*entry, *command]), path)
    with running(*arguments, program=program) as (started, _):
        with Client(address_of(started)) as client:
            assert client.get(f"ue-uri={UE7}").code == "2.05"
        check = json.loads(_docker("HEALTHCHECK")[0].partition("CMD")[2])
        assert check[:2] == ["python", "-c"] and ":9100/" in check[2]
        subprocess.run([sys.executable, "-c", check[2].replace(":9100/", f":{port}/")], check=True)


def test_the_container_is_built_from_all_that_the_package_needs():
    """It cannot be built here: pip runs on what it copies, and the packages are in that."""
    copied = {word for line in _docker("COPY") for word in line.split()[:-1]}
    text = (ROOT / "pyproject.toml").read_text()
    packages = text[text.index("[tool.setuptools.package-dir]") :].split("\n\n")[0]
    folders = re.findall(r'= "(.*)"', packages)
    assert len(folders) >= 3
    for folder in folders:
        assert any(f"{folder}/".startswith(f"{each}/") for each in copied), folder
    assert all((ROOT / each).exists() for each in copied if not each.startswith(("-", "/"))), (
        copied
    )


def test_a_copy_made_while_the_server_runs_has_everything_and_serves(tmp_path):
    sql = re.search(r'sqlite3 scm.db "(.*)"', (ROOT / "docs/server.md").read_text())[1]
    (tmp_path / "new").mkdir()
    copy = tmp_path / "new" / "scm.db"
    with Scm(tmp_path) as scm, scm.client() as client:
        scm.call(lambda store: store.deny("urn:x:denied"))
        for n in range(20):
            assert client.put(f"d{n}", document(f"urn:x:{n}")).code == "2.01"
            if n == 9:
                connection = sqlite3.connect(tmp_path / "scm.db")
                connection.execute(sql.replace("backup.db", str(copy)))
                connection.close()
    with Scm(copy.parent) as scm, scm.client() as client:
        codes = [client.get(f"ue-uri=urn:x:{n}").code for n in range(11)]
        assert codes == ["2.05"] * 10 + ["4.04"]
        assert client.get("ue-uri=urn:x:denied").code == "4.03"
        assert client.put("more", document("urn:x:more")).code == "2.01"
