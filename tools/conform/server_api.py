"""What a server must do by TS 24.546 C.1 and C.3, and by TS 24.538 6.2.2."""

import secrets

import cbor2

from msgin5g_tools.conform.case import require, require_code
from msgin5g_tools.conform.check import Inconclusive, NotApplicable
from msgin5g_tools.conform.documents import (
    array_of,
    id_of,
    load,
    made,
    require_configuration,
    require_problem,
    require_shape,
    uris_of,
)
from msgin5g_tools.conform.profile import ANY
from msgin5g_tools.conform.server_bench import checks
from msgin5g_tools.conform.wire import (
    BAD_OPTION,
    BAD_REQUEST,
    BLOCK2,
    CONTENT,
    CONTENT_FORMAT,
    DELETE,
    FORBIDDEN,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    PUT,
    UNAUTHORIZED,
    block,
    code_text,
)

_QUERY = "TS 24.546 C.3.1.2.2.3.1"
_DOCUMENT = "TS 24.546 C.3.1.2.3"
_ERRORS = "TS 24.546 C.1.3"
_RECIPIENT = "TS 24.538 6.2.2.1"
_BULK = "TS 24.538 6.2.2.x"


async def documents_of_ue(case):
    """The documents for the UE; what fails here is in the row of `single-ue`."""
    return array_of(await whole(case, await case.require_served()))


async def whole(case, message):
    """A response with the payload of all its blocks."""
    payload = message.payload
    block2 = message.block2
    while block2 and block2[1]:
        number, _, szx = block2
        part = await case.ask(options=[(BLOCK2, block(number + 1, False, szx))])
        require_code(part, CONTENT)
        block2 = part.block2
        require(block2 is not None and block2[0] == number + 1, "not the block that was asked for")
        payload += part.payload
    return message.but(payload=payload)


@checks(_QUERY, "A GET with the ue-uri of a UE that has a document gets 2.05.", needs=("ue",))
async def single_ue(case):
    require_code(await case.ask(), CONTENT)


@checks(_QUERY, "The payload of that 2.05 is a CBOR array of documents.", needs=("ue",))
async def array_of_documents(case):
    require(await documents_of_ue(case), "the array is empty")


@checks("TS 24.546 C.3.1.6", "Its Content-Format is the media type's, or CBOR.", needs=("ue",))
async def content_format(case):
    found = (await case.require_served()).uint(CONTENT_FORMAT)
    require(found in case.profile.formats, f"Content-Format {found}")


@checks("TS 24.546 C.3.1.3.2", "Each document has the shape of a UeConfigDoc.", needs=("ue",))
async def document_shape(case):
    for document in await documents_of_ue(case):
        require_shape(document)


@checks("TS 24.538 7.2.3", "It has the MSGin5G server's address and the Service ID.", ("ue",))
async def configuration(case):
    found = await documents_of_ue(case)
    require(found, "the array is empty")
    for document in found:
        require_configuration(document)


@checks(_QUERY, "Parameters are alternatives (OR).", needs=("ue",))
async def parameters_are_alternatives(case):
    ids = set(map(id_of, await documents_of_ue(case)))
    message = await case.ask([*case.ue_query(), "ue-vendor=no-such-vendor"])
    require_code(message, CONTENT)
    found = set(map(id_of, array_of(await whole(case, message))))
    require(ids <= found, f"without {', '.join(sorted(ids - found))}")


@checks(_QUERY, "A GET without parameters gets an array, or is not allowed.")
async def whole_collection(case):
    message = await case.ask([])
    require_code(message, CONTENT, UNAUTHORIZED, FORBIDDEN)
    if message.code != CONTENT:
        return f"{code_text(message.code)}: the server does not give all documents to everybody"
    if message.block2 is None or not message.block2[1]:
        array_of(message)
    return ""


@checks(_QUERY, "A ue-type of seven digits is malformed: 4.00 (4.03 allowed).")
async def malformed_ue_type(case):
    require_code(await case.ask(["ue-type=1234567"]), BAD_REQUEST, FORBIDDEN)


@checks(_QUERY, "A ue-snr with a letter is malformed: 4.00 (4.03 allowed).")
async def malformed_ue_snr(case):
    require_code(await case.ask(["ue-snr=12a"]), BAD_REQUEST, FORBIDDEN)


@checks(_QUERY, "A ue-uri that is no URI is malformed: 4.00 (4.03 allowed).")
async def malformed_ue_uri(case):
    require_code(await case.ask(["ue-uri=no uri"]), BAD_REQUEST, FORBIDDEN)


@checks("RFC 7252 3.2", "A Uri-Query that is not UTF-8 gets an error of class 4.")
async def query_that_is_not_utf8(case):
    message = await case.ask([b"ue-uri=urn:\xff\xfe"])
    require(message.code >> 5 == 4, f"{code_text(message.code)} in place of 4.00 or 4.02")


@checks(_QUERY, "A UE without a document gets 4.04, or 2.05 with no document.", ("no_document",))
async def ue_without_document(case):
    message = await case.ask(case.ue_query(case.profile.no_document))
    require_code(message, NOT_FOUND, CONTENT)
    found = code_text(message.code)
    wanted = case.profile.no_document_code
    require(wanted in (ANY, found), f"{found} in place of the profile's {wanted}")
    if message.code == CONTENT:
        require(array_of(message) == [], "it has a document")


@checks(_ERRORS, "A UE that is not allowed gets 4.03, or 4.01.", needs=("denied",))
async def denied_ue(case):
    require_code(await case.ask(case.ue_query(case.profile.denied)), FORBIDDEN, UNAUTHORIZED)


@checks(_ERRORS, "A wrong resource URI gets 4.04.")
async def unknown_path(case):
    path = [*case.profile.collection[:-1], "no-such-resource"]
    require_code(await case.ask(path=path), NOT_FOUND)


@checks(_ERRORS, "An error carries concise problem details, Content-Format 257.")
async def problem_details(case):
    path = [*case.profile.collection[:-1], "no-such-resource"]
    message = await case.ask(path=path)
    if message.code >> 5 not in (4, 5):
        raise NotApplicable("there was no error: see unknown-path")
    require_problem(message)


@checks(_DOCUMENT, "The individual document is what the array has, as a map.", needs=("ue",))
async def individual_document(case):
    for document in (await documents_of_ue(case))[:2]:
        path = [*case.profile.collection, id_of(document)]
        message = await case.ask(path=path)
        require_code(message, CONTENT)
        if message.block2 and message.block2[1]:
            raise Inconclusive("the document has more than one block")
        found = load(message.payload)
        require(isinstance(found, dict), "a map was due")
        require(id_of(found) == id_of(document), "it has another ueConfigDocId")


@checks(_DOCUMENT, "An individual document that does not exist gets 4.04.")
async def unknown_document(case):
    path = [*case.profile.collection, "no-such-" + secrets.token_hex(4)]
    require_code(await case.ask(path=path), NOT_FOUND)


@checks("TS 24.546 C.3.1.2.2", "The collection has no PUT: 4.05 (4.01, 4.03 allowed).")
async def no_put_of_collection(case):
    message = await case.ask(code=PUT, payload=cbor2.dumps({}))
    require_code(message, METHOD_NOT_ALLOWED, UNAUTHORIZED, FORBIDDEN)


@checks("TS 24.546 C.3.1.2.3.3", "PUT, GET and DELETE work on a document.", ("may_write",))
async def put_and_delete(case):
    doc_id, ue = scratch()
    path = [*case.profile.collection, doc_id]
    message = await put(case, path, made(doc_id, ue))
    require(message.code >> 5 == 2, f"PUT: {code_text(message.code)}")
    try:
        message = await case.ask(case.ue_query(ue))
        require_code(message, CONTENT)
        require(
            [id_of(document) for document in array_of(message)] == [doc_id], "not the document"
        )
    finally:
        message = await case.ask([], path=path, code=DELETE)
    require(message.code >> 5 == 2, f"DELETE: {code_text(message.code)}")
    require_code(await case.ask([], path=path), NOT_FOUND)


def scratch():
    """A document and a UE that nobody else has."""
    name = secrets.token_hex(6)
    return f"conform-{name}", f"urn:x-conform:ue:{name}"


async def put(case, path, document):
    options = [(CONTENT_FORMAT, case.profile.content_format.to_bytes(2, "big"))]
    return await case.ask([], options, path, code=PUT, payload=cbor2.dumps(document))


def require_recipient(case, message, uri):
    values = message.all(case.profile.recipient_option)
    require(values, "the response has no Recipient")
    require(len(values) == 1, f"{len(values)} Recipients")
    require(values[0] == uri.encode(), f"Recipient {values[0]!r} in place of '{uri}'")


@checks(_RECIPIENT, "The Recipient of a 2.05 is the ue-uri of the request.", needs=("ue",))
async def recipient_of_content(case):
    require_recipient(case, await case.ask(), case.profile.ue)


@checks(_RECIPIENT, "The Recipient of a 4.04 is the ue-uri of the request.")
async def recipient_of_not_found(case):
    uri = case.profile.no_document or scratch()[1]
    message = await case.ask(case.ue_query(uri))
    if message.code == FORBIDDEN:
        raise NotApplicable("the UE gets 4.03: see recipient-of-forbidden")
    require_recipient(case, message, uri)


@checks(_RECIPIENT, "The Recipient of a 4.03 is the ue-uri of the request.", needs=("denied",))
async def recipient_of_forbidden(case):
    message = await case.ask(case.ue_query(case.profile.denied))
    require_recipient(case, message, case.profile.denied)


@checks(_RECIPIENT, "Each block of a response has the Recipient.", needs=("ue",))
async def recipient_of_block(case):
    for number in (0, 1):
        message = await case.ask(options=[(BLOCK2, bytes((number << 4,)))])
        if message.block2 is None:
            raise NotApplicable("the server sends no blocks: see early-negotiation")
        require_recipient(case, message, case.profile.ue)


@checks(_RECIPIENT, "A request without Recipient is served, too.", needs=("ue",), should=True)
async def without_recipient(case):
    message = await case.exchange(case.get(case.profile.collection, case.ue_query()))
    require(message.code != BAD_OPTION, "4.02")
    require(message.code in (CONTENT, UNAUTHORIZED), f"{code_text(message.code)}")


def _bulk(case, *uris, comma=False):
    flag = f"bulkConfFlag={case.profile.bulk_id}"
    if comma:
        return [flag, "ue-uri=" + ",".join(uris)]
    return [flag, *(f"ue-uri={uri}" for uri in uris)]


def _require_all(documents, uris):
    named = {uri for document in documents for uri in uris_of(document)}
    for_everybody = any("valUeIds" not in document for document in documents)
    for uri in uris:
        require(uri in named or for_everybody, f"no document for {uri}")


@checks(_BULK, "A bulk GET gets the documents of all its UEs.", needs=("ue", "second_ue"))
async def bulk(case):
    uris = case.profile.ue, case.profile.second_ue
    message = await case.ask(_bulk(case, *uris))
    require_code(message, CONTENT)
    if message.block2 and message.block2[1]:
        raise Inconclusive("the response has more than one block")
    _require_all(array_of(message), uris)


@checks(_BULK, "A UE without a document spoils no bulk GET.", needs=("ue", "no_document"))
async def bulk_with_ue_without_document(case):
    message = await case.ask(_bulk(case, case.profile.ue, case.profile.no_document))
    require_code(message, CONTENT)
    if not (message.block2 and message.block2[1]):
        _require_all(array_of(message), [case.profile.ue])


@checks(_BULK, "The answer to a bulk GET is addressed to none of its UEs.", ("ue", "second_ue"))
async def recipient_of_bulk(case):
    uris = case.profile.ue, case.profile.second_ue
    message = await case.ask(_bulk(case, *uris))
    found = message.one(case.profile.recipient_option)
    require(found is None or found.decode(errors="replace") not in uris, f"Recipient {found!r}")


@checks(_BULK, "ue-uri may be one list with commas.", needs=("ue", "second_ue", "comma"))
async def bulk_with_commas(case):
    uris = case.profile.ue, case.profile.second_ue
    message = await case.ask(_bulk(case, *uris, comma=True))
    require_code(message, CONTENT)
    if not (message.block2 and message.block2[1]):
        _require_all(array_of(message), uris)


@checks(_BULK, "Several ue-uri without bulkConfFlag: 4.00, or all of them.", ("ue", "second_ue"))
async def several_ues_without_flag(case):
    uris = case.profile.ue, case.profile.second_ue
    message = await case.ask([f"ue-uri={uri}" for uri in uris])
    require_code(message, CONTENT, BAD_REQUEST, FORBIDDEN)
    if message.code == CONTENT and not (message.block2 and message.block2[1]):
        _require_all(array_of(message), uris)


@checks(_BULK, "A denied UE in a bulk GET gets no document.", needs=("ue", "denied"))
async def bulk_with_denied_ue(case):
    message = await case.ask(_bulk(case, case.profile.ue, case.profile.denied))
    require_code(message, CONTENT, FORBIDDEN, UNAUTHORIZED)
    if message.code == CONTENT:
        named = [uri for document in array_of(message) for uri in uris_of(document)]
        require(case.profile.denied not in named, "there is a document for the denied UE")
