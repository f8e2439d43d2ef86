"""The heap of a gateway on real MicroPython: linear in UEs that wait, never in documents given.

support/benchmarks/gateway_heap.py plays the network, so that nothing but the gateway grows.
"""

import subprocess

import pytest

from msgin5g_tools.build.mpy import build_firmware
from msgin5g_tools.commands.run import interpreter_command

# Of a gateway at work, whatever waits: blocks, documents held, answers on their way, the cache.
_WORK_SIZE = 32 * 1024
_IDLE_SIZE = 16 * 1024
_KEYS = ("link", "waiting", "answers", "bulks", "before", "peak", "after")


@pytest.fixture(scope="module")
def heap(repository):
    """A function that runs the rig; gives its figures, bytes each, as a dict."""
    firmware = build_firmware()

    def run(n_ues, document_size):
        command = [interpreter_command(), "-X", "heapsize=640K"]
        command.append(
            str(repository / "host_tests" / "support" / "benchmarks" / "gateway_heap.py")
        )
        command += [str(firmware), str(n_ues), str(document_size)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        words = done.stdout.split()
        assert done.returncode == 0 and tuple(words[0:14:2]) == _KEYS, done.stdout + done.stderr
        found = {key: int(words[2 * i + 1]) for i, key in enumerate(_KEYS)}
        assert found["answers"] == n_ues
        return found

    return run


@pytest.mark.parametrize("document_size", [100, 1000])
def test_it_is_linear_in_the_ues_that_wait_and_not_in_their_documents(heap, document_size):
    found = {n: heap(n, document_size) for n in (100, 200, 400)}
    per_ue = {n: f["link"] + f["waiting"] for n, f in found.items()}
    print(f"documents of {document_size} bytes: {per_ue} bytes a UE")
    assert max(per_ue.values()) <= 400 and max(per_ue.values()) - min(per_ue.values()) <= 16
    for n, f in found.items():
        # Of 400 documents with 1,000 bytes each all have passed, and are gone.
        assert f["peak"] - f["before"] - n * per_ue[n] < _WORK_SIZE, (n, f)
        assert f["after"] < _IDLE_SIZE, (n, f)


def test_the_key_of_a_ue_takes_less_than_1_kb(repository):
    rig = repository / "host_tests" / "support" / "benchmarks" / "oscore_gateway_heap.py"
    command = [interpreter_command(), "-X", "heapsize=512K", str(rig), str(build_firmware()), "30"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    words = done.stdout.split()
    assert done.returncode == 0 and words[0::2] == ["key", "used"], done.stdout + done.stderr
    print(done.stdout)
    assert max(map(int, words[1::2])) <= 1024
