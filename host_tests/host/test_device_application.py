"""An application as a file, for `msgin5g run --app`: which ones are refused, and why."""

import pytest

from msgin5g_tools.device.application_file import ApplicationFile
from msgin5g_tools.device.errors import WRONG_INPUT, DeviceError


def fault(file, interpreter="micropython"):
    """What is wrong with this file, None for nothing."""
    try:
        made = ApplicationFile(file, interpreter)
    except DeviceError as error:
        assert error.status == WRONG_INPUT
        start = f"--app: {file}: "
        assert str(error).startswith(start)
        return str(error).removeprefix(start)
    assert (made.name, made.folder) == (file.stem, file.parent)
    return None


def test_a_file_that_a_role_cannot_import_is_one_line_that_says_why(tmp_path):
    ending = "must end in .py or .mpy"
    letters = "the name must be that of a module: letters, digits and _, such as app.py"
    for name, expected in (
        ("app.py", None), ("_a1.py", None), ("app.mpy", None),
        ("app.txt", ending), ("app", ending), ("app.PY", ending),
        ("my-app.py", letters), ("1.py", letters), ("größe.py", letters),
    ):  # fmt: skip
        (tmp_path / name).touch()
        assert fault(tmp_path / name) == expected, name
    for name in ("boot", "machine", "main", "msgin5g", "microcoapy", "json", "asyncio", "espnow"):
        (tmp_path / f"{name}.py").touch()
        assert fault(tmp_path / f"{name}.py") == (
            f"import {name} finds another module: rename the file, to app.py for one"
        )
    assert fault(tmp_path / "none.py") == "No such file or directory"
    assert fault(tmp_path / "app.mpy", "cpython") == "CPython cannot run .mpy: take the .py file"
    assert fault(tmp_path / "app.py", "cpython") is None


def test_the_settings_may_name_no_other_application(tmp_path):
    (tmp_path / "app.py").touch()
    made = ApplicationFile(tmp_path / "app.py", "micropython")
    made.require_same(None)
    made.require_same("app")
    with pytest.raises(DeviceError) as caught:
        made.require_same("other")
    assert caught.value.status == WRONG_INPUT and str(caught.value) == (
        "settings: application: 'other', but --app has 'app': give both the same name"
    )


def test_only_cpython_is_kept_from_a_cache_and_only_micropython_gets_the_pins_of_a_board(tmp_path):
    (tmp_path / "app.py").touch()
    preludes = {
        name: ApplicationFile(tmp_path / "app.py", name).prelude
        for name in ("micropython", "cpython")
    }
    for name, prelude in preludes.items():
        compile(prelude, name, "exec")
        assert "machine.deepsleep = deepsleep" in prelude
        assert ("dont_write_bytecode" in prelude) == (name == "cpython")
        assert ("onboard" in prelude) == (name == "micropython")
