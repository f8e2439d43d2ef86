"""Which requests have been seen, and what was sent for them (RFC 7252 section 4.5).

An entry is the datagram of the response, and lasts EXCHANGE_LIFETIME. The number of entries is
limited for each host and in all, so that a flood, also one with forged sources, takes a limited
amount of memory. The oldest entry is dropped: its request is processed again if it is repeated
so much later.
"""

from msgin5g_tools.scm_server.duplicates_table import DuplicatesTable

MAX_ENTRIES = 32_768
MAX_OF_HOST = 4096
_FEW = 1024  # entries, for which the table is not made smaller


class Duplicates:
    """Entries by key: a flat tuple that begins with the host and ends with the message ID.

    Of requests with the same key only the newest is remembered. Keys, tokens and hosts are
    compared by their hashes, which nobody outside can foresee; hosts of which 16 bits are equal
    have their limit together.
    """

    def __init__(self, lifetime_s, now, max_entries=MAX_ENTRIES, max_of_host=MAX_OF_HOST):
        self._lifetime_s = lifetime_s
        self._now = now
        self._max_entries = max_entries
        self._max_of_host = max_of_host
        self._table = DuplicatesTable(max_entries)

    def __len__(self):
        return self._table.n_entries

    @property
    def n_rows(self):
        """How many entries its memory is for: the most that there were since it was small."""
        return self._table.n_rows

    def is_remembered(self, key, token):
        """Whether there was a request with this key and this token."""
        entry = self._table.find(hash(key))
        return entry != 0 and self._table.token[entry] == hash(token)

    def add(self, key, token):
        """Remember a new request, in place of one with the same key."""
        self.expire()
        table, number, host = self._table, hash(key), hash(key[0]) & 0xFFFF
        former = table.find(number)
        if former:
            table.disown(former)
        if table.n_of_host[host] >= self._max_of_host:
            table.remove(table.oldest_of_host[host])
        if table.n_entries >= self._max_entries:
            table.remove(table.oldest)
        table.add(number, host, hash(token), self._now() + self._lifetime_s)

    def answered(self, key, token, datagram):
        """Keep the response to a request, if that is still remembered.

        token: None for an acknowledgement, which has none.
        """
        table = self._table
        entry = table.find(hash(key))
        if entry and (token is None or table.token[entry] == hash(token)):
            table.keep(entry, datagram)

    def datagram(self, key):
        """What was sent for this request; None for nothing, and for more than MAX_DATAGRAM."""
        return self._table.datagram(self._table.find(hash(key)))

    def expire(self):
        table, now = self._table, self._now()
        while table.n_entries and table.expires_at[table.oldest] <= now:
            table.remove(table.oldest)
        if table.n_rows > 8 * table.n_entries + _FEW:
            # After a flood: the memory of a table goes back to the system as a whole.
            self._table = table.copy()
