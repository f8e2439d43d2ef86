"""Which options of a request are understood (RFC 7252 section 5.4), and the Recipient option.

aiocoap accepts every option, known or not, repeated or not, of any length; the rules are here.
"""

from aiocoap.numbers.optionnumbers import OptionNumber

# number -> (smallest size, largest size, repeatable), in bytes as on the wire
_SIZES = {
    OptionNumber.IF_MATCH: (0, 8, True),
    OptionNumber.URI_HOST: (1, 255, False),
    OptionNumber.ETAG: (1, 8, True),
    OptionNumber.IF_NONE_MATCH: (0, 0, False),
    OptionNumber.OBSERVE: (0, 3, False),
    OptionNumber.URI_PORT: (0, 2, False),
    OptionNumber.URI_PATH: (0, 255, True),
    OptionNumber.CONTENT_FORMAT: (0, 2, False),
    OptionNumber.ACCEPT: (0, 2, False),
    OptionNumber.BLOCK2: (0, 3, False),
    OptionNumber.BLOCK1: (0, 3, False),
    OptionNumber.SIZE2: (0, 4, False),
    OptionNumber.SIZE1: (0, 4, False),
    OptionNumber.PROXY_URI: (1, 1034, False),
    OptionNumber.PROXY_SCHEME: (1, 255, False),
    OptionNumber.ECHO: (1, 40, False),
    OptionNumber.NO_RESPONSE: (0, 1, False),
    # No limit: a query that is too long gets 4.00 with a reason rather than 4.02.
    OptionNumber.URI_QUERY: (0, 65535, True),
}
# Numbers that a deployment cannot choose for Recipient.
KNOWN = frozenset(int(number) for number in OptionNumber)
_MAX_RECIPIENT_SIZE = 255
# RFC 7252 section 5.10.1: no segment of a Uri-Path is one of these.
DOTS = (".", "..")


def fits(number, size):
    """False when a value of this size makes the option unrecognised (section 5.4.3)."""
    low, high, _ = _SIZES.get(number, (0, 65535, True))
    return low <= size <= high


def unprocessed(request, recipient_option, also_unknown=()):
    """Numbers of the critical options of a request that are not understood, ascending.

    `also_unknown` are options that this method or resource does not define (section 5.4.5).
    """
    numbers = set(getattr(request, "unprocessed", ()))  # found by coap_message.decode
    seen = set()
    for option in request.opt.option_list():
        number = int(option.number)
        if number % 2 == 0 or number == recipient_option:
            continue
        understood = number in _SIZES and number not in also_unknown
        repeatable = understood and _SIZES[number][2]
        if not understood or not fits(number, len(option.encode())):
            numbers.add(number)
        elif number in seen and not repeatable:
            numbers.add(number)
        elif number == OptionNumber.URI_PATH and option.value in DOTS:
            numbers.add(number)
        seen.add(number)
    return sorted(numbers)


def recipient(message, number):
    """The Recipient of a message as text; None when absent or not a text of 1 to 255 bytes."""
    for option in message.opt.get_option(OptionNumber(number)):
        value = option.encode()
        try:
            return value.decode() if 0 < len(value) <= _MAX_RECIPIENT_SIZE else None
        except UnicodeDecodeError:
            return None
    return None


def set_recipient(message, number, uri):
    message.opt.add_option(OptionNumber(number).create_option(decode=uri.encode()))
