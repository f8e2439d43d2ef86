"""The servers for the steps of the ETSI catalogue: libcoap's and aiocoap's.

Both have one interface: documents are put, changed and deleted at paths.
"""

import asyncio
from hashlib import sha256

import aiocoap
import cbor2
from aiocoap.resource import ObservableResource, Site
from etsi_clients import Hasty, Unreliable, percent
from peers import LibcoapServer, coap_client, host
from scm_setup import RECIPIENT

from msgin5g_tools.scm_server.options import set_recipient
from msgin5g_tools.scm_server.query import recipient


class LibcoapDocuments:
    """libcoap's server. non: its notifications are NON."""

    def __init__(self, non=False):
        self._options = ["-d", "100", *["-N"] * non]
        self._process = LibcoapServer(*self._options)
        self.address = self._process.address

    def restart(self):
        """Restart without documents and observers."""
        self._process.__exit__(None)
        self._process = LibcoapServer(*self._options, address=self.address)

    def __enter__(self):
        return self

    def __exit__(self, *how):
        self._process.__exit__(*how)

    def put(self, path, made):
        """From now on a GET of this path is answered with this, as CBOR."""
        coap_client(self.address, path, "-m", "put", "-t", "60", "-e", percent(cbor2.dumps(made)))

    def delete(self, path):
        coap_client(self.address, path, "-m", "delete")


class _Page(ObservableResource):
    """wait_s: how long an answer takes. recipient: whether it has one, the UE that asks."""

    def __init__(self, tuning, wait_s=0, recipient=False):
        super().__init__()
        self.body = self.code = None
        self.tuning = tuning
        self.wait_s, self.recipient = wait_s, recipient

    async def render_get(self, request):
        await asyncio.sleep(self.wait_s)
        if self.code:
            return aiocoap.Message(code=self.code)
        answer = aiocoap.Message(
            content_format=60, payload=self.body, transport_tuning=self.tuning
        )
        answer.opt.etag = sha256(self.body).digest()[:8]
        if answer.opt.etag in request.opt.etags:
            answer.code, answer.payload, answer.opt.content_format = aiocoap.VALID, b"", None
        if self.recipient:
            set_recipient(answer, RECIPIENT, recipient(request.opt.uri_query))
        return answer


class AiocoapDocuments:
    """aiocoap's server; as LibcoapDocuments."""

    def __init__(self, loop, non=False):
        self._loop = loop
        self._tuning = Unreliable() if non else Hasty()
        self.address = (host(), 5683)

    def __enter__(self):
        self._site, self._pages = Site(), {}
        self._context = self._loop.call(self._open())
        return self

    async def _open(self):
        return await aiocoap.Context.create_server_context(
            self._site, bind=self.address, transports=["udp6"]
        )

    def __exit__(self, *_):
        self._loop.call(self._context.shutdown())

    def restart(self):
        self.__exit__()
        self.__enter__()

    def put(self, path, made, **how):
        self._loop.call(self._put(path, cbor2.dumps(made), how))

    async def _put(self, path, body, how):
        page = self._pages.get(path)
        if page is None:
            page = self._pages[path] = _Page(self._tuning, **how)
            self._site.add_resource(path.split("/"), page)
        page.body = body
        page.updated_state()

    def delete(self, path):
        self.refuse(path, aiocoap.NOT_FOUND)

    def refuse(self, path, code):
        """Respond with this code from now on; it is the last notification of observers."""
        self._loop.call(self._refuse(self._pages[path], code))

    async def _refuse(self, page, code):
        page.code = code
        page.updated_state()
