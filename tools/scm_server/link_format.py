"""CoRE Link Format (RFC 6690): links as text, and the filter of a client."""

from collections import namedtuple

CONTENT_FORMAT = 40

# attributes: dict of name and value, both text; a value may be a list separated by spaces.
Link = namedtuple("Link", "href attributes")

_LISTS = ("rt", "if", "rel", "ct")


def text(links):
    """These links as a payload."""
    return ",".join(map(_link, links)).encode()


def _link(link):
    return f"<{link.href}>" + "".join(f';{n}="{v}"' for n, v in link.attributes.items())


def matches(link, item):
    """Whether a link passes the filter `name=value` or `name=prefix*` (section 4.1).

    A link without the attribute does not pass. An item that is not a filter lets every link pass.
    """
    name, equals, wanted = item.partition("=")
    if not equals:
        return True
    value = link.href if name == "href" else link.attributes.get(name)
    if value is None:
        return False
    values = value.split() if name in _LISTS else [value]
    if wanted.endswith("*"):
        return any(each.startswith(wanted[:-1]) for each in values)
    return wanted in values
