"""For the tests of a whole UE on a virtual board: a server, the firmware on flash, a document.

Each board and each server has an address of its own.
"""

import json
import os
import re
import select
import subprocess
import sys
import tty

from addresses import host
from board_tools import mpremote
from scm_setup import Scm, configured

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.build.mpy import build_firmware
from msgin5g_tools.scm_server.store import Store

UE_ID = "urn:x-msgin5g:ue:0007"


class NodeBoard:
    """`with NodeBoard(tmp_path, application, **settings) as ue:` a board that is ready to start.

    application: the text of its app.py. The server answers CoAP pings, too: the documents name
    it as the MSGin5G server, unless told otherwise.
    """

    def __init__(self, folder, application=None, heap="192K", secrets=None, **settings):
        self._folder = folder
        self.server, self.address = host(), host()
        self.scm = Scm(folder, bind=(self.server, 5683))
        self.board = VirtualBoard(heap=heap)
        self._application = application
        self._secrets = secrets
        self.settings = {
            "role": "ue",
            "ue_id": UE_ID,
            "bind": [self.address, 65401],
            "next_hop": [self.server, 5683],
            "next_hop_is": "server",
            "start_delay_s": 0,
            "apply_interval_s": 0,
            "transmission": {"ack_timeout_ms": 300},
            "retry": {"first_s": 1, "max_s": 2},
            **settings,
        }

    def __enter__(self):
        self.scm.__enter__()
        try:
            self.board.start()
            files = {"settings.json": json.dumps(self.settings)}
            if self._secrets:
                files["secrets.json"] = json.dumps(self._secrets)
            if self._application:
                files["app.py"] = self._application
            firmware = build_firmware()
            copies = ["cp", "-r", firmware / "msgin5g", ":", "+", "cp", firmware / "main.py", ":"]
            for name, text in files.items():
                (self._folder / name).write_text(text)
                copies += ["+", "cp", self._folder / name, ":"]
            mpremote(self.board, *copies)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.board.stop()
        self.scm.__exit__()

    def serve(self, **values):
        """Give the UE another document; None for a value leaves the key out."""
        data = {
            "MSGin5G-Server-address": f"coap://{self.server}:5683",
            "MSGin5G-UE-Service-id": "user-7@example.com",
            **{key.replace("_", "-"): value for key, value in values.items()},
        }
        data = {key: value for key, value in data.items() if value is not None}
        with Store(self.scm.settings.db) as store:  # as another process would
            store.put("msgin5g", "ue-0007", configured(UE_ID, data))

    def reset(self):
        """Press reset; the position in the output from which on the new start is told."""
        mark = self.board.output.mark()
        self.board.reset()
        return mark

    def told(self, pattern, since=0, timeout=30):
        return self.board.output.wait_for(pattern, timeout=timeout, since=since)


class Person:
    """`with Person(board) as person:` somebody at `mpremote repl`, on a pseudo-terminal."""

    def __init__(self, board):
        self._board = board

    def __enter__(self):
        self._master, terminal = os.openpty()
        tty.setraw(terminal)  # mpremote does it, too, but says before that it is there
        self._tool = subprocess.Popen(
            [sys.executable, "-m", "mpremote", "connect", self._board.port, "resume", "repl"],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        self.sees("Ctrl-x to exit|Ctrl-]|Use Ctrl")
        return self

    def __exit__(self, *_):
        os.write(self._master, b"\x1d")  # Ctrl-]
        try:
            self._tool.wait(timeout=30)
        finally:
            self._tool.kill()
            self._tool.wait()
            os.close(self._master)

    def sees(self, pattern):
        """Read the terminal until it shows `pattern`; what it has shown, newlines plain."""
        seen = b""
        while True:
            text = seen.decode("utf-8", "replace").replace("\r\n", "\n")
            if re.search(pattern, text):
                return text
            if not select.select([self._master], [], [], 15)[0]:
                raise TimeoutError(f"no {pattern!r} on the terminal, but: {text[-1000:]!r}")
            seen += os.read(self._master, 4096)

    def presses(self, keys, pattern=">>> $"):
        """Press keys, and read until a prompt is there again."""
        os.write(self._master, keys)
        return self.sees(pattern)

    def types(self, line, prompt=">>> "):
        """Type a line; what it prints, without echo and prompt, nor what comes after that."""
        os.write(self._master, line.encode() + b"\r")
        pattern = re.escape(line) + r"\n((?:.*\n)*?)" + re.escape(prompt)
        return re.search(pattern, self.sees(pattern))[1]
