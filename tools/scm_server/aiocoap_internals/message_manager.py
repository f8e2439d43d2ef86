"""Message IDs, duplicates and retransmission on UDP (RFC 7252 section 4).

Work and memory do not grow with the number of all requests and observers.
"""

import secrets
import time
from collections import Counter, namedtuple

from aiocoap.messagemanager import MessageManager
from aiocoap.numbers.codes import EMPTY
from aiocoap.numbers.constants import TransportTuning
from aiocoap.numbers.types import ACK, CON, RST

from msgin5g_tools.scm_server.duplicates import Duplicates

_EXPIRE_S = 10.0
_MAX_MIDS = 4096


class _Datagram(namedtuple("_Datagram", "remote datagram")):
    """What is sent, as a message interface takes it."""

    def encode(self):
        return self.datagram


class MessageManagerByRemote(MessageManager):
    """Remembers a limited number of requests; knows the one open exchange of each peer.

    Each peer has message IDs of its own, which begin at random: otherwise a client could end the
    observation of another one with a forged Reset. A peer that was forgotten begins anew.

    NSTART is 1 (RFC 7252 section 4.7): aiocoap sends a peer no second CON before the first one
    has been acknowledged. aiocoap itself looks for that one among the exchanges of all peers.
    """

    def __init__(self, token_manager, address_of, drops=None):
        super().__init__(token_manager)
        self.drops = Counter() if drops is None else drops
        self._address_of = address_of
        self._duplicates = Duplicates(TransportTuning().EXCHANGE_LIFETIME, time.monotonic)
        self._mid_of = {}  # remote -> message ID of its open exchange
        self._protected = set()  # remotes whose open exchange is protected by OSCORE
        self._last_mids = {}  # remote -> the last message ID, the least recently used first
        self._sends_to = None  # the remote of the message that is being sent
        self._expiry = None

    async def shutdown(self):
        if self._expiry:
            self._expiry.cancel()
        await super().shutdown()

    def send_message(self, message, messageerror_monitor):
        self._sends_to = message.remote
        super().send_message(message, messageerror_monitor)

    def is_waiting(self, remote, token):
        return any(message.token == token for message, _ in self._backlogs.get(remote, ()))

    def _next_message_id(self):
        mids = self._last_mids
        mid = mids.pop(self._sends_to, None)
        if mid is None:
            mid = secrets.randbelow(0x10000)
            if len(mids) >= _MAX_MIDS:
                del mids[next(iter(mids))]
        mids[self._sends_to] = mid = (mid + 1) & 0xFFFF
        return mid

    def _deduplicate_message(self, message):
        # A board without entropy begins with the same message IDs after each restart: with
        # another token it is another message.
        key = (*self._address_of(message.remote), message.mid)
        if not self._duplicates.is_remembered(key, message.token):
            self._duplicates.add(key, message.token)
            if self._expiry is None:
                self._expiry = self.loop.call_later(_EXPIRE_S, self._expire)
            return False
        self.drops["duplicate"] += 1
        datagram = self._duplicates.datagram(key)
        if message.mtype is CON and datagram is not None:
            self._send_via_transport(_Datagram(message.remote.as_response_address(), datagram))
        return True

    def _expire(self):
        # So that the memory of a flood is free again also when no request follows it.
        self._duplicates.expire()
        self._expiry = None
        if len(self._duplicates):
            self._expiry = self.loop.call_later(_EXPIRE_S, self._expire)

    def _send_initially(self, message, messageerror_monitor=None):
        if message.mtype is CON:
            self._add_exchange(message, messageerror_monitor)
        sent = _Datagram(message.remote, message.encode())
        if message.mtype in (ACK, RST):  # a CON has a message ID of ours
            token = None if message.code is EMPTY else message.token
            key = (*self._address_of(message.remote), message.mid)
            self._duplicates.answered(key, token, sent.datagram)
        self._send_via_transport(sent)

    def _add_exchange(self, message, messageerror_monitor):
        super()._add_exchange(message, messageerror_monitor)
        self._mid_of[message.remote] = message.mid
        if message.opt.oscore is not None:
            self._protected.add(message.remote)

    def _forget_exchange(self, remote):
        """The message ID of the open exchange that ends."""
        self._protected.discard(remote)
        return self._mid_of.pop(remote, None)

    def _remove_exchange(self, message):
        # Anybody on the way can send a Reset: it ends nothing that is protected. A peer that wants
        # no notification acknowledges none, either.
        remote = message.remote
        is_open = self._mid_of.get(remote) == message.mid
        if message.mtype is ACK and is_open:
            monitor, _ = self._active_exchanges.get((remote, message.mid), (None, None))
            getattr(monitor, "acknowledged", _nothing)()
        if message.mtype is not RST or not is_open or remote not in self._protected:
            super()._remove_exchange(message)

    def _continue_backlog(self, remote):
        self._forget_exchange(remote)
        backlog = self._backlogs[remote]
        if backlog:
            self._send_initially(*backlog.pop(0))
        else:
            del self._backlogs[remote]

    def dispatch_error(self, exception, remote):
        if self._active_exchanges is None:
            return  # shut down
        self.token_manager.dispatch_error(exception, remote)
        mid = self._forget_exchange(remote)
        _, timer = self._active_exchanges.pop((remote, mid), (0, None))
        if timer:
            timer.cancel()
        self._backlogs.pop(remote, None)

    def _retransmit(self, message, timeout, retransmission_counter):
        super()._retransmit(message, timeout, retransmission_counter)
        if (message.remote, message.mid) not in self._active_exchanges:
            self._forget_exchange(message.remote)  # timed out


def _nothing():
    """A message was acknowledged, and nobody waits for that."""
