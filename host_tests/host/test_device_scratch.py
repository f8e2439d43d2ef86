"""The folder of a board for the files of a test run: its programs run on MicroPython, here."""

import subprocess

from msgin5g_tools.commands.run import interpreter_command
from msgin5g_tools.device.scratch_folder import FOLDER, put, remove


class Disk:
    """Stands for a Session; `done()` runs all programs so far, with a folder for the board's /."""

    def __init__(self, path):
        self.path = path
        self._programs = []

    def run(self, program):
        self._programs.append(program)

    def done(self):
        text = "\n".join(self._programs)
        text = text.replace('dir("/")', f'dir("{self.path}")').replace(
            f"'{FOLDER}", f"'{self.path}{FOLDER}"
        )
        subprocess.run([interpreter_command(), "-c", text], check=True, timeout=60)
        self._programs.clear()

    def files(self):
        """{path: bytes} of all files, None for a folder."""
        return {
            str(path.relative_to(self.path)): path.read_bytes() if path.is_file() else None
            for path in self.path.rglob("*")
        }


def test_the_files_of_a_run_replace_those_of_the_last_one_and_go_with_their_folder(tmp_path):
    disk, rest = Disk(tmp_path), {"main.py": b"import x", "lib": None, "lib/a.py": b""}
    (tmp_path / "lib").mkdir()
    for path, data in rest.items():
        if data is not None:
            (tmp_path / path).write_bytes(data)
    remove(disk)
    disk.done()
    assert disk.files() == rest, "there was no such folder"
    first = {"run.py": b"x", "a/b/c.mpy": bytes(range(256)) * 20, "a/d": b""}
    second = {"run.py": b"y", "e/f": b"z"}
    folder = FOLDER[1:]
    for files, folders in ((first, ("a", "a/b")), (second, ("e",))):
        put(disk, files)
        disk.done()
        expected = {**files, **dict.fromkeys(folders)}
        shown = {f"{folder}/{path}": data for path, data in expected.items()}
        assert disk.files() == {**rest, folder: None, **shown}
    remove(disk)
    disk.done()
    assert disk.files() == rest
