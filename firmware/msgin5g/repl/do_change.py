"""repl.confirm(), repl.rollback() and repl.factory_reset()."""

from msgin5g.config.record import TRIAL
from msgin5g.config.store import StorageError
from msgin5g.port.system import ticks_ms
from msgin5g.repl.do_text import unchecked, wrapped


def confirm(node):
    if node.configuration.state == TRIAL and unchecked(node):
        return
    if node.configuration.confirm(ticks_ms()):
        print("Confirmed: this configuration is kept.")
    else:
        print("Nothing is on trial.")


def rollback(node):
    if node.configuration.roll_back(ticks_ms()):
        wrapped("Rolled back: the configuration before it runs, until the server's document "
                "changes.")  # fmt: skip
    else:
        print("There is no good configuration to go back to.")


def factory_reset(node, word):
    if word != "erase":
        wrapped("This removes every configuration that is stored. The settings, the application "
                "and your files stay. If that is what you want:")  # fmt: skip
        print('  repl.factory_reset("erase")')
        return
    try:
        node.configuration.remove_all(ticks_ms())
        print("All configuration is removed. The next fetch brings a first one.")
    except StorageError as error:
        print("Not done, " + str(error))
