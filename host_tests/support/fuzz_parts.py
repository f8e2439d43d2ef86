"""The fuzzer's third target: parsers of options, CBOR, documents, problems, blocks and JSON."""

from fuzz_bytes import mutate
from fuzz_messages import answers, blocks, bodies, problems, requests
from msgin5g.cbor.decoder import loads
from msgin5g.cbor.encoder import dumps
from msgin5g.cbor.reader import CborError, Reader
from msgin5g.coap.block2 import MORE, Block2Body, BlockError
from msgin5g.coap.message import Message, MessageFormatError, encode
from msgin5g.coap.numbers import BLOCK2, ETAG, SIZE2
from msgin5g.config.json import JsonError
from msgin5g.config.json import loads as loads_json
from msgin5g.scm.ue_config_doc import DocumentError, find_configuration
from msgin5g.scm.client import problem_of
from builders import DATA, UE_ID

_MAX_BODY = 2048


class PartsTarget:
    """Each parser alone, with input of its kind; it may raise nothing but its own error."""

    def __init__(self, chance, restarts=True):
        ue_id = UE_ID.encode()
        self.chance = chance
        self.last = b""
        self._ue_id = ue_id
        self._bodies = bodies(UE_ID) + [dumps(item) for item in _ITEMS]
        self._problems = problems()
        self._blocks = blocks(ue_id)
        self._packets = answers(ue_id) + requests(ue_id, b"coap://scm.example") + self._blocks
        self._texts = [DATA.encode(), b'{"a": [1, -2.5e3, true, null], "b": "\\u00e9\\n"}', b"[]"]
        self._message = Message()
        self._buf = bytearray(2100)
        self._block2 = Block2Body(2, _MAX_BODY)
        self._next = 0
        self._readers = (self._packet, self._cbor, self._document, self._problem, self._block,
                         self._json)  # fmt: skip

    def feed(self):
        self.chance.pick(self._readers)()

    def rest(self):
        self._block2 = Block2Body(2, _MAX_BODY)
        self._next = 0
        self._message.decode(self._packets[0])

    def _spoilt(self, material):
        chance = self.chance
        if chance.below(16) == 0:
            self.last = chance.noise(chance.size())
        else:
            buf = bytearray(chance.pick(material))
            mutate(buf, chance, material)
            self.last = bytes(buf)
        return self.last

    def _packet(self):
        """Header and options: what is decoded can be encoded again with the same meaning."""
        try:
            message = self._message.decode(self._spoilt(self._packets))
        except MessageFormatError:
            return
        options = []
        for i in range(message.n_options):
            number = message.numbers[i]
            options.append((number, message.value(i)))
            message.uint(number)
            found = message.find(number)  # -1: its value has a wrong length
            assert -1 <= found <= i and (found < 0 or message.numbers[found] == number)
        token = message.token()
        payload = message.payload()
        fields = (message.mtype, message.code, message.mid)
        size = encode(self._buf, *fields, token, options, payload)
        message.decode(bytes(self._buf[:size]))
        assert (message.mtype, message.code, message.mid) == fields
        assert message.token() == token and message.payload() == payload
        assert message.n_options == len(options)

    def _cbor(self):
        """What `loads` accepts can be skipped, too."""
        data = self._spoilt(self._bodies)
        try:
            item = loads(data)
        except CborError:
            item = None
        reader = Reader(data)
        try:
            reader.skip()
        except CborError as error:
            # A tag counts as a level in `skip`, so that it refuses some of what `loads` accepts.
            assert item is None or str(error) == "too deep"
            return
        assert item is None or reader.i == len(data)
        assert reader.i <= len(data)

    def _document(self):
        try:
            texts, document_id, _ = find_configuration(self._spoilt(self._bodies), self._ue_id)
        except DocumentError:
            return
        assert texts and b"".join([bytes(text) for text in texts]) is not None
        assert document_id is None or isinstance(document_id, bytes)

    def _problem(self):
        for text in problem_of(self._spoilt(self._problems)):
            assert text is None or len(text) <= 200

    def _block(self):
        """Blocks in order, some of them damaged: never more memory than allowed."""
        template = self._blocks[self._next % len(self._blocks)]
        buf = bytearray(template)
        if self.chance.below(2):
            mutate(buf, self.chance, self._blocks)
        self.last = bytes(buf)
        receiver = self._block2
        try:
            message = self._message.decode(self.last)
            progress = receiver.take(message)
        except MessageFormatError:
            return
        except BlockError:
            progress = None
        assert receiver.size <= _MAX_BODY and len(receiver.body) <= _MAX_BODY
        if progress == MORE:
            assert receiver.next_block() >> 4 == receiver.size >> (receiver.szx + 4)
            self._next += 1
        else:
            self._block2 = Block2Body(2, _MAX_BODY)
            self._next = 0

    def _json(self):
        try:
            loads_json(self._spoilt(self._texts))
        except JsonError:
            pass


_ITEMS = (
    [1, [2, [3, [4, [5, [6, [7]]]]]]],
    {1: "one", -1: b"bytes", "text": None, b"key": True},
    [0, 23, 24, 255, 256, 65535, 65536, 4294967295, 4294967296, -1, -24, -25, -257],
    {"numbers": [SIZE2, BLOCK2, ETAG], "empty": {}, "list": []},
    "a text of some length, with \u00e9 and \u6f22",
)
