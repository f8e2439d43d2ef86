"""The datagrams of a capture as a sequence diagram: who stands where comes from who asks whom."""

from msgin5g_tools.decode.faults import decode
from msgin5g_tools.decode.sequence_diagram import Entry
from msgin5g_tools.decode.sequence_svg import sequence_svg

_MAX_MESSAGES = 1000  # about 500 KB of SVG
_MAX_PARTICIPANTS = 40  # lifelines side by side


class CaptureDiagram:
    """Takes the first 1,000 datagrams between the first 40 addresses.

    A participant is an address without its port, as a program may bind several. Where a host sends
    to itself, its participants have their port. n_left_out: datagrams that are not drawn.
    """

    def __init__(self, registry):
        self._registry = registry
        self._datagrams = []
        self._addresses = set()
        self._hosts_with_ports = set()
        self.n_left_out = 0

    def add(self, datagram):
        """Add a Datagram of the capture."""
        ends = {datagram.source, datagram.target}
        known = len(self._addresses | ends) <= _MAX_PARTICIPANTS
        if len(self._datagrams) == _MAX_MESSAGES or not known:
            self.n_left_out += 1
            return
        self._addresses |= ends
        self._datagrams.append(datagram)
        if datagram.source[0] == datagram.target[0]:
            self._hosts_with_ports.add(datagram.source[0])

    @property
    def counted(self):
        """`13 messages between 5 addresses`, and what is not drawn."""
        names = sum(map(len, self._columns()))
        text = f"{len(self._datagrams)} messages between {names} addresses"
        return text + (f"; not drawn: {self.n_left_out}" if self.n_left_out else "")

    def svg(self, title):
        """The text of an SVG file; None without a datagram."""
        if not self._datagrams:
            return None
        first_at = self._datagrams[0].seconds
        entries = [
            Entry(each.seconds - first_at, *self._ends(each), each.payload, "")
            for each in self._datagrams
        ]
        return sequence_svg(title, self.counted + ".", self._columns(), entries, self._registry)

    def _ends(self, datagram):
        return self._name(datagram.source), self._name(datagram.target)

    def _name(self, address):
        host, port = address
        if host not in self._hosts_with_ports:
            return host
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _columns(self):
        """The participants: whom nobody asks on the left, and each one right of who asks it."""
        asks = {}  # name -> names of those that it asks
        for datagram in self._datagrams:
            source, target = self._ends(datagram)
            asks.setdefault(source, set())
            asks.setdefault(target, set())
            message, _ = decode(datagram.payload)
            if message is None or not message.code:
                continue
            if message.code >> 5:  # a response: its request may be from before the capture
                source, target = target, source
            if source not in _reached(target, asks):  # else each would be right of the other
                asks[source].add(target)
        column = dict.fromkeys(asks, 0)
        for _ in asks:
            for name, asked in asks.items():
                for other in asked:
                    column[other] = max(column[other], column[name] + 1)
        return [[n for n in asks if column[n] == i] for i in sorted({*column.values()})]


def _reached(name, asks):
    """The name, whom it asks, whom these ask, and so on."""
    found, ahead = set(), [name]
    while ahead:
        each = ahead.pop()
        if each not in found:
            found.add(each)
            ahead += asks[each]
    return found
