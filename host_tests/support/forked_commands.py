"""Commands of msgin5g, many in a short time: each in a process of its own, all imports done once.

    with ForkedCommands() as msgin5g:
        done = msgin5g("flash", "--port", "/dev/none")     # done.status, done.out, done.err

One interpreter imports every command, and forks for each call. So it is a real process with real
streams and a real exit status, in the encodings that Python chose for the environment, and takes
some 30 ms in place of 500.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

# out and err are bytes; status is negative when a signal ended the command: -14 after _LIMIT_S.
Done = namedtuple("Done", "status out err")

CLOSED_PIPE = "|"
_LIMIT_S = 30
_PROGRAM = (
    """
import importlib, io, json, os, signal, sys
from msgin5g_tools import cli
for module, *_ in cli.COMMANDS.values():
    importlib.import_module("msgin5g_tools.commands." + module)
orders = os.fdopen(os.dup(0), "rb", 0)
answers = os.dup(1)
streams = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
forms = [(getattr(sys, name).encoding, getattr(sys, name).errors) for name, _ in streams]
while True:
    order = orders.readline()
    if not order:
        sys.exit()
    order = json.loads(order)
    process = os.fork()
    if process == 0:
        break
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    os.write(answers, b"%%d\\n" %% status)
orders.close()
os.close(answers)
os.setsid()
os.chdir(order["cwd"])
flags = (os.O_RDONLY, os.O_WRONLY | os.O_APPEND, os.O_WRONLY | os.O_APPEND)
for number, path in enumerate(order["files"]):
    os.close(number)
    if path is None:
        setattr(sys, streams[number][0], None)  # closed, as the shell's >&-
        continue
    if path == "|":
        nobody, file = os.pipe()
        os.close(nobody)
    else:
        file = os.open(path, flags[number])
    if file == number:
        os.set_inheritable(number, True)
    else:
        os.dup2(file, number)
        os.close(file)
    name, mode = streams[number]
    encoding, errors = forms[number]
    setattr(sys, name, open(number, mode, encoding=encoding, errors=errors))
sys.argv = ["msgin5g", *map(os.fsdecode, map(bytes.fromhex, order["arguments"]))]
signal.alarm(%d)
cli.main()
"""
    % _LIMIT_S
)


class ForkedCommands:
    """environment: what differs from this process's; prefix: a command line that starts it."""

    def __init__(self, environment=None, prefix=()):
        self._environment = {**os.environ, **(environment or {})}
        self._prefix = list(prefix)

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory()
        os.chmod(self._folder.name, 0o755)
        self._files = [str(Path(self._folder.name, name)) for name in ("in", "out", "err")]
        self._process = subprocess.Popen(
            [*self._prefix, sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment,
            cwd="/",
        )
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()

    def __call__(self, *arguments, cwd=None, stdin=b"", stdout=""):
        """A Done. stdout: a path in place of a file to read afterwards; None: closed.

        Or CLOSED_PIPE, whose reader has gone.
        """
        for path, data in zip(self._files, (stdin, b"", b""), strict=True):
            Path(path).write_bytes(data)
            os.chmod(path, 0o666)
        files = list(self._files)
        if stdout != "":
            files[1] = stdout
        order = {
            "arguments": [os.fsencode(str(argument)).hex() for argument in arguments],
            "cwd": str(cwd or self._folder.name),
            "files": files,
        }
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the interpreter that forks has ended"
        return Done(int(answer), *(Path(path).read_bytes() for path in self._files[1:]))
