"""The one-to-one ProSe direct links of a relay or gateway (TS 23.304, TS 24.538 6.2.2.1).

The table changes only by `up` and `down`: a datagram never adds a link, because a source address
proves nothing about one.
"""


class LinkedUe:
    """An established one-to-one link: the UE's identity (bytes) and where it is reached.

    n_requests: how many a relay has under way for it, observations apart.
    """

    n_requests = 0

    def __init__(self, ue_id, transport, remote):
        self.ue_id = ue_id
        self.transport = transport
        self.remote = remote


class LinkTable:
    """At most max_links links, found by MSGin5G UE ID and by address.

    peer_key: see Endpoint. kind: Link, or a class made of it. A link that comes up for a known UE
    replaces its former one.
    """

    def __init__(self, max_links=32, peer_key=None, kind=LinkedUe):
        self.max_links = max_links
        self._kind = kind
        self._peer_key = peer_key
        self._by_id = {}
        self._by_remote = {}

    def __len__(self):
        return len(self._by_id)

    def up(self, ue_id, transport, remote):
        """A link is established; false when the table is full or another UE has the address."""
        key = self._key(remote)
        other = self._by_remote.get(key)
        if other is not None and other.ue_id != ue_id:
            return False
        known = self._by_id.get(ue_id)
        if known is not None:
            if known.transport == transport and known.remote == remote:
                return True  # told twice: what is under way for it goes on
            del self._by_remote[self._key(known.remote)]
        elif len(self._by_id) >= self.max_links:
            return False
        self._by_id[ue_id] = self._by_remote[key] = self._kind(ue_id, transport, remote)
        return True

    def down(self, ue_id):
        """A link has ended; gives it, or None when there was none."""
        transport = self._by_id.pop(ue_id, None)
        if transport is not None:
            del self._by_remote[self._key(transport.remote)]
        return transport

    def of_ue(self, ue_id):
        """The link of a UE (bytes), or None."""
        return self._by_id.get(ue_id)

    def from_address(self, transport, remote):
        """The link that a datagram came over, or None."""
        known = self._by_remote.get(remote if self._peer_key is None else self._peer_key(remote))
        return known if known is not None and known.transport == transport else None

    def all(self):
        """The links, in no particular order."""
        return list(self._by_id.values())

    def _key(self, remote):
        return remote if self._peer_key is None else self._peer_key(remote)
