"""Boards at the end of a serial port: what is on them, what shall be, and how it gets there.

errors.py     the exit statuses
boards.py     MicroPython's boards and where their file systems are
bundle.py     the files of a role, compiled
settings_check.py  settings and secrets, checked before a board is touched
checks.py     what doctor checks
session.py    the raw REPL, through mpremote or ampy
programs.py   what runs on the board
inventory.py  what is there, what is to be done
install.py    the installation, so that the board boots at any moment
scratch_folder.py  for the files of a test run
events.py     what the firmware prints
watch.py      the first boot
flashing.py   all of it for one board
ports.py      several boards at once
progress.py   one line a board
"""
