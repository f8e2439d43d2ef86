"""The NameLookup of a node; most nodes have nothing to look up, and load none."""

from msgin5g.port.resolver import look_up
from msgin5g.port.system import random_byte, ticks_ms


def new_name_lookup(radios):
    """A NameLookup; radios: the Radios of the node, or None."""
    from msgin5g.services.name_lookup import NameLookup

    return NameLookup(look_up, radios.is_up if radios else _always, ticks_ms, random_byte)


def resolver_of(node):
    """NameLookup.resolve of a Node; its NameLookup is made when there is something to resolve."""

    def resolve(host, port):
        if node.name_lookup is None:
            new_name_lookup(node.radios).join(node)
        return node.name_lookup.resolve(host, port)

    return resolve


def _always():
    return True
