"""For the tests of the ETSI interoperability catalogue: a client and a server, one of them ours.

A pair runs each step with a `proxy.Proxy` in between.
"""

import json
import signal
import time
from contextlib import contextmanager
from itertools import count

from etsi_checks import QUIET_S, is_observing
from peers import SERVER_URI, configuration, document, ue
from scm_setup import COLLECTION, CON, DELETE, ETAG, OBSERVE, RECIPIENT, RST, UE7
from proxy import Proxy

QUERY = f"ue-uri={UE7}"


class ClientPair:
    """A client of theirs at our server, or through our relay."""

    path = COLLECTION

    def __init__(self, etsi, client, intermediary, ue_id):
        self._setup, self._client, self._ue_id = etsi, client, ue_id
        self._intermediary = intermediary
        self._more = [] if intermediary is None else [(RECIPIENT, SERVER_URI.encode())]
        self.address = etsi.scm.address if intermediary is None else intermediary.address

    def proxy(self, lose=None):
        back = None if self._intermediary is None else self._intermediary.links[self._ue_id]
        return Proxy(self.address, back, lose)

    def run(self, path=COLLECTION, query="", options=(), lose=None, until=None, **how):
        """One request and all that passes; `shown` is what the client displays.

        query: more of it. until: what else is waited for, a function for `Proxy.wait`.
        """
        with self.proxy(lose) as proxy:
            target = f"{path}?ue-uri={self._ue_id}{query}"
            options = [*options, *self._more]
            self.shown = self._client.ask(proxy.address, target, options=options, **how)
            if until:
                proxy.wait(until)
            self.log, self.lost = proxy.log, proxy.lost
            return proxy.passed()

    def discover(self, query=None):
        """As `run`, of the links that the node itself has: without Recipient."""
        with self.proxy() as proxy:
            path = ".well-known/core" + (f"?{query}" if query else "")
            self.shown = self._client.ask(proxy.address, path)
            return proxy.passed()

    def displays(self, payload):
        """Whether what was displayed is what was sent."""
        return self.shown == payload

    def revalidate(self):
        """A GET, one with its ETag, and one with it after a change: three (request, answer)."""
        self.put("first")
        exchanges = []
        options = []
        for name in (None, None, "second"):
            if name:
                self.put(name)
            (_, request), (_, answer) = self.run(f"{COLLECTION}/ue-0007", options=options)
            exchanges.append((request, answer))
            options = options or [(ETAG, answer.options[ETAG][0])]
        return exchanges

    def ping(self):
        """The client's ping and its answer."""
        with self.proxy() as proxy:
            path = f"{COLLECTION}/ue-0007?{QUERY}"
            self._client.ping(proxy.address, path, self._more, lambda: proxy.wait(pinged))
            return pinged(proxy.passed())

    @contextmanager
    def observe(self, lose=None, more=None, **how):
        """UE7's document is observed: (proxy, Watching). more: of the document."""
        self.put("first", **(more or {}))
        with self.proxy(lose) as proxy:
            address, path = proxy.address, f"{COLLECTION}/ue-0007?{QUERY}"
            with self._client.observe(address, path, self._more, **how) as watching:
                proxy.wait(is_observing)
                yield proxy, watching
                if not watching.is_off:
                    self._end(proxy)

    def _end(self, proxy):
        """End all observations, so that none reaches into the next test."""
        self.delete()

        def ended(passed):
            last = {m.mid for up, m in passed if m.code == "4.04" and not up}
            return last and last <= {m.mid for up, m in passed if up and m.code == "0.00"}

        proxy.wait(ended)

    @contextmanager
    def observe_again(self, proxy):
        """As `observe`, by a client that is started anew at the same proxy."""
        n = len(proxy.log)
        path = f"{COLLECTION}/ue-0007?{QUERY}"
        with self._client.observe(proxy.address, path, self._more, token=b"new") as watching:
            proxy.wait(lambda passed: is_observing(passed[n:]))
            yield watching
            self._end(proxy)

    def cancel(self):
        """All messages of a client that observes, gets one notification and cancels."""
        self.put("first")
        path = f"{COLLECTION}/ue-0007?{QUERY}"
        with self.proxy() as proxy:
            self._client.cancel(proxy.address, path, self._more, lambda: self.put("second"))
            proxy.wait(is_cancelled)
            self.put("third")
            time.sleep(QUIET_S)
            return proxy.passed()

    def put(self, name, **more):
        assert self._setup.scm.writer.put("ue-0007", document(name=name, **more)).code[0] == "2"

    def delete(self):
        self._setup.scm.writer.ask(DELETE, f"{COLLECTION}/ue-0007")


class UePair:
    """Our UE on MicroPython at a server of theirs; it has a service, and paths, of its own.

    how: of aiocoap's documents, see AiocoapDocuments.put.
    """

    _numbers = count()

    def __init__(self, etsi, server, how):
        self._setup, self.theirs, self._how = etsi, server, how
        self.service = f"s{next(self._numbers)}"
        self.path = COLLECTION.replace("msgin5g", self.service)
        self.address = server.address

    def put(self, name, **more):
        made = document(name=name) | {"ueConfigDocId": "d"} | more
        self.theirs.put(self.path, [made], **self._how)
        self.theirs.put(f"{self.path}/d", made)

    def delete(self):
        self.theirs.delete(self.path)
        self.theirs.delete(f"{self.path}/d")

    def ue(self, address, **settings):
        settings = {"next_hop_is": "server", "service_id": self.service} | settings
        return ue(self._setup.new_folder(), address, **settings)

    def run(self, lose=None, until=None, more=None, **settings):
        """A first fetch and all that passes; more: of the document, which is `displayed`."""
        self.put("first", **(more or {}))
        with Proxy(self.address, lose=lose) as proxy, self.ue(proxy.address, **settings) as role:
            self.shown = role.event("applied", "rejected", "refused", "timeout")
            if until:
                proxy.wait(until)
            self.log, self.lost = proxy.log, proxy.lost
            return proxy.passed()

    def displays(self, payload):
        """Whether what was displayed is what was sent."""
        return self.shown.get("configuration") == configuration("first") and payload

    def revalidate(self):
        """As ClientPair.revalidate; the UE does it by itself."""
        self.put("first")
        quick = {"refresh": {"min_s": 1, "max_s": 1}}
        with Proxy(self.address) as proxy, self.ue(proxy.address, **quick) as role:
            role.event("applied")
            role.event("unchanged")
            self.put("second")
            assert role.event("applied")["configuration"] == configuration("second")
            messages = [message for _, message in proxy.passed()]
        return list(zip(messages[0:6:2], messages[1:6:2], strict=True))

    def ping(self):
        """The UE pings the server of its new configuration: the ping and its answer."""
        with Proxy(self.address) as proxy:
            address = {"MSGin5G-Server-address": "coap://%s:%d" % proxy.address}
            data = json.dumps(configuration() | address)
            configs = [{"configType": "ON_NETWORK", "configData": data}]
            self.put("pinged", ueConfigs=configs)
            with self.ue(self.address, confirm="ping"):
                return proxy.wait(pinged)

    @contextmanager
    def observe(self, lose=None, **settings):
        self.put("first", **settings.pop("more", {}))
        with Proxy(self.address, lose=lose) as proxy:
            with self.ue(proxy.address, observe=True, **settings) as role:
                proxy.wait(is_observing)
                watching = _Role(role)
                yield proxy, watching
                if not watching.is_off:
                    role.stop(signal.SIGINT)
                watching.shown = [line.encode() for line in role.output]


class _Role:
    """As etsi_clients.Watching."""

    is_off = False

    def __init__(self, role):
        self.role = role

    def off(self):
        self.is_off = True
        self.role.kill()

    def wait_for(self, name):
        while self.role.event("applied")["configuration"] != configuration(name):
            pass


def pinged(passed):
    """The first ping and its answer, once both have passed; a slow peer pings more than once."""
    pings = [(up, m) for up, m in passed if m.code == "0.00" and m.type == CON]
    resets = [(up, m) for up, m in passed if m.type == RST and pings and m.mid == pings[0][1].mid]
    return [pings[0], resets[0]] if resets else None


def is_cancelled(passed):
    """Whether a GET with Observe 1 has its answer."""
    mids = {m.mid for up, m in passed if up and m.options.get(OBSERVE) == [b"\x01"]}
    return [m for up, m in passed if not up and m.mid in mids]
