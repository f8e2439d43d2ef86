"""Run the packaged MicroPython with a Ctrl-C that is raised where a board raises it.

The Unix port turns SIGINT into KeyboardInterrupt inside the signal handler, wherever the program
happens to be: in the middle of a garbage collection that ends the interpreter more often than
not. A board only marks the exception as pending, and the VM raises it at its next safe point.
SIGUSR2 does the same here: its handler is MicroPython's own function for that mark. A mark set
just before a system call that waits would not be seen until that returns; SIGURG does nothing but
end such a wait, and the supervisor sends it a moment later.

With --sigint before MicroPython's own arguments SIGINT does so, too, for programs that people end
at a terminal: a thread takes it, sets the mark and sends SIGURG.
"""

import ctypes
import os
import signal
import sys
import threading
import time

import micropython_run

_N_NUDGES = 20
_NUDGE_S = 0.02


def main():
    interpreter = ctypes.CDLL(micropython_run.__file__)
    libc = ctypes.CDLL(None)
    libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    for number, handler in (
        (signal.SIGUSR2, interpreter.mp_sched_keyboard_interrupt),
        (signal.SIGURG, libc.getpid),  # a function without effect
    ):
        libc.signal(number, ctypes.cast(handler, ctypes.c_void_p))
        signal.siginterrupt(number, True)  # a system call that waits ends with EINTR
    if sys.argv[1:2] == ["--sigint"]:
        os._exit(_run_beside(interpreter, ["micropython", *sys.argv[2:]]))
    return micropython_run.run_main(["micropython", *sys.argv[1:]])


def _run_beside(interpreter, arguments):
    """MicroPython's exit status; Python's threads run beside it, which run_main does not allow."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    details = (interpreter.mp_sched_keyboard_interrupt, threading.get_ident())
    threading.Thread(target=_interrupt, args=details, daemon=True).start()
    argv = (ctypes.c_char_p * (len(arguments) + 1))(*map(os.fsencode, arguments))
    return interpreter.micropython_unix_main(len(arguments), argv)


def _interrupt(mark, thread):
    """Take each SIGINT in the place of the thread that runs MicroPython."""
    while True:
        signal.sigwait({signal.SIGINT})
        mark()
        for _ in range(_N_NUDGES):
            signal.pthread_kill(thread, signal.SIGURG)
            time.sleep(_NUDGE_S)
        if signal.SIGINT in signal.sigpending():
            # The same once more: a terminal sends it to the child as well as to its parent.
            signal.sigwait({signal.SIGINT})


if __name__ == "__main__":
    sys.exit(main())
