"""Run the packaged MicroPython with a Ctrl-C that is raised where a board raises it.

The Unix port turns SIGINT into KeyboardInterrupt inside the signal handler, wherever the program
happens to be: in the middle of a garbage collection that ends the interpreter more often than
not. A board only marks the exception as pending, and the VM raises it at its next safe point.
SIGUSR2 does the same here: its handler is MicroPython's own function for that mark. A mark set
just before a system call that waits would not be seen until that returns; SIGURG does nothing but
end such a wait, and the supervisor sends it a moment later.
"""

import ctypes
import signal
import sys

import micropython_run


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
    return micropython_run.run_main(["micropython", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
