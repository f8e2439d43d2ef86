"""What the checks of a relay share."""

import asyncio

from msgin5g_tools.conform.between import Between, BetweenCase
from msgin5g_tools.conform.case import require
from msgin5g_tools.conform.check import Checks, Failure
from msgin5g_tools.conform.wire import NOT_FOUND

checks = Checks("relay")
_SETTLING_S = 0.05
PARALLEL = 3  # a UE may have few requests under way


class RelayCase(BetweenCase):
    """One check of a relay. A marker in the path shows at the server whose request arrives."""

    async def __aenter__(self):
        await super().__aenter__()
        self._up = self._uri = None
        self._is_answered = False
        return self

    async def __aexit__(self, *_):
        # What is still under way gets an end, so that it takes no room from other checks.
        if self._up is not None and not self._is_answered:
            n_sent = len(self.sent)
            self.answer(self._up, NOT_FOUND, recipient=self._uri)
            del self.sent[n_sent:]
            await asyncio.sleep(_SETTLING_S)

    def is_mine(self, arrival):
        message = arrival.message
        return message is not None and message.is_request and self.marker in message.path

    async def up(self, ue=None, limit_s=None, wanted=None):
        """The Arrival at the server of the request of this check; Failure without one."""
        limit_s = self.limit_s if limit_s is None else limit_s
        arrival = await self.server.next(wanted or self.is_mine, limit_s)
        message = self.take(arrival)
        require(message is not None, "the request did not reach the server")
        self._up, self._uri = arrival, (ue or self.ue).uri
        return arrival

    def answer(self, up, *arguments, ends=True, **how):
        """As BetweenCase. ends: whether the relay is to take it as the response."""
        if ends:
            self._is_answered = True
        return super().answer(up, *arguments, **how)

    async def forwarded(self, request=None):
        """(request, Arrival at the server) of a GET that is meant for the server."""
        request = self.ask(request or self.request())
        return request, await self.up()

    async def through(self, code, **how):
        """The response that the UE gets when the server answers with this code, or None."""
        request, up = await self.forwarded()
        self.answer(up, code, **how)
        return await self.down(request)

    async def require_not_forwarded(self, limit_s=None):
        """Failure when the server has got the request, or gets it in the quiet time."""
        await asyncio.sleep(self.bench.quiet_s if limit_s is None else limit_s)
        for arrival in self.server.arrivals:
            if self.is_mine(arrival):
                self.take(arrival)
                raise Failure("the request reached the server")
        self.say("nothing at the server")

    def require_nothing_at(self, ue, token):
        """Failure when a UE has got anything with this token."""
        for arrival in ue.station.arrivals:
            if arrival.message and arrival.message.token == token and arrival.message.code:
                self.take(arrival)
                raise Failure("a message came where silence is due")
        self.say("nothing at the UE")

    def is_transparent(self, request, up):
        """Whether the relay forwards datagrams as they are, with the UE's message ID."""
        return (up.message.mid, up.message.token) == (request.mid, request.token)


class RelayBench(Between):
    case = RelayCase
