"""Search what was printed for a key, or a part of one, in every form that a print may give it."""

import base64

PIECE = 8


def shown_forms(secret):
    """Every piece of 8 bytes of a secret as hex, base64, repr, or a list of numbers."""
    for i in range(len(secret) - PIECE + 1):
        piece = secret[i : i + PIECE]
        yield piece.hex()
        yield repr(piece)[2:-1]
        yield ", ".join(map(str, piece))
        for shift in range(3):
            # The letters that are made of this piece alone, one or two bytes after a boundary.
            text = base64.b64encode(bytes(shift) + piece).decode().rstrip("=")
            whole = (shift + PIECE) * 8 // 6
            yield text[(shift * 8 + 5) // 6 : whole]


def pieces_shown(secrets, printed):
    """The forms of these secrets that are in a text; [] when there are none."""
    folded = printed.lower()
    found = []
    for secret in secrets:
        for form in shown_forms(secret):
            # Base64 tells capitals, and hex is printed either way.
            if form in printed or (form.lower() in folded and len(form) == 2 * PIECE):
                found.append(form)
    return found


def keys_of(master_secret, sender_id, recipient_id):
    """A master secret and the two keys that are made of it."""
    from msgin5g.oscore.context import SecurityContext

    context = SecurityContext(master_secret, sender_id, recipient_id, None)
    return [master_secret, context.sender_key, context.recipient_key]
