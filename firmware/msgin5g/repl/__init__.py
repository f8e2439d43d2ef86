"""What a person types at the REPL: `from msgin5g import repl`, then `repl.help()`.

It works at the prompt while the node runs in asyncio, after Ctrl-C, and on a board that does not
run at all, whose settings and stored configuration it then opens. Inspecting a board is read-only.
What the commands do is in commands.py.
"""

from msgin5g import node

# These are about a configuration of the node's own.
_ABOUT_CONFIGURATION = (
    "config", "diff", "history", "why", "confirm", "rollback", "factory_reset", "fetch"
)  # fmt: skip


def status():
    """What runs, its peers, its counters, and how much memory is free."""
    _do("status")


def config():
    """The configuration that runs."""
    _do("config")


def diff():
    """What the newest configuration changes compared with the one before."""
    _do("diff")


def history():
    """What happened to the configurations since the start."""
    _do("history")


def why():
    """Why this configuration runs, and why another one does not."""
    _do("why")


def confirm():
    """Keep the configuration that is on trial."""
    _do("confirm")


def rollback():
    """Go back to the last good configuration."""
    _do("rollback")


def factory_reset(word=None):
    """Remove all configuration: factory_reset("erase")."""
    _do("factory_reset", word)


def fetch():
    """Ask for the configuration now."""
    _do("fetch")


def trace(seconds=30):
    """Show messages as they are sent and received; trace(0) ends it."""
    _do("trace", seconds)


def links():
    """The next hop and the linked UEs of this node."""
    _do("links")


def link_up(ue_id, host, port=65401):
    """Link a UE: link_up("urn:x-msgin5g:ue:0007", "192.168.4.2")."""
    _do("link_up", ue_id, host, port)


def link_down(ue_id):
    """End the link of a UE: link_down("urn:x-msgin5g:ue:0007")."""
    _do("link_down", ue_id)


def help(name=None):
    """The commands, or what one of them does: help("diff")."""
    _commands().help(name)


def _do(name, *arguments):
    """Run a command for the current node; open one that does not run if there is none."""
    if node.current is None:
        _open_node()
    current = node.current
    if current is None:
        return
    if current.configuration is None and name in _ABOUT_CONFIGURATION:
        role = current.about["role"]
        print("This node has no configuration of its own: " + role + ".")
    else:
        getattr(_commands(), name)(current, *arguments)


def _open_node():
    """Open a node to inspect it; main has dropped these modules, or never ran."""
    from msgin5g.builder import open_node
    from msgin5g.settings import load

    settings = load("settings.json")
    if settings is not None:
        open_node(settings, "/", application="app", runs=False)


def _commands():
    # They take 20 KB of heap, which a prompt that nobody uses leaves to the node.
    from msgin5g.repl import commands

    return commands
