"""HTML from Python: every text and every value is escaped here, and nowhere else.

    tag("td", document_id)                     text is escaped, and shown on one line
    tag("a", "edit", href=url("/x", id=name))  so are values of attributes
    Html("<br>")                               what is HTML already stays

Control characters, marks of direction and the like are shown as escapes: a name that a peer has
chosen cannot turn the line around.
"""

import html
from urllib.parse import quote, urlencode

from msgin5g_tools.text import printable

_VOID = {"br", "col", "hr", "img", "input", "link", "meta"}


class Html(str):
    """Text that is HTML, made by the functions here."""


def escaped(value):
    """A text on one line as Html; Html stays what it is, None is nothing."""
    if isinstance(value, Html):
        return value
    text = "" if value is None else str(value)
    return Html(html.escape(text if text.isprintable() else printable(text)))


def block(text):
    """A text of several lines as Html, for <pre> and <textarea>."""
    return Html("\n".join(map(escaped, text.split("\n"))))


def join(*children):
    """Texts, Html, and lists of them, one after the other."""
    parts = []
    for child in children:
        parts.append(join(*child) if isinstance(child, (list, tuple)) else escaped(child))
    return Html("".join(parts))


def tag(name, /, *children, **attributes):
    """An element. class_ and for_ are `class` and `for`; an underscore is a hyphen.

    True is an attribute without a value; None and False leave it out.
    """
    made = []
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            made.append(f" {key}")
        elif value is not None and value is not False:
            made.append(f' {key}="{html.escape(str(value))}"')
    opened = f"<{name}{''.join(made)}>"
    return Html(opened if name in _VOID else f"{opened}{join(*children)}</{name}>")


def url(path, **query):
    """A path of ours with a query; what is None is left out."""
    pairs = {key: value for key, value in query.items() if value is not None}
    return path + (f"?{urlencode(pairs, quote_via=quote)}" if pairs else "")
