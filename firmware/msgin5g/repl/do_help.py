"""repl.help(): a line, and a few more, for each command."""

from msgin5g.repl.do_text import wrapped

_TEXTS = (
    ("status", "what runs, with whom it talks, memory", "What runs, whether its configuration is "
     "good, on trial or rolled back, and what it has dropped, by reason."),
    ("config", "the configuration that runs", "Every key that the configuration has or "
     "could have. Values of keys that sound secret are not shown."),
    ("diff", "what the newest configuration changes", "The keys in which the newest stored "
     "configuration (+) differs from the one before (-)."),
    ("history", "what has become of configurations", "What happened since the start, and how "
     "long ago. It is kept in memory, so a reset empties it."),
    ("why", "why this configuration runs", "Why this configuration runs, why the last one was "
     "refused or rolled back, what the check by ping says, and what ended the application."),
    ("confirm", "keep the configuration on trial", "The configuration on trial works: it is the "
     "good one now."),
    ("rollback", "go back to the last good one", "Brings the good configuration before this one "
     "back. The server's document is not tried again until it changes."),
    ("fetch", "ask for the configuration now", "Asks the server now. The answer is told when "
     "it comes; when the node is stopped this waits for it, up to 30 s."),
    ("trace", "show messages: trace(60), trace(0)", "Shows messages in a line each. "
     "While the node runs: until repl.trace(0). Stopped: it works for that many seconds."),
    ("links", "the next hop, the linked UEs", "The next hop of a UE; the linked UEs of a relay "
     "or gateway; datagrams that the network did not take."),
    ("factory_reset", "remove all configuration", 'With "erase" it removes every stored '
     "configuration; the settings stay. So does holding the button "
     "of button_pin for 10 s."),
    ("help", 'this list; help("diff"): more', "The commands, or what one of them does."),
)  # fmt: skip


def help(name):
    name = getattr(name, "__name__", name)
    for command, short, long in _TEXTS:
        if name is None:
            print("  repl." + command + "()" + " " * (17 - len(command)) + short)
        elif name == command:
            print("repl." + command + "()")
            wrapped(long, "  ", "  ")
            return
    if name is not None:
        print("There is no repl." + str(name) + "(); repl.help() lists what there is.")
