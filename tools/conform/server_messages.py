"""What a server must do by RFC 7252 sections 3 to 5."""

import asyncio

from msgin5g_tools.conform.case import (
    empty,
    is_reply_to,
    require,
    require_code,
)
from msgin5g_tools.conform.check import Failure, NotApplicable
from msgin5g_tools.conform.server_bench import checks, altered
from msgin5g_tools.conform.wire import (
    ACCEPT,
    ACK,
    BAD_OPTION,
    CON,
    CONTENT,
    CONTENT_FORMAT,
    CRITICAL_UNSAFE,
    ELECTIVE_SAFE,
    EMPTY,
    METHOD_NOT_ALLOWED,
    NON,
    NOT_ACCEPTABLE,
    PROXY_URI,
    PROXYING_NOT_SUPPORTED,
    RST,
    UNAUTHORIZED,
    URI_HOST,
    Message,
    code_text,
)

_MAX_MESSAGE, _MAX_PAYLOAD = 1152, 1024


@checks("RFC 7252 4.3", "An empty CON (a ping) gets a Reset.")
async def ping(case):
    await case.require_reset(empty(CON, case.new_mid()).encode())


@checks("RFC 7252 4.2", "An empty CON with a token is malformed, and gets a Reset.")
async def empty_con_with_token(case):
    await case.require_reset(Message(CON, EMPTY, case.new_mid(), b"tok").encode())


@checks("RFC 7252 4.2", "A CON of a reserved class of codes gets a Reset.")
async def reserved_class(case):
    await case.require_reset(Message(CON, 0xC1, case.new_mid(), b"tok").encode())


@checks("RFC 7252 3", "A CON with a token length of 9 gets a Reset.")
async def token_length_of_nine(case):
    await case.require_reset(altered(case.datagram(), 0x49))


@checks("RFC 7252 3", "A CON with a payload marker and no payload gets a Reset.")
async def marker_without_payload(case):
    await case.require_reset(altered(case.datagram(), tail=b"\xff"))


@checks("RFC 7252 3.1", "A CON with an option nibble of 15 gets a Reset.")
async def reserved_nibble(case):
    await case.require_reset(altered(case.datagram(), tail=b"\xf0"))


@checks("RFC 7252 3.1", "A CON that ends within an option gets a Reset.")
async def cut_option(case):
    await case.require_reset(altered(case.datagram(), tail=b"\x05ab"))


@checks("RFC 7252 3", "A message of another version is ignored.")
async def other_version(case):
    await case.require_silence(altered(case.datagram(), 0x80 | case.datagram()[0] & 0x3F))


@checks("RFC 7252 3", "Fewer than four bytes are ignored.")
async def three_bytes(case):
    await case.require_silence(b"\x40\x01\x12")


@checks("RFC 7252 4.3", "A malformed NON gets no response.")
async def malformed_non(case):
    await case.require_silence(altered(case.datagram(type=NON), tail=b"\xff"), may_reset=True)


@checks("RFC 7252 4.2", "An ACK and a Reset that belong to nothing are ignored.")
async def unexpected_empty(case):
    case.send(case.station, empty(RST, case.new_mid()), case.bench.remote)
    await case.require_silence(empty(ACK, case.new_mid()).encode())


@checks("RFC 7252 4.2", "A request in an ACK is ignored.")
async def request_in_ack(case):
    await case.require_silence(case.datagram(type=ACK))


@checks("RFC 7252 4.5", "A repeated CON gets the same response again.")
async def repeated_con(case):
    request = case.request()
    first = await case.reply(request)
    require(first is not None, "nothing came")
    start = len(case.station.arrivals)
    case.send(case.station, request, case.bench.remote)
    wanted = is_reply_to(request.mid, request.token)
    again = case.take(await case.station.next(wanted, 2 * case.bench.quiet_s, start))
    require(again is not None, "nothing came for the repeated message")
    found = (again.type, again.code, again.mid, again.token)
    due = (first.type, first.code, first.mid, first.token)
    require(found == due, f"{code_text(again.code)} with other type, message ID or token")


@checks("RFC 7252 4.5", "A repeated NON is processed once.", should=True)
async def repeated_non(case):
    request = case.request(type=NON)
    for _ in range(2):
        case.send(case.station, request, case.bench.remote)
    await asyncio.sleep(case.bench.quiet_s)
    for arrival in case.station.arrivals:
        case.take(arrival)
    n_found = len(case.station.arrivals)
    require(n_found > 0, "nothing came")
    require(n_found == 1, f"{n_found} responses")


@checks("RFC 7252 5.2.1", "A CON is acknowledged with its message ID.")
async def acknowledgement(case):
    request = case.request()
    reply = await case.reply(request)
    require(reply is not None, "nothing came")
    require(reply.type == ACK and reply.mid == request.mid, "the first message is not its ACK")


@checks("RFC 7252 5.2.3", "A NON is answered with a NON.", should=True)
async def non_for_non(case):
    reply = await case.reply(case.request(type=NON))
    require(reply is not None, "nothing came")
    require(reply.type == NON, "the response is not a NON")


@checks("RFC 7252 5.3.1", "Tokens of 0, 1 and 8 bytes come back unchanged.")
async def token_is_echoed(case):
    for token in (b"", b"\x00", b"\x01\x02\x03\x04\x05\x06\x07\x08"):
        reply = await case.reply(case.request(token=token))
        require(reply is not None, f"nothing came for a token of {len(token)} bytes")
        if reply.code == EMPTY and reply.type == ACK:
            raise NotApplicable("the response is a message of its own: see acknowledgement")
        require(reply.token == token, f"token '{reply.token.hex()}' in place of '{token.hex()}'")


@checks("RFC 7252 5.4.1", "A CON with an unknown critical option gets 4.02.")
async def unknown_critical_option(case):
    message = await case.ask(options=[(CRITICAL_UNSAFE, b"x")])
    require_code(message, BAD_OPTION)


@checks("RFC 7252 5.4.1", "A NON with an unknown critical option is rejected.")
async def unknown_critical_option_in_non(case):
    request = case.request(options=[(CRITICAL_UNSAFE, b"x")], type=NON)
    await case.require_silence(request.encode(), may_reset=True)


@checks("RFC 7252 5.4.1", "An unknown elective option is ignored.")
async def unknown_elective_option(case):
    plain = await case.ask()
    require_code(await case.ask(options=[(ELECTIVE_SAFE, b"x")]), plain.code)


@checks("RFC 7252 5.4.3", "A critical option of a wrong length is not understood: 4.02.")
async def critical_option_too_long(case):
    require_code(await case.ask(options=[(ACCEPT, b"\x00\x01\x02")]), BAD_OPTION)


@checks("RFC 7252 5.4.3", "An elective option of a wrong length is ignored.")
async def elective_option_too_long(case):
    plain = await case.ask()
    require_code(await case.ask(options=[(4, b"123456789")]), plain.code)


@checks("RFC 7252 5.4.5", "A second Accept is not understood: 4.02.")
async def repeated_accept(case):
    require_code(await case.ask(options=[case.accept(), case.accept()]), BAD_OPTION)


@checks("RFC 7252 5.8", "A method that nobody knows gets 4.05.")
async def unknown_method(case):
    require_code(await case.ask(code=0x1F), METHOD_NOT_ALLOWED)


@checks("RFC 7252 5.10.1", "A Uri-Host that names the server's address changes nothing.")
async def uri_host(case):
    if case.profile.host:
        raise NotApplicable("the server has a name: every request has it")
    plain = await case.ask()
    host = case.bench.remote[0].encode()
    require_code(await case.ask(options=[(URI_HOST, host)]), plain.code)


@checks("RFC 7252 5.10.2", "A Proxy-Uri gets 5.05 from a server that is no proxy.")
async def proxy_uri(case):
    options = [(PROXY_URI, b"coap://other.example/x")]
    require_code(await case.ask(options=options), PROXYING_NOT_SUPPORTED)


@checks("RFC 7252 5.10.4", "A response has the format that Accept names.", needs=("ue",))
async def accept(case):
    await case.require_served()
    message = await case.ask(options=[case.accept()])
    require_code(message, CONTENT)
    found = message.uint(CONTENT_FORMAT)
    require(found == case.profile.content_format, f"Content-Format {found}")


@checks("RFC 7252 5.10.4", "An Accept that cannot be met gets 4.06.", needs=("ue",))
async def accept_of_another_format(case):
    await case.require_served()
    require_code(await case.ask(options=[(ACCEPT, b"\x2a")]), NOT_ACCEPTABLE)


@checks("RFC 7252 4.6", "A response has at most 1,024 bytes of payload, 1,152 in all.")
async def message_size(case):
    for queries in (None, []):
        message = await case.ask(queries)
        n_bytes = len(message.encode())
        require(n_bytes <= _MAX_MESSAGE, f"{n_bytes} bytes")
        require(len(message.payload) <= _MAX_PAYLOAD, f"{len(message.payload)} bytes of payload")


@checks("RFC 7252 8.2", "A response comes from the address that was asked.")
async def source_of_response(case):
    await case.ask()
    for arrival in case.station.arrivals:
        if arrival.remote != case.bench.remote:
            raise Failure(f"it came from {arrival.remote[0]}:{arrival.remote[1]}")


@checks("RFC 9175 2.2", "An Echo that nobody asked for changes nothing.")
async def unexpected_echo(case):
    plain = await case.ask()
    message = await case.ask(options=[(252, b"12345678")])
    if message.code == UNAUTHORIZED:
        return "4.01: the server wants an Echo of its own"
    require_code(message, plain.code)
    return ""
