"""The checks of the steps of the ETSI catalogue, on the messages that a `proxy.Proxy` recorded.

A list `passed` is of (up, message), up: from client to server, message: scm_setup's.
"""

import time

import cbor2
from scm_setup import ACK, CON, CONTENT_FORMAT, NON, OBSERVE, RST, TIMEOUT_S, URI_PATH

READ_S = 0.15  # within which a peer reads what has passed
# Within which what is not to come would have come: 50 times the interval of our notifications, and
# longer than a first retransmission of the peers with QUICK or hasty parameters.
QUIET_S = 1.0

METHODS = {"get": "0.01", "post": "0.02", "put": "0.03", "delete": "0.04"}


def is_observing(passed):
    """Whether a server has accepted a registration."""
    return any(not up and OBSERVE in message.options for up, message in passed)


def of(passed, wanted):
    """The messages of one direction, or those for which wanted(up, message) is true."""
    if callable(wanted):
        return [message for way, message in passed if wanted(way, message)]
    return [message for way, message in passed if way == wanted]


def path_of(message):
    return "/".join(part.decode() for part in message.options[URI_PATH])


def has_format(answer):
    """Whether a payload has one Content-Format."""
    return not answer.payload or len(answer.options[CONTENT_FORMAT]) == 1


def check_pair(passed, method, codes, non=False):
    """A transaction of two messages, CON and ACK or NON and NON: (request, answer)."""
    kind = NON if non else CON
    assert [way for way, _ in passed] == [True, False], passed
    (_, request), (_, answer) = passed
    assert (request.type, request.code) == (kind, METHODS[method]), request
    assert answer.code in codes, answer
    assert answer.token == request.token and has_format(answer)
    if kind == CON:
        assert (answer.type, answer.mid) == (ACK, request.mid)
    else:
        assert answer.type == NON
    return request, answer


def check_separate(passed):
    """A GET whose answer comes apart from the acknowledgement, CON: (request, answer)."""
    ways = [(way, m.type, m.code) for way, m in passed]
    assert ways == [
        (True, CON, "0.01"), (False, ACK, "0.00"), (False, CON, "2.05"), (True, ACK, "0.00")
    ], passed  # fmt: skip
    request, empty, answer, last = (message for _, message in passed)
    assert (empty.mid, empty.size) == (request.mid, 4)
    assert (last.mid, last.size) == (answer.mid, 4)
    assert answer.token == request.token
    assert answer.payload and has_format(answer)
    return request, answer


def check_registration(passed, kind=CON):
    """The registration of an observation: (request, answer)."""
    request = next(m for m in of(passed, True) if OBSERVE in m.options)
    answer = next(m for m in of(passed, False) if m.token == request.token)
    assert (request.type, request.code) == (kind, "0.01")
    assert request.token and request.options[OBSERVE] == [b""]
    assert (answer.type, answer.code) == (ACK if kind == CON else NON, "2.05")
    assert len(answer.options[OBSERVE]) == len(answer.options[CONTENT_FORMAT]) == 1
    return request, answer


def check_notified(proxy, n, kinds=(CON,)):
    """Wait for n notifications, acknowledged where they are CON: them.

    Checks type, code, token, Content-Format, and that each is newer than the one before.
    """

    def all_notified(passed):
        mids = {m.mid for m in of(passed, True) if (m.type, m.code) == (ACK, "0.00")}
        notified = notifications(passed)
        done = [m for m in notified if m.type != CON or m.mid in mids]
        return notified if len(done) >= n else None

    last = check_registration(proxy.passed(), proxy.passed()[0][1].type)[1]
    notified = proxy.wait(all_notified)
    for message in notified:
        assert (message.code, message.token) == ("2.05", last.token) and message.type in kinds
        assert message.options[CONTENT_FORMAT] == last.options[CONTENT_FORMAT]
        assert 0 < (number(message) - number(last)) % 2**24 < 2**23, "RFC 7641 section 3.4"
        last = message
    return notified


def notifications(passed):
    """Answers to the registration's token after the first, with Observe, each once."""
    token = next(m for m in of(passed, True) if OBSERVE in m.options).token
    notified = [m for m in of(passed, False) if m.token == token and OBSERVE in m.options]
    return list({m.mid: m for m in notified[1:]}.values())


def number(message):
    return int.from_bytes(message.options[OBSERVE][0], "big")


def shows(watching, name):
    """Whether the configuration of that name was displayed; asked when the observation is over."""
    return any(f"{name}@example.com".encode() in part for part in watching.shown)


def documents(shown):
    """The documents in what a client displays."""
    found = cbor2.loads(shown)
    return found if isinstance(found, list) else [found]


def once(*wanted):
    """A `lose` for taps: the first message that each of these functions of (up, message) wants."""
    left = [*wanted]

    def lose(passed):
        for want in left:
            if want(passed.up, passed.message):
                left.remove(want)
                return True
        return False

    return lose


def change(pair, proxy, *names, **more):
    """Change the document once for each name, and wait for acknowledged notifications."""
    n = len(notifications(proxy.passed()))
    for i, name in enumerate(names, n + 1):
        pair.put(name, **more)
        check_notified(proxy, i)
    return notifications(proxy.passed())[n:]


def is_quiet(proxy):
    """Whether nothing more passes."""
    n = len(proxy.log)
    time.sleep(QUIET_S)
    return len(proxy.log) == n


def check_last(proxy, code, kind=CON):
    """The notification that ends an observation: waited for, acknowledged, without Observe."""
    request, _ = check_registration(proxy.passed())

    def ended(passed):
        last = [m for m in of(passed, False) if m.token == request.token and m.code == code]
        acknowledged = {m.mid for m in of(passed, True) if m.type == ACK}
        return [m for m in last if m.type == NON or m.mid in acknowledged]

    (last,) = proxy.wait(ended)
    assert last.type == kind and OBSERVE not in last.options


def resets(passed):
    """The Resets of the client."""
    return [m for m in of(passed, True) if m.type == RST]


def wait_until(ready):
    """Wait until ready() is true."""
    end = time.monotonic() + TIMEOUT_S
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.02)


def repeated(passed):
    """Whether the newest notification has been sent again."""
    newest = notifications(passed)[-1]
    return len([m for m in of(passed, False) if m.mid == newest.mid]) > 1 and passed
