"""What a person types at the REPL: `from msgin5g import repl`, then `repl.help()`.

It works at the prompt while the node runs in asyncio, after Ctrl-C, and on a board that does not
run at all, whose settings and store it then opens. What a command needs is loaded while it runs.
"""

import sys

from msgin5g.port.system import ticks_ms
from msgin5g.unload import unload


def status():
    """What runs, with whom it talks, and how much memory is left."""
    from msgin5g.repl.do_status import status

    _do(False, status)


def config():
    """The configuration that runs."""
    from msgin5g.repl.do_config import config

    _do(True, config)


def diff():
    """What the newest configuration changes in the one before."""
    from msgin5g.repl.do_config import diff

    _do(True, diff)


def history():
    """What has become of the configurations since the start."""
    from msgin5g.repl.do_story import history

    _do(True, history)


def why():
    """Why this configuration runs, and why another one does not."""
    from msgin5g.repl.do_story import why

    _do(True, why)


def confirm():
    """Keep the configuration that is on trial."""
    from msgin5g.repl.do_change import confirm

    _do(True, confirm)


def rollback():
    """Go back to the last good configuration."""
    from msgin5g.repl.do_change import rollback

    _do(True, rollback)


def factory_reset(word=None):
    """Remove all configuration: factory_reset("erase")."""
    from msgin5g.repl.do_change import factory_reset

    _do(True, factory_reset, word)


def fetch():
    """Ask for the configuration now."""
    from msgin5g.repl.do_net import fetch

    _do(True, fetch)


def trace(seconds=30):
    """Show messages as they go out and come in; trace(0) ends it."""
    from msgin5g.repl.do_net import trace

    _do(False, trace, seconds)


def links():
    """The links of this node, and who is at their other ends."""
    from msgin5g.repl.do_status import links

    _do(False, links)


def help(name=None):
    """The commands, or what one of them does: help("diff")."""
    from msgin5g.repl.do_help import help

    help(name)
    unload("repl.do_help")


def _do(own, command, *arguments):
    """own: whether the command is about a configuration of the node's own."""
    from msgin5g import main

    if main.node is None:
        main.open_node("settings.json", "/", None, False, False, None, "app", False)
        if main.node is not None and main.node.configuration:
            # Nothing runs that the time of a trial could be about: it is never up.
            main.node.configuration.pause_timers(ticks_ms())
    node = main.node
    if node is not None:
        if own and node.configuration is None:
            print("This node has no configuration of its own: " + node.about["role"] + ".")
        else:
            command(node, *arguments)
    for name in ("status", "config", "story", "change", "net", "text"):
        if "msgin5g.repl.do_" + name in sys.modules:
            unload("repl.do_" + name)
    unload("configuration.public")
