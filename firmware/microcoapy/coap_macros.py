"""The names and numbers of microCoAPy, with its spellings and the right ones beside them."""

_TYPES = ("CON", "NONCON", "ACK", "RESET")


class CoapResponseCode:
    """A code as one byte and as class and detail."""

    @staticmethod
    def encode(class_, detail):
        return class_ << 5 | detail

    @staticmethod
    def decode(value):
        return value >> 5 & 7, value & 31


class COAP_VERSION:
    COAP_VERSION_UNSUPPORTED = 0
    COAP_VERSION_1 = 1


class COAP_TYPE:
    COAP_CON = 0
    COAP_NONCON = 1
    COAP_ACK = 2
    COAP_RESET = 3


class COAP_METHOD:
    COAP_EMPTY_MESSAGE = 0
    COAP_GET = 1
    COAP_POST = 2
    COAP_PUT = 3
    COAP_DELETE = 4


class COAP_RESPONSE_CODE:
    COAP_CREATED = 0x41
    COAP_DELETED = 0x42
    COAP_VALID = 0x43
    COAP_CHANGED = 0x44
    COAP_CONTENT = 0x45
    COAP_BAD_REQUEST = 0x80
    COAP_UNAUTHORIZED = 0x81
    COAP_BAD_OPTION = 0x82
    COAP_FORBIDDEN = 0x83
    COAP_NOT_FOUND = 0x84
    COAP_METHOD_NOT_ALLOWD = COAP_METHOD_NOT_ALLOWED = 0x85
    COAP_NOT_ACCEPTABLE = 0x86
    COAP_PRECONDITION_FAILED = 0x8C
    COAP_REQUEST_ENTITY_TOO_LARGE = 0x8D
    COAP_UNSUPPORTED_CONTENT_FORMAT = 0x8F
    COAP_INTERNAL_SERVER_ERROR = 0xA0
    COAP_NOT_IMPLEMENTED = 0xA1
    COAP_BAD_GATEWAY = 0xA2
    COAP_SERVICE_UNAVALIABLE = COAP_SERVICE_UNAVAILABLE = 0xA3
    COAP_GATEWAY_TIMEOUT = 0xA4
    COAP_PROXYING_NOT_SUPPORTED = 0xA5


class COAP_OPTION_NUMBER:
    COAP_IF_MATCH = 1
    COAP_URI_HOST = 3
    COAP_E_TAG = 4
    COAP_IF_NONE_MATCH = 5
    COAP_OBSERVE = 6
    COAP_URI_PORT = 7
    COAP_LOCATION_PATH = 8
    COAP_URI_PATH = 11
    COAP_CONTENT_FORMAT = 12
    COAP_MAX_AGE = 14
    COAP_URI_QUERY = 15
    COAP_ACCEPT = 17
    COAP_LOCATION_QUERY = 20
    COAP_PROXY_URI = 35
    COAP_PROXY_SCHEME = 39


class COAP_CONTENT_FORMAT:
    COAP_NONE = -1
    COAP_TEXT_PLAIN = 0
    COAP_APPLICATION_LINK_FORMAT = 40
    COAP_APPLICATION_XML = 41
    COAP_APPLICATION_OCTET_STREAM = 42
    COAP_APPLICATION_EXI = 47
    COAP_APPLICATION_JSON = 50
    COAP_APPLICATION_CBOR = 60


def coapTypeToString(type):
    """`CON` for 0."""
    return _TYPES[type] if 0 <= type <= 3 else "INVALID"
