"""repl.config() and repl.diff()."""

from msgin5g.config.record import BAD, TRIAL
from msgin5g.repl.do_text import plain, shown, wrapped


def config(node):
    lifecycle = node.configuration
    configuration = lifecycle.configuration
    if configuration is None:
        print("There is no configuration yet.")
        return
    defaults = {rule[0]: rule[3] for rule in lifecycle.schema.rules}
    for key in sorted(list(configuration) + [k for k in defaults if k not in configuration]):
        text = "not set"
        name = plain(key)
        if key in configuration:
            text = shown(key, configuration[key])
            if key not in defaults:
                text += "  (not known here)"
            elif configuration[key] == defaults[key]:
                text += "  (the default)"
        if len(name) > 24:
            wrapped(name, "  ", "    ")
            wrapped(text, "    ", "    ")
        else:
            wrapped(text, "  " + name + " " * (25 - len(name)), " " * 27)
    if lifecycle.etag:
        from binascii import hexlify

        wrapped(hexlify(lifecycle.etag).decode(), "  (ETag)" + " " * 19)


def diff(node):
    new = node.configuration.stored(True)
    old = node.configuration.stored(False)
    if not new or not old:
        print("There are no two configurations to compare.")
        return
    print("- before: " + _name(old) + "\n+ newest: " + _name(new))
    before = old[1] or {}
    after = new[1] or {}
    keys = [k for k in before if k not in after or after[k] != before[k]]
    keys += [k for k in after if k not in before]
    for key in sorted(keys):
        if key in before:
            wrapped(key + ": " + shown(key, before[key]), "  - ", "    ")
        if key in after:
            wrapped(key + ": " + shown(key, after[key]), "  + ", "    ")
    if not keys:
        print("  The values are the same.")


def _name(stored):
    state = stored[0]
    text = "on trial" if state == TRIAL else "rolled back" if state == BAD else "good"
    return text if stored[1] else text + ", and does not fit what the application declares"
