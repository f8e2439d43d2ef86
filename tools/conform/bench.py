"""What the benches of all roles share: message IDs, and sockets that close together."""

import secrets

from msgin5g_tools.conform.station import AddressError, open_station

_TWO_BYTES = 0xFFFF


class Bench:
    """The kit's side of one run; `async with` opens and closes it."""

    def __init__(self, profile):
        self.profile = profile
        self._mid = secrets.randbelow(_TWO_BYTES + 1)
        self._stations = []

    async def __aenter__(self):
        try:
            await self.start()
        except AddressError:
            self._close()
            raise
        return self

    async def __aexit__(self, *_):
        self._close()

    async def start(self):
        """Open the sockets and find the implementation; AddressError when that is impossible."""
        raise NotImplementedError

    def new_case(self):
        """The Case of one check."""
        raise NotImplementedError

    def new_mid(self):
        self._mid = (self._mid + 1) & _TWO_BYTES
        return self._mid

    async def station(self, bind):
        """A Station at (host, port), which closes with the bench."""
        station = await open_station(bind)
        self._stations.append(station)
        return station

    def _close(self):
        for station in self._stations:
            station.close()
