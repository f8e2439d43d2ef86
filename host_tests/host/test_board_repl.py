"""The virtual board at its prompt: the bytes, resets, interrupts and limits of a real one."""

import time

import pytest
from board_tools import Terminal, mpremote, write

from msgin5g_tools.board import VirtualBoard


@pytest.fixture
def board():
    with VirtualBoard(heap="96K") as started:
        yield started


def test_the_repl_gives_the_bytes_that_a_board_gives(board):
    with Terminal(board) as terminal:
        assert terminal.types("print('a\\nb')") == "a\r\nb\r\n"
        assert terminal.presses(b"\x03") == b"\r\n>>> "
        assert terminal.presses(b"\x04").startswith(b"\r\nMPY: soft reboot\r\nMicroPython ")
        assert (
            terminal.presses(b"\x01", b"L-B to exit\r\n>") == b"\r\nraw REPL; CTRL-B to exit\r\n>"
        )
        assert terminal.presses(b"print(1)\x04", b"\x04>") == b"OK1\r\n\x04\x04>"
        again = b"OK\r\nMPY: soft reboot\r\nraw REPL; CTRL-B to exit\r\n>"
        assert terminal.presses(b"\x04", b"exit\r\n>") == again
        assert terminal.presses(b"raise SystemExit\x04", b"exit\r\n>") == b"OK\4\4" + again[4:]
        assert terminal.presses(b"\x05A\x01", b"\x01\x80\0\x01") == b"R\x01\x80\0\x01"
        assert terminal.presses(b"print(2)\x04", b"\x04>") == b"\x042\r\n\x04\x04>"
        assert terminal.presses(b"\x02").startswith(b"\r\nMicroPython ")
        assert terminal.presses(b"\x05", b"=== ").endswith(b"Ctrl-D to finish\r\n=== ")
        assert terminal.presses(b"print(3)\r\x04") == b"print(3)\r\n=== \r\n3\r\n>>> "


def test_a_soft_reset_runs_boot_and_main_on_a_fresh_heap(board):
    write(board, "boot.py", "x = 1\nprint('boot')\n")
    write(board, "main.py", "print('main', x)\nraise ValueError('no')\n")
    with Terminal(board) as terminal:
        terminal.types("old = bytearray(50000)")
        assert terminal.presses(b"\x04", b"\r\nMicroPython ") == (
            b"\r\nMPY: soft reboot\r\nboot\r\nmain 1\r\nTraceback (most recent call last):\r\n"
            b'  File "main.py", line 2, in <module>\r\nValueError: no\r\nMicroPython '
        )
        assert terminal.types("print(x, 'old' in globals())") == "1 False\r\n"


def test_a_soft_reset_writes_what_nobody_closed(board):
    with Terminal(board) as terminal:
        terminal.types("f = open('late', 'w'); n = f.write('kept')")
        terminal.presses(b"\x04")
        assert terminal.types("print(open('late').read())") == "kept\r\n"


def test_system_exit_in_main_is_a_soft_reset(board):
    write(board, "main.py", "import os, sys\nos.remove('main.py')\nprint('once')\nsys.exit()\n")
    mark = board.output.mark()
    board.reset()
    board.output.wait_for("^once\nMPY: soft reboot\nMicroPython ", since=mark)


def test_ctrl_c_breaks_an_endless_main(board):
    write(board, "main.py", "import time\nprint('on')\nwhile True:\n    time.sleep(1000)\n")
    with Terminal(board) as terminal:
        terminal.presses(b"\x04", b"on\r\n")
        assert terminal.presses(b"\x03").startswith(
            b'Traceback (most recent call last):\r\n  File "main.py", line 4, in <module>\r\n'
            b"KeyboardInterrupt: \r\nMicroPython "
        )
        assert b"KeyboardInterrupt" in terminal.presses(b"\x04\x03", b"\r\nMicroPython ")


@pytest.mark.parametrize(
    "program",
    [
        "while True: pass",
        "while True: x = [[] for _ in range(100)]",
        "while True:\n with open('f', 'w') as f: f.write('x' * 500) and None",
        "import time\ntime.sleep_ms(1000000)",
        "import select, sys\np = select.poll(); p.register(sys.stdin, 1)\np.poll(1000000)",
        "import socket\ns = socket.socket(2, 2)\n"
        "s.bind(socket.getaddrinfo('127.0.0.1', 0)[0][-1])\ns.recvfrom(9)",
        "import asyncio\nasync def f():\n while True: await asyncio.sleep(9)\nasyncio.run(f())",
    ],
)
def test_ctrl_c_is_as_safe_as_on_a_board(board, program):
    with Terminal(board) as terminal:
        for i in range(15):
            terminal.pastes(program)
            time.sleep(0.001 * i)  # another moment of the program each time
            assert b"KeyboardInterrupt: \r\n" in terminal.presses(b"\x03\x03")
            assert terminal.types("len([0] * 500)").endswith("500\r\n")
    assert board.resets == ("power on",)


def test_the_heap_is_as_large_as_promised():
    for heap, fits, too_much in (("96K", 60_000, 96 * 1024), ("192K", 150_000, 192 * 1024)):
        with VirtualBoard(heap=heap) as board, Terminal(board) as terminal:
            terminal.types("import gc; gc.collect()")
            free = int(terminal.types("gc.mem_free()"))
            # What is mounted takes some, LittleFS's buffers of Pico W's size among it.
            assert board.heap_size - 14 * 1024 < free < board.heap_size, heap
            assert terminal.types(f"x = bytearray({fits}); del x") == ""
            assert "MemoryError" in terminal.types(f"x = bytearray({too_much})")
            assert terminal.types("print('alive')") == "alive\r\n"


def test_a_starved_watchdog_resets_the_board(board):
    write(
        board,
        "main.py",
        "import machine, time\nprint('cause', machine.reset_cause())\n"
        "if machine.reset_cause() != 3:\n w = machine.WDT(timeout=150)\n"
        " for _ in range(4):\n  time.sleep_ms(80); w.feed()\n print('fed')\n while True: pass\n",
    )
    mark = board.output.mark()
    board.reset()
    board.output.wait_for("cause 2\nfed\ncause 3\n", since=mark)
    assert board.resets[-1] == "watchdog"


_SLEEPER = """
import machine
rtc = machine.RTC()
print('cause', machine.reset_cause(), rtc.memory(), machine.ADC(26).read_u16())
if len(rtc.memory()) < 2:
    rtc.memory(rtc.memory() + b'z')
    machine.deepsleep(50)
print('awake')
"""


def test_deep_sleep_ends_everything_but_the_rtc_memory(board):
    write(board, "main.py", _SLEEPER)
    board.set_analog(26, 513)
    mark = board.output.mark()
    board.reset()
    wakes = "cause 2 b'' 513\ncause 4 b'z' 513\ncause 4 b'zz' 513\nawake"
    board.output.wait_for(wakes, since=mark)
    assert board.resets[-3:] == ("hard reset", "deep sleep", "deep sleep")
    mark = board.output.mark()
    board.power_cut()
    board.power_on()
    board.output.wait_for("cause 1 b'' 513\n", since=mark)


def test_the_reset_button_ends_a_deep_sleep(board):
    for ms in ("", "3600000"):
        write(
            board,
            "main.py",
            "import machine\nprint('cause', machine.reset_cause())\n"
            f"if machine.reset_cause() == 1:\n machine.deepsleep({ms})\n",
        )
        mark = board.output.mark()
        board.power_cut()
        board.power_on()
        board.output.wait_for("cause 1\n", since=mark)
        board.reset()
        board.output.wait_for("cause 2\n", since=mark)


def test_the_rtc_memory_is_that_of_an_esp32_and_an_analog_input_has_16_bits(board):
    with Terminal(board) as terminal:
        terminal.types("from machine import *")
        terminal.types("RTC().memory(bytes(range(256)) * 8)")
        assert terminal.types("RTC().memory() == bytes(range(256)) * 8") == "True\r\n"
        assert "ValueError: buffer too long" in terminal.types("RTC().memory(bytes(2049))")
        assert terminal.types("ADC(Pin(3)).read_u16()") == "0\r\n"
        board.set_analog(3, 65535)
        assert terminal.types("ADC(Pin(3)).read_u16()") == "65535\r\n"
        assert "ValueError: invalid pin" in terminal.types("ADC(48)")
    with pytest.raises(ValueError, match="analog value 65536: 0 to 65535"):
        board.set_analog(3, 65536)


def test_pins_and_identity(board):
    with Terminal(board) as terminal:
        terminal.types("from machine import *")
        terminal.types("led, key = Pin('LED', Pin.OUT), Pin(0, Pin.IN, Pin.PULL_UP)")
        terminal.types("led.on()")
        said = terminal.types("print(led(), key.value(), len(unique_id()), freq() > 0)")
        assert said == "1 1 6 True\r\n"
        assert (board.pin(25), board.pin(0)) == (1, None)
        board.set_pin(0, 0)
        assert terminal.types("led.toggle(); print(key.value())") == "0\r\n"
        assert board.pin(25) == 0


def test_a_crash_of_the_interpreter_is_a_reset(board):
    with Terminal(board) as terminal:
        terminal.types("import uctypes")
        terminal.presses(b"uctypes.bytearray_at(8, 1)[0] = 1\r", b"\r\nMicroPython ")
    board.output.wait_for(r"ended by signal \d+\nMicroPython ")
    assert board.resets == ("power on", "crash")


def test_what_nobody_reads_does_not_hold_the_board_up(board):
    write(board, "main.py", "for i in range(5000): print(i, 'x' * 60)\nwhile True: pass\n")
    mark = board.output.mark()
    board.reset()
    board.output.wait_for("\n4999 x", since=mark)
    assert mpremote(board, "exec", "print('still here')") == "still here\n"


def test_a_port_may_be_opened_and_closed_again_and_again(board):
    for i in range(50):
        with Terminal(board) as terminal:
            assert terminal.types(f"{i} + 1000") == f"{i + 1000}\r\n"


def test_the_console_is_read_line_by_line_while_nobody_has_the_port(board):
    write(board, "main.py", "for i in range(3): print('{\"n\": %d}' % i)\nraise SystemExit\n")
    mark = board.output.mark()
    board.reset()
    lines = board.output.lines(since=mark)
    assert [next(lines) for _ in range(4)] == ['{"n": %d}' % i for i in range(3)] + [
        "MPY: soft reboot"
    ]
    board.stop()
    for line in lines:  # ends, because the board has
        assert line in ("MPY: soft reboot", '{"n": 0}', '{"n": 1}', '{"n": 2}')
