"""What a person types at the REPL: `from msgin5g import repl`, then `repl.help()`.

It works at the prompt while the node runs in asyncio, after Ctrl-C, and on a board that does not
run at all, whose settings and stored configuration it then opens. Inspecting a board is read-only.
What the commands do is in commands.py.
"""

from msgin5g import node
from msgin5g.repl import commands


def status():
    """What runs, its peers, its counters, and how much memory is free."""
    _do(commands.status)


def config():
    """The configuration that runs."""
    _do_with_configuration(commands.config)


def diff():
    """What the newest configuration changes compared with the one before."""
    _do_with_configuration(commands.diff)


def history():
    """What happened to the configurations since the start."""
    _do_with_configuration(commands.history)


def why():
    """Why this configuration runs, and why another one does not."""
    _do_with_configuration(commands.why)


def confirm():
    """Keep the configuration that is on trial."""
    _do_with_configuration(commands.confirm)


def rollback():
    """Go back to the last good configuration."""
    _do_with_configuration(commands.rollback)


def factory_reset(word=None):
    """Remove all configuration: factory_reset("erase")."""
    _do_with_configuration(commands.factory_reset, word)


def fetch():
    """Ask for the configuration now."""
    _do_with_configuration(commands.fetch)


def trace(seconds=30):
    """Show messages as they are sent and received; trace(0) ends it."""
    _do(commands.trace, seconds)


def links():
    """The next hop and the linked UEs of this node."""
    _do(commands.links)


def help(name=None):
    """The commands, or what one of them does: help("diff")."""
    commands.help(name)


def _do(command, *arguments):
    """Run a command with the current node; open one that does not run if there is none."""
    if node.current is None:
        from msgin5g.builder import open_node  # main has dropped it, or never ran

        open_node("settings.json", "/", None, False, False, None, "app", False)
    if node.current is not None:
        command(node.current, *arguments)


def _do_with_configuration(command, *arguments):
    """Run a command about the node's own configuration."""
    _do(_if_configured, command, *arguments)


def _if_configured(current, command, *arguments):
    if current.configuration is None:
        role = current.about["role"]
        print("This node has no configuration of its own: " + role + ".")
    else:
        command(current, *arguments)
