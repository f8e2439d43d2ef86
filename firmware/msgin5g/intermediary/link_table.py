"""The one-to-one ProSe direct links of a relay or gateway (TS 23.304, TS 24.538 6.2.2.1).

The table changes only by `up` and `down`: a datagram never adds a link, because a source address
proves nothing about one.
"""


class LinkedUe:
    """A UE with an established one-to-one link: its identity (bytes) and where it is reached.

    flows: what a relay has under way for it, the oldest first; n_requests: how many of them do
    not observe yet. observers: what it observes at a gateway, the oldest first. request,
    request_key, asked_at: its newest request to a gateway, see gateway/pending_requests.
    permission: which document a gateway may give it from its cache, see gateway/cache.
    retry_at: when it is to come again after it was refused, see Admission.
    """

    flows = ()
    n_requests = 0
    observers = ()
    permission = None
    retry_at = None

    def __init__(self, ue_id, transport, remote):
        self.ue_id = ue_id
        self.transport = transport
        self.remote = remote


class LinkTable:
    """At most max_links linked UEs, found by MSGin5G UE ID and by address.

    peer_key: see Endpoint. A link that comes up for a known UE replaces its former one. Iterating
    gives the linked UEs in no particular order; do not change the table meanwhile.
    """

    def __init__(self, max_links=32, peer_key=None):
        self.max_links = max_links
        self._peer_key = peer_key
        self._by_id = {}
        self._by_remote = {}

    def __len__(self):
        return len(self._by_id)

    def __iter__(self):
        return iter(self._by_id.values())

    def up(self, ue_id, transport, remote):
        """A link is established; false when the table is full or another UE has the address."""
        key = self._key(remote)
        other = self._by_remote.get(key)
        if other is not None and other.ue_id != ue_id:
            return False
        known = self._by_id.get(ue_id)
        if known is not None:
            if known.transport == transport and known.remote == remote:
                return True  # reported twice: what is under way for it goes on
            del self._by_remote[self._key(known.remote)]
        elif len(self._by_id) >= self.max_links:
            return False
        self._by_id[ue_id] = self._by_remote[key] = LinkedUe(ue_id, transport, remote)
        return True

    def down(self, ue_id):
        """A link has ended; gives its LinkedUe, or None when there was none."""
        ue = self._by_id.pop(ue_id, None)
        if ue is not None:
            del self._by_remote[self._key(ue.remote)]
        return ue

    def of_ue(self, ue_id):
        """The LinkedUe with this MSGin5G UE ID (bytes), or None."""
        return self._by_id.get(ue_id)

    def has_moved(self, ue_id, transport, remote):
        """Whether the UE is linked at another address."""
        ue = self._by_id.get(ue_id)
        return ue is not None and (ue.transport != transport or ue.remote != remote)

    def from_address(self, transport, remote):
        """The LinkedUe that a datagram came from, or None."""
        known = self._by_remote.get(remote if self._peer_key is None else self._peer_key(remote))
        return known if known is not None and known.transport == transport else None

    def _key(self, remote):
        return remote if self._peer_key is None else self._peer_key(remote)
