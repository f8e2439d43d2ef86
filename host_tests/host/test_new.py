"""`msgin5g new`: a project that works as it is, wherever its folder is."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from addresses import network
from scm_setup import Scm, configured

UE_ID = "urn:x-msgin5g:ue:0007"
NET = network()
BIN = Path(sys.executable).parent
# Without what the `make` that runs these tests tells the ones below it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
ENVIRONMENT.pop("MFLAGS", None)
ENVIRONMENT["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"


def msgin5g(folder, *words):
    return subprocess.run(
        [BIN / "msgin5g", *words], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def project(tmp_path):
    above = tmp_path / "Meine Geräte"
    above.mkdir()
    done = msgin5g(above, "new", "Fühler 1")
    assert done.returncode == 0 and "make test" in done.stdout, done.stderr
    return above / "Fühler 1"


def test_its_tests_pass_on_both_interpreters(project):
    done = subprocess.run(
        ["make", "test"], cwd=project, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("1 passed") == 2, done.stdout


def test_its_tests_notice_what_breaks_it(project):
    app = project / "app.py"
    app.write_text(app.read_text().replace("* 1000", "* 2000"))
    assert msgin5g(project, "test", "test_app.py").returncode == 1


def test_its_application_runs(project):
    data = {
        "MSGin5G-Server-address": "coap://192.0.2.9",
        "MSGin5G-UE-Service-id": "user-7@example.com",
        "interval-s": 7,
    }
    with Scm(project, bind=(NET + "1", 0)) as server:
        server.call(lambda store: store.put("msgin5g", "a", configured(UE_ID, data)))
        settings = json.loads((project / "settings.json").read_text())
        settings.update(bind=[NET + "2", 0], next_hop=list(server.address), start_delay_s=0)
        (project / "settings.json").write_text(json.dumps(settings))
        with subprocess.Popen(
            ["make", "run"], cwd=project, env=ENVIRONMENT, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as run:  # fmt: skip
            seen = ""
            for line in run.stdout:
                seen += line
                if "app: every 7 s" in line:
                    break
            os.killpg(run.pid, signal.SIGINT)
            run.communicate(timeout=20)
    assert "app: every 7 s" in seen, seen


def test_its_makefile_flashes_the_application_first(project):
    done = subprocess.run(
        ["make", "-n", "flash", "PORT=/dev/ttyACM7"],
        cwd=project, env=ENVIRONMENT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "mpremote connect /dev/ttyACM7 fs cp app.py :app.py",
        "msgin5g flash --port /dev/ttyACM7 --settings settings.json",
    ]


def test_what_is_there_is_left_alone(project):
    before = {file.name: file.read_bytes() for file in project.iterdir()}
    for name, text in {
        "Fühler 1": "exists already",
        "Fühler 1/app.py": "exists already",
        "none/project": "No such file",
        "Fühler 1/app.py/x": "Not a directory",
    }.items():
        done = msgin5g(project.parent, "new", name)
        assert done.returncode == 1 and done.stdout == ""
        assert text in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert {file.name: file.read_bytes() for file in project.iterdir()} == before
