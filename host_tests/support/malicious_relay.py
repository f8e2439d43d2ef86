"""A relay that is not to be trusted: it keeps what it gets, and a test says what it passes on."""


class MaliciousRelay:
    """Passes datagrams between UEs and a server as they are, while `passes` is true; else it
    acknowledges what the server sends.

    up, down: the datagrams that have come from UEs and from the server, the oldest first. change:
    a function of (datagram, from the server), which gives the datagrams to pass on instead.
    """

    def __init__(self, server):
        self.server = server
        self.passes = True
        self.change = None
        self.up = []
        self.down = []
        self._remotes = {}  # {token: remote}
        self._last = None
        self._out = []

    def receive(self, transport, datagram, remote, now):
        datagram = bytes(datagram)
        is_down = remote == self.server
        token = datagram[4 : 4 + (datagram[0] & 15)]
        if is_down:
            self.down.append(datagram)
            remote = self._remotes.get(token, self._last)
        else:
            self.up.append(datagram)
            self._remotes[token] = self._last = remote
            remote = self.server
        if self.passes:
            for one in self.change(datagram, is_down) if self.change else (datagram,):
                self._out.append((transport, one, remote))
        elif is_down and datagram[0] >> 4 == 4:
            self.to_server(bytes((0x60, 0, datagram[2], datagram[3])))  # the server sends the next

    def to_server(self, datagram):
        self._out.append((0, datagram, self.server))

    def to_ue(self, datagram, remote=None):
        self._out.append((0, datagram, remote or self._last))

    def transmit(self, now):
        return self._out.pop(0) if self._out else None

    def step(self, now):
        pass

    def wait_ms(self, now):
        return 0 if self._out else None


def with_header(datagram, mtype=None, code=None, mid=None, token=None):
    """A datagram whose header is another one; the token has its size."""
    out = bytearray(datagram)
    if mtype is not None:
        out[0] = out[0] & 0xCF | mtype << 4
    if code is not None:
        out[1] = code
    if mid is not None:
        out[2] = mid >> 8
        out[3] = mid & 0xFF
    if token is not None:
        out[4 : 4 + len(token)] = token
    return bytes(out)
