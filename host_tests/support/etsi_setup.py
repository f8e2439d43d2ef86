"""For the tests of the ETSI interoperability catalogue: the servers and relays of a module."""

from contextlib import ExitStack
from functools import cached_property
from itertools import count

from etsi_clients import AiocoapClient, LibcoapClient, Loop
from etsi_pairs import ClientPair, UePair
from etsi_servers import AiocoapDocuments, LibcoapDocuments
from peers import PORT, QUICK, document, host, relay
from scm_setup import UE7, UE8, Scm

CBOR = b"\x3c"  # application/cbor, 60
QUERY = f"ue-uri={UE7}"
CLIENTS = SERVERS = ("libcoap", "aiocoap")
# Each pair has one node of ours: their client with our server, directly or through our relay; our
# UE with their server.
PAIRS = tuple(f"{peer} {ours}" for ours in ("server", "relay", "ue") for peer in CLIENTS)
CLIENT_PAIRS = tuple(name for name in PAIRS if not name.endswith("ue"))
DIRECT = tuple(name for name in PAIRS if name.endswith("server"))
UES = tuple(name for name in PAIRS if name.endswith("ue"))


class EtsiSetup:
    """Servers and relays of a test module, each started when it is first used."""

    def __init__(self, folder):
        self.folder = folder
        self._stack = ExitStack()
        self._numbers = count()

    def __enter__(self):
        return self

    def __exit__(self, *how):
        return self._stack.__exit__(*how)

    def new_folder(self):
        made = self.folder / str(next(self._numbers))
        made.mkdir()
        return made

    @cached_property
    def loop(self):
        return self._stack.enter_context(Loop())

    @cached_property
    def scm(self):
        """Our server, with documents for UE7 and UE8; `writer` is a client of it."""
        scm = self._stack.enter_context(Scm(self.new_folder()))
        scm.writer = self._stack.enter_context(scm.client())
        for doc_id, ue_id in (("ue-0007", UE7), ("ue-0008", UE8)):
            scm.writer.put(doc_id, document(ue_id))
        return scm

    @cached_property
    def intermediary(self):
        """Our relay in front of it, where a UE may observe more than once."""
        limits = {"max_rate": 500, "max_links": 4}
        return self.relay(self.scm.address, transmission=QUICK, relay=limits)

    @cached_property
    def gateway(self):
        """Our gateway in front of it."""
        return self.relay(self.scm.address, role="gateway")

    def relay(self, server, ue_ids=(UE7, UE8), **settings):
        links = {ue_id: (host(), PORT) for ue_id in ue_ids}
        return self._stack.enter_context(relay(self.new_folder(), server, links, **settings))

    @cached_property
    def _documents(self):
        return {}

    def server(self, name, kind=None):
        """Their server, one for each kind; the notifications of kind "non" are NON."""
        if (name, kind) not in self._documents:
            non = kind == "non"
            made = LibcoapDocuments(non) if name == "libcoap" else AiocoapDocuments(self.loop, non)
            self._documents[name, kind] = self._stack.enter_context(made)
        return self._documents[name, kind]

    def client(self, name):
        return LibcoapClient() if name == "libcoap" else AiocoapClient(self.loop)

    def pair(self, name, ue_id=UE7, intermediary=None, kind=None, **how):
        """The pair of that name, one of PAIRS.

        intermediary: the relay to use. kind: see `server`. how: see UePair.
        """
        peer, ours = name.split()
        if ours == "ue":
            return UePair(self, self.server(peer, kind), how)
        if ours != "server":
            intermediary = intermediary or (self.intermediary if ours == "relay" else self.gateway)
        return ClientPair(self, self.client(peer), intermediary, ue_id)
