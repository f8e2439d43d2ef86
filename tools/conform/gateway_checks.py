"""What a gateway must do by TS 24.538 6.2.2.x, and by the CoAP rules under it."""

import asyncio

from msgin5g_tools.conform.case import (
    empty,
    is_ack_of,
    is_reset_of,
    require,
    require_code,
)
from msgin5g_tools.conform.documents import array_of, load, made
from msgin5g_tools.conform.gateway_bench import checks, is_bulk, queries_of, uris_of_request
from msgin5g_tools.conform.wire import (
    ACK,
    CON,
    CONTENT,
    EMPTY,
    FORBIDDEN,
    NON,
    NOT_FOUND,
    RST,
    SERVICE_UNAVAILABLE,
    code_text,
)

_RULE = "TS 24.538 6.2.2.x"
_TWO = ("second_ue",)
_FOREIGN = "urn:x-conform:ue:foreign"
_MAX_MESSAGE = 1152


async def _bulk(case):
    """(the bulk GET, {UE ID: request}) after two UEs have asked."""
    requests = case.ask_for(*case.both)
    return await case.bulk_request(), requests


@checks(_RULE, "Requests of several UEs become one GET, which names each of them once.", _TWO)
async def bulk_request(case):
    bulk, _ = await _bulk(case)
    wanted = sorted(ue.uri for ue in case.both)
    found = sorted(uris_of_request(bulk))
    require(found == wanted, f"it names {', '.join(found)}")


@checks(_RULE, "Its bulkConfFlag is the identifier of the bulk configuration.", _TWO)
async def bulk_flag(case):
    bulk, _ = await _bulk(case)
    found = queries_of(bulk, "bulkConfFlag")
    require(found == [case.profile.bulk_id.encode()], f"bulkConfFlag {found!r}")


@checks("TS 24.546 C.3.1.2.1", "It asks for the collection of the MSGin5G service.", _TWO)
async def bulk_path(case):
    bulk, _ = await _bulk(case)
    require(bulk.path == case.profile.collection, "/".join(bulk.path))


@checks("RFC 7252 4.6", "It has at most 1,152 bytes.", _TWO)
async def bulk_size(case):
    bulk, _ = await _bulk(case)
    n_bytes = len(bulk.encode())
    require(n_bytes <= _MAX_MESSAGE, f"{n_bytes} bytes")


@checks(_RULE, "Each UE gets a 2.05 of its own, with its token and its document.", _TWO)
async def individual_responses(case):
    requests = case.ask_for(*case.both)
    for uri, message in (await case.responses(requests)).items():
        require_code(message, CONTENT)
        require(case.has(message, uri), f"{uri} does not get its document")
        array_of(message)


@checks(_RULE, "No UE gets the document of another one.", _TWO)
async def no_document_of_another(case):
    requests = case.ask_for(*case.both)
    responses = await case.responses(requests)
    for uri, message in responses.items():
        for other in responses:
            require(other == uri or not case.has(message, other), f"{uri} gets that of {other}")


@checks(_RULE, "The copy for one UE does not name another one.", _TWO, should=True)
async def shared_document(case):
    uris = [ue.uri for ue in case.both]
    shared = made(case.marker, *uris)
    case.documents = dict.fromkeys(uris, shared)
    requests = case.ask_for(*case.both)
    for uri, message in (await case.responses(requests)).items():
        require_code(message, CONTENT)
        for other in uris:
            named = other != uri and other.encode() in message.payload
            require(not named, f"that of {uri} names {other}")


@checks("TS 24.538 6.2.2.1", "The Recipient of each response is the UE that gets it.", _TWO)
async def recipient(case):
    requests = case.ask_for(*case.both)
    for uri, message in (await case.responses(requests)).items():
        found = message.all(case.profile.recipient_option)
        require(found == [uri.encode()], f"{uri} gets Recipient {found!r}")


@checks(_RULE, "A document that no UE has asked for reaches none.", _TWO)
async def document_nobody_asked_for(case):
    stray = made("stray-document", _FOREIGN)
    uri = case.ue.uri
    case.documents = {uri: case.documents[uri], case.second.uri: stray}
    requests = case.ask_for(*case.both)
    for uri, message in (await case.responses(requests)).items():
        require(b"stray-document" not in message.payload, f"{uri} gets it")


@checks(_RULE, "A UE that the bulk answer leaves out gets 4.04, the other one its 2.05.", _TWO)
async def ue_left_out(case):
    del case.documents[case.second.uri]
    requests = case.ask_for(*case.both)
    responses = await case.responses(requests)
    require_code(responses[case.ue.uri], CONTENT)
    require_code(responses[case.second.uri], NOT_FOUND)
    return _alone(case, case.second.uri)


def _alone(case, uri):
    """A note on whether a UE was asked for once more, alone."""
    alone = any(uris_of_request(message) == [uri] for message in case.asked)
    return f"{uri} was asked for {'once more, alone' if alone else 'in the bulk GET only'}"


async def _bulk_refused(case, code):
    """The bulk GET gets this code, and so does the second UE when it is asked for alone."""
    case.bulk_code = case.codes[case.second.uri] = code
    requests = case.ask_for(*case.both)
    responses = await case.responses(requests)
    require_code(responses[case.second.uri], code)
    require_code(responses[case.ue.uri], CONTENT, code)
    return _alone(case, case.ue.uri)


@checks(_RULE, "4.04 for the bulk GET: each UE gets its own 4.04 or 2.05.", _TWO)
async def bulk_not_found(case):
    return await _bulk_refused(case, NOT_FOUND)


@checks(_RULE, "4.03 for the bulk GET: each UE gets its own 4.03 or 2.05.", _TWO)
async def bulk_forbidden(case):
    return await _bulk_refused(case, FORBIDDEN)


@checks(_RULE, "5.03 for the bulk GET: no UE gets a 2.05.", _TWO)
async def bulk_unavailable(case):
    case.bulk_code = SERVICE_UNAVAILABLE
    for ue in case.both:
        case.codes[ue.uri] = SERVICE_UNAVAILABLE
    requests = case.ask_for(*case.both)
    for uri, message in (await case.responses(requests)).items():
        require(message.code >> 5 == 5, f"{uri} gets {code_text(message.code)}")


@checks(_RULE, "A single request becomes a GET without bulkConfFlag.", should=True)
async def single_request(case):
    requests = case.ask_for(case.ue)
    responses = await case.responses(requests)
    require(not any(map(is_bulk, case.asked)), "it has a bulkConfFlag")
    require(case.has(responses[case.ue.uri], case.ue.uri), "the UE does not get its document")


@checks(_RULE, "A single UE whose request gets 4.03 gets 4.03.")
async def single_forbidden(case):
    case.codes[case.ue.uri] = FORBIDDEN
    requests = case.ask_for(case.ue)
    require_code((await case.responses(requests))[case.ue.uri], FORBIDDEN)


@checks(_RULE, "A single UE whose request gets 4.04 gets 4.04.")
async def single_not_found(case):
    case.codes[case.ue.uri] = NOT_FOUND
    requests = case.ask_for(case.ue)
    require_code((await case.responses(requests))[case.ue.uri], NOT_FOUND)


@checks("RFC 7959 2.4", "An answer in several blocks is fetched and split.", _TWO)
async def answer_in_blocks(case):
    case.szx = 2
    requests = case.ask_for(*case.both)
    for uri, message in (await case.responses(requests)).items():
        require_code(message, CONTENT)
        require(case.has(message, uri), f"{uri} does not get its document")
        if message.block2 is None or not message.block2[1]:
            require(isinstance(load(message.payload), list), "an array was due")


# Messages


@checks("RFC 7252 5.2.2", "A CON is acknowledged within ACK_TIMEOUT.")
async def acknowledged_in_time(case):
    case.on_request = lambda arrival: None
    requests = case.ask_for(case.ue)
    request = requests[case.ue.uri]
    is_ack = is_ack_of(request.mid)
    ack = await case.ue.station.next(is_ack, case.profile.ack_timeout_s)
    require(case.take(ack) is not None, f"no ACK within {case.profile.ack_timeout_s:g} s")


@checks("RFC 7252 4.5", "A repeated CON is acknowledged again, and asked for once.")
async def repeated_con(case):
    case.on_request = lambda arrival: None
    requests = case.ask_for(case.ue)
    request = requests[case.ue.uri]
    is_ack = is_ack_of(request.mid)
    for _ in range(2):
        ack = await case.ue.station.next(is_ack, case.limit_s)
        require(case.take(ack) is not None, "no ACK came")
        case.ue.station.arrivals.remove(ack)
        case.ask(request)
    ack = await case.ue.station.next(is_ack, case.limit_s)
    require(case.take(ack) is not None, "no ACK came for the repeated message")
    await asyncio.sleep(case.profile.window_s + case.bench.quiet_s)
    named = [uri for message in case.asked for uri in uris_of_request(message)]
    require(named.count(case.ue.uri) == 1, f"it was asked for {named.count(case.ue.uri)} times")


@checks("RFC 7252 4.2", "A response that the UE does not acknowledge is sent again.")
async def response_is_sent_again(case):
    request = case.request(path=case.profile.collection)
    case.ue.unacknowledged.add(request.token)
    case.ask(request)
    await case.require_response_again(request)


@checks("RFC 7252 4.2", "A CON response of the server is acknowledged.")
async def con_response_is_acknowledged(case):
    mid = case.new_mid()

    def late(arrival):
        case.send(case.server, empty(ACK, arrival.message.mid), arrival.remote)
        uri = case.ue.uri
        return case.answer(arrival, NOT_FOUND, recipient=uri, type=CON, mid=mid)

    case.on_request = late
    requests = case.ask_for(case.ue)

    def is_ack(arrival):
        message = arrival.message
        return message and (message.type, message.mid, message.code) == (ACK, mid, EMPTY)

    ack = await case.server.next(is_ack, case.limit_s)
    require(case.take(ack) is not None, "no ACK came")
    require_code((await case.responses(requests))[case.ue.uri], NOT_FOUND)


@checks("RFC 7252 5.2.3", "A GET that is a NON gets a response, too.")
async def non(case):
    requests = case.ask_for(case.ue, type=NON)
    message = (await case.responses(requests))[case.ue.uri]
    require(message.type != ACK, "an ACK for a NON")


@checks("RFC 7252 4.3", "A ping gets a Reset.")
async def ping(case):
    await case.require_pong(case.ue.station)


@checks("RFC 7252 3", "A malformed GET is not asked for, and gets a Reset.")
async def malformed_get(case):
    request = case.request(path=case.profile.collection)
    case.ask(request.encode() + b"\xff")
    arrival = await case.ue.station.next(is_reset_of(request.mid), case.bench.quiet_s)
    require(case.take(arrival) is not None, "nothing came in place of a Reset")


@checks("RFC 7252 4.2", "A Reset of the server becomes no 2.05 at the UE.")
async def reset_of_server(case):
    def reset(arrival):
        message = empty(RST, arrival.message.mid)
        case.send(case.server, message, arrival.remote)
        return message

    case.on_request = reset
    requests = case.ask_for(case.ue)
    message = await case.down(requests[case.ue.uri], limit_s=case.limit_s)
    require(message is None or message.code >> 5 == 5, "the UE gets no error")


async def _require_not_asked(case, uri):
    await asyncio.sleep(case.profile.window_s + case.bench.quiet_s)
    named = [each for message in case.asked for each in uris_of_request(message)]
    require(uri not in named, "the server was asked")
    case.say("nothing at the server")


@checks("TS 24.538 6.2.2.1", "A GET whose Recipient is another one is not asked for.")
async def get_for_another_recipient(case):
    case.ask_for(case.ue, recipient="coap://conform.example")
    await _require_not_asked(case, case.ue.uri)


@checks("TS 24.538 6.2.2.1", "A client without a link gets no document.", ("stranger_bind",))
async def client_without_link(case):
    stranger = case.bench.stranger
    case.documents[stranger.uri] = made(case.marker, stranger.uri)
    request = case.ask(case.request(stranger, path=case.profile.collection), stranger)
    message = await case.down(request, stranger, case.profile.window_s + case.bench.quiet_s)
    require(message is None or message.code >> 5 != 2, "it gets a document")
