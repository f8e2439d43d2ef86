"""Rules of the identities in queries and documents: Uri, TypeAllocationCode, SerialNumber.

In TS 24.546 C.1.4.3 the address of a UE is a Uri (RFC 3986); any scheme is allowed. Two URIs are
equal when they are equal byte for byte with scheme and host in lower case (RFC 3986 section
6.2.2.1).
"""

import ipaddress
import re
from functools import lru_cache

MAX_URI_SIZE = 248  # a Uri-Query of 255 bytes less "ue-uri="
MAX_SNR = 999999

_CHARS = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})"
_LITERAL = rf"//(?:{_CHARS}*@)?\[[0-9A-Fa-fvV:.]+\]"  # only an IP literal has [ ]
_URI = re.compile(rf"[A-Za-z][A-Za-z0-9+.\-]*:(?=.)(?:{_LITERAL})?{_CHARS}*(?:#{_CHARS}*)?")
_TAC = re.compile(r"[0-9]{8}")
_SNR = re.compile(r"[0-9]{1,6}")
_AUTHORITY = re.compile(r"(//(?:[^/?#@]*@)?)([^/?#]*)(.*)", re.DOTALL)
_NEXT_URI = re.compile(r",(?=[A-Za-z][A-Za-z0-9+.\-]*:)")


def uri_fault(text):
    """Why this is not the address of a UE, or None."""
    if not text:
        return "is empty"
    if not _URI.fullmatch(text):
        return "is not a URI (RFC 3986)"
    if len(text) > MAX_URI_SIZE:
        return f"is longer than {MAX_URI_SIZE} bytes"
    return None


def tac_fault(text):
    return None if _TAC.fullmatch(text) else "is not 8 digits"


def snr_fault(text):
    return None if _SNR.fullmatch(text) else "is not 1 to 6 digits"


@lru_cache(1024)  # one request asks for it several times
def normal_uri(text):
    """The form in which all spellings of one address are equal."""
    scheme, colon, rest = text.partition(":")
    match = _AUTHORITY.fullmatch(rest)
    if match:
        rest = match[1] + match[2].lower() + match[3]
    return scheme.lower() + colon + rest


def host_fault(text):
    """Why this is not the address of a gateway, or None."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return "is not an IP address"
    return None


def is_loopback(host):
    """Whether this address, or name in the settings, is on this machine and nowhere else."""
    if host_fault(host):
        return host == "localhost"
    return ipaddress.ip_address(host).is_loopback


def normal_host(text):
    """The canonical form of an IP address."""
    return str(ipaddress.ip_address(text))


def split_uris(text):
    """The URIs of a list with commas; a comma splits only when `scheme:` follows it."""
    return _NEXT_URI.split(text)
