"""The observers of documents (RFC 7641): who is woken by which change, and when."""

import asyncio
import time

from aiocoap.numbers.codes import GET
from aiocoap.numbers.types import CON

from msgin5g_tools.scm_server.coap_message import LongTokenMessage
from msgin5g_tools.scm_server.identity import normal_uri

_SEQUENCE_MASK = 0xFFFFFF
_SLICE_S = 0.002  # after so much work on notifications all others have their turn


class Observer:
    """One observation, in few and small objects, because there are many of them.

    remote, token, manager: where notifications go. protection: of the request, or None. names: of
    its document and of the UEs that it asks for. etag: of the last response. not_before: earliest
    time of the next notification. is_woken: it waits to be compared. is_over: it has ended.
    """

    __slots__ = (
        "_observers",
        "_options",
        "etag",
        "is_over",
        "is_woken",
        "manager",
        "names",
        "not_before",
        "protection",
        "remote",
        "token",
    )

    def __init__(self, observers, request, names, etag, not_before):
        self._observers = observers
        self._options = request.opt.encode()
        self.remote = request.remote
        self.token = request.token
        self.manager = request.manager
        self.protection = getattr(request, "protection", None)
        self.names = tuple(names)
        self.etag = etag
        self.not_before = not_before
        self.is_woken = self.is_over = False

    def request(self):
        """The GET with which it has registered."""
        message = LongTokenMessage(code=GET)
        message.opt.decode(self._options)
        message.token, message.remote, message.mtype = self.token, self.remote, CON
        message.protection = self.protection
        return message

    def end(self):
        self.is_over = True
        self._observers.remove(self)


def names_of(found, uris):
    """The names of a resources.Route and of UEs, as in store.Changes."""
    return {(found.service, found.doc_id), *((None, normal_uri(uri)) for uri in uris)}


class Observers:
    """A limited number: beyond it a registration gets a plain response (RFC 7641 section 4.1).

    Each observer has names: of its document, and of the UEs that it asks for. `changed(names)`
    wakes those who have one of these names; the task `run` compares them, a few at a time:
    notify(observer) returns None, or after how many seconds to wake the observer again.
    """

    def __init__(self, max_observers, notify):
        self._max_observers = max_observers
        self._notify = notify
        self._by_name = {}  # name -> {Observer: None}
        self._n_observers = 0
        self._woken = asyncio.Queue()
        self._last = 0

    def __len__(self):
        return self._n_observers

    @property
    def is_full(self):
        return self._n_observers >= self._max_observers

    def add(self, observer):
        self._n_observers += 1
        for name in observer.names:
            self._by_name.setdefault(name, {})[observer] = None

    def remove(self, observer):
        self._n_observers -= 1
        for name in observer.names:
            group = self._by_name[name]
            del group[observer]
            if not group:
                del self._by_name[name]

    def changed(self, names):
        """These may have changed; None: each of them may have."""
        for name in list(self._by_name) if names is None else names:
            for observer in self._by_name.get(name, ()):
                self._wake(observer)

    def _wake(self, observer, delay_s=0.0):
        if observer.is_woken:
            return
        observer.is_woken = True
        delay_s = max(delay_s, observer.not_before - time.monotonic())
        if delay_s > 0:
            asyncio.get_running_loop().call_later(delay_s, self._woken.put_nowait, observer)
        else:
            self._woken.put_nowait(observer)

    async def run(self):
        """Notify, for ever."""
        while True:
            observer = await self._woken.get()
            ends_at = time.monotonic() + _SLICE_S
            while observer is not None:
                observer.is_woken = False
                if not observer.is_over:
                    again_s = self._notify(observer)
                    if again_s is not None:
                        self._wake(observer, again_s)
                if self._woken.empty() or time.monotonic() > ends_at:
                    break
                observer = self._woken.get_nowait()
            await asyncio.sleep(_SLICE_S)

    def next_number(self):
        """The Observe value of the next response.

        Milliseconds of the wall clock, and one more than the last value within a millisecond. So
        it also grows over a restart and a renewed registration, and by less than 2**23 in 128
        seconds (RFC 7641 section 4.4).
        """
        self._last = max(self._last + 1, int(time.time() * 1000))
        return self._last & _SEQUENCE_MASK
