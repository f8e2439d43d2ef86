"""For the tests of flash, provision, doctor and image: a server, a relay, and settings for UEs.

Address 0 is the server's, 1 the relay's, 2 and above are the UEs'. They belong to this process.
"""

import json
import subprocess
import sys

from addresses import network
from scm_setup import Scm

from msgin5g_tools.device.flashing import Bundles, Job, Options, flash_board
from msgin5g_tools.commands.run import command_of
from msgin5g_tools.scm_server import json_form

PORT = 65401
_NETWORK = network()
BUNDLES = Bundles()  # compiled once for all tests
CONFIG = {
    "MSGin5G-Server-address": "coap://m.example",
    "MSGin5G-UE-Service-id": "sensor-7@example.com",
}


def address(n):
    return _NETWORK + str(n + 1)


def ue_id(n):
    return f"urn:x-msgin5g:ue:{n:04}"


def ue_settings(n, **more):
    return {
        "role": "ue",
        "ue_id": ue_id(n),
        "bind": [address(2 + n), PORT],
        "next_hop": [address(1), PORT],
        "server": {"recipient": "coap://scm.example"},
        "start_delay_s": 0,
        "transmission": {"ack_timeout_ms": 300},
        **more,
    }


def ue_file(folder, n, **more):
    file = folder / f"ue-{n}-{len(list(folder.iterdir()))}.json"
    file.write_text(json.dumps(ue_settings(n, **more)))
    return file


class Silent:
    """A line of progress that nobody reads."""

    def say(self, text):
        pass

    def total(self, n_files):
        pass

    def copied(self, file):
        pass


def put(board, settings, role="ue"):
    """Flash a board in this process, for tests that are about something else; not watched."""
    job = Job(board.port, role, settings.read_bytes(), None)
    return flash_board(job, Options("mpremote", None, False, False, 5), BUNDLES, Silent())


class Site:
    """`with Site(tmp_path, n_ues)`: every UE has a document and a link to the relay."""

    def __init__(self, folder, n_ues):
        self._folder = folder
        self._ues = range(n_ues)
        self.scm = Scm(folder, bind=(address(0), 5683))
        self._relay = None

    def __enter__(self):
        self.scm.__enter__()
        for n in self._ues:
            text = json.dumps(
                {
                    "documents": [
                        {
                            "ueConfigDocId": f"ue-{n}",
                            "valServiceDomain": "example.com",
                            "ues": [ue_id(n)],
                            "configData": CONFIG,
                        }
                    ]
                }
            )
            contents, mistakes, _ = json_form.read(text, "msgin5g")
            assert not mistakes, mistakes
            self.scm.call(lambda store, found=contents: store.put(*found.documents[0]))
        settings = self._folder / "relay.json"
        settings.write_text(
            json.dumps(
                {
                    "role": "relay",
                    "ue_id": "urn:x-msgin5g:relay",
                    "bind": [address(1), PORT],
                    "server": {
                        "recipient": "coap://scm.example",
                        "address": list(self.scm.address),
                    },
                    "links": {ue_id(n): [address(2 + n), PORT] for n in self._ues},
                }
            )
        )
        state = self._folder / "relay-state"
        state.mkdir()
        command = command_of(settings, state, heap="512K", as_json=True)
        self._relay = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self._relay.stdout.readline()
        if '"started"' not in line:
            line += self._relay.stdout.read()
            self.__exit__()
            raise AssertionError(line)
        return self

    def __exit__(self, *error):
        self._relay.kill()
        self._relay.communicate()
        self.scm.__exit__(*error)


def msgin5g(*arguments, status=0, timeout=60):
    """What a command of ours prints, output and errors together, as its users run it."""
    done = subprocess.run(
        [sys.executable, "-c", "from msgin5g_tools.cli import main; main()", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == status, (arguments, done.returncode, done.stdout)
    return done.stdout
