"""The security context (RFC 8613 section 3): keys, nonces, additional data, replay window.

nonce = Common IV xor (length of the ID | ID, 7 bytes | Partial IV, 5 bytes)       section 5.2
AAD   = ["Encrypt0", h'', << [1, [10], request kid, request Partial IV, h''] >>]     section 5.4
"""

from micropython import const

from msgin5g.cbor.encoder import dumps
from msgin5g.oscore.hkdf import hkdf

MAX_ID_SIZE = const(7)  # of a Sender ID with a nonce of 13 bytes, section 3.3

_AES_CCM_16_64_128 = const(10)
_KEY_SIZE = const(16)
_NONCE_SIZE = const(13)
_WINDOW_SIZE = const(32)
_WINDOW_MASK = const(0xFFFFFFFF)
_AAD = b"\0\0\x83\x68Encrypt0\x40\0\x85\x01\x81\x0a\0"  # its size before it
_AAD_SIZE = const(19)  # without kid and Partial IV


class ProtectionError(Exception):
    """A message that is not authentic, not fresh, or not protected as it must be; or a message of
    ours for which there is no number.

    The text is the name of the counter for it.
    """


class SecurityContext:
    """What two endpoints share: one direction's key to protect, the other's to unprotect.

    master_secret, master_salt, sender_id, recipient_id: bytes. id_context: bytes, or None.
    sequence: gives the numbers of our messages, see sequence_store. peer: the Recipient of
    responses to the peer, its MSGin5G UE ID as bytes; None for a server. echo: bytes that the
    peer must repeat before `window` is used, None when it is known which numbers have come.
    """

    peer = echo = None

    def __init__(
        self,
        master_secret,
        sender_id,
        recipient_id,
        sequence,
        master_salt=b"",
        id_context=None,
    ):
        self.sender_id = sender_id
        self.recipient_id = recipient_id
        self.id_context = id_context
        self.sequence = sequence
        self.window = ReplayWindow()

        def derive(owner, kind, size):
            # Section 3.2.1: info = [id, id_context, alg_aead, type, L]
            info = dumps([owner, id_context, _AES_CCM_16_64_128, kind, size])
            return hkdf(master_salt, master_secret, info, size)

        self.sender_key = derive(sender_id, "Key", _KEY_SIZE)
        self.recipient_key = derive(recipient_id, "Key", _KEY_SIZE)
        common_iv = derive(b"", "IV", _NONCE_SIZE)
        self._sender_iv = _with_id(common_iv, sender_id)
        self._recipient_iv = _with_id(common_iv, recipient_id)

    def nonce(self, is_sender, partial_iv):
        """The nonce of a message with this Partial IV (bytes), made by us or by the peer."""
        iv = bytearray(self._sender_iv if is_sender else self._recipient_iv)
        at = _NONCE_SIZE - len(partial_iv)
        for byte in partial_iv:
            iv[at] ^= byte
            at += 1
        return iv


def additional_blocks(request_kid, request_partial_iv):
    """The AAD that binds a message to its request (section 5.4), as the blocks that AesCcm takes.

    Both arguments are bytes.
    """
    n = len(request_kid)
    m = len(request_partial_iv)
    size = _AAD_SIZE + n + m
    data = bytearray(size + 2 + 15 & -16)
    data[:19] = _AAD
    data[1] = size
    # Each byte string is shorter than 24: its length is in its first byte.
    data[13] = 0x40 | n + m + 7
    data[18] = 0x40 | n
    data[19 : 19 + n] = request_kid
    data[19 + n] = 0x40 | m
    data[20 + n : 20 + n + m] = request_partial_iv
    data[20 + n + m] = 0x40
    return data


class ReplayWindow:
    """Which numbers of the peer have come: the highest one and the 31 before it (section 7.4).

    A number below the window is refused, because nobody can tell whether it has come.
    """

    def __init__(self):
        self.highest = -1
        self._seen = 0  # bit i: highest - i has come

    def start(self, number):
        """Begin with this number: it has come, and what is below it is refused."""
        self.highest = number
        self._seen = _WINDOW_MASK

    def may_come(self, number):
        """Whether this number has not come yet."""
        behind = self.highest - number
        if behind < 0:
            return True
        return behind < _WINDOW_SIZE and not self._seen >> behind & 1

    def came(self, number):
        """Remember a number, once its message has proved authentic."""
        ahead = number - self.highest
        if ahead > 0:
            self._seen = (self._seen << ahead | 1) & _WINDOW_MASK if ahead < _WINDOW_SIZE else 1
            self.highest = number
        else:
            self._seen |= 1 << -ahead


def _with_id(common_iv, owner):
    """The Common IV xor the ID of the endpoint that makes the Partial IV."""
    iv = bytearray(common_iv)
    n = len(owner)
    iv[0] ^= n
    for i in range(n):
        iv[8 - n + i] ^= owner[i]
    return iv
