"""The order of notifications (RFC 7641 section 3.4)."""

from micropython import const

from msgin5g.coap.ticks import diff

_REORDER_MS = const(128000)  # longer than this, the numbers may have wrapped around


class NotificationOrder:
    """Tells a newer notification of one observation from an older one."""

    def __init__(self):
        self._number = None  # of the newest notification; None: any notification is newer
        self._taken_at = 0

    def newer(self, number, now):
        """Whether the Observe value `number` is newer than the last; if so, it is now the last."""
        last = self._number
        if (
            last is None
            or 0 < (number - last) & 0xFFFFFF < 0x800000
            or diff(now, self._taken_at) > _REORDER_MS
        ):
            self._number = number
            self._taken_at = now
            return True
        return False

    def reset(self):
        """Start again: any notification is newer."""
        self._number = None
