"""A program with sockets of its own, as a modem driver has them, written for microCoAPy."""

import microcoapy


class CustomSocket:
    """Answers every request itself; loses the first datagrams that it is given."""

    n_lost = 1

    def __init__(self):
        self.sent = []
        self.answer = None

    def setblocking(self, flag):
        pass

    def sendto(self, datagram, address):
        self.sent.append(bytes(datagram))
        if len(self.sent) > self.n_lost:
            head = bytes([0x60 | datagram[0] & 15, 0x45, datagram[2], datagram[3]])
            self.answer = head + bytes(datagram[4 : 4 + (datagram[0] & 15)]) + b"\xffhello"
        return len(datagram)

    def recvfrom(self, bufsize):
        answer, self.answer = self.answer, None
        return answer


class Apart(CustomSocket):
    """The kind that wants host and port apart, and knows where answers come from."""

    n_lost = 0

    def isUnixCompatible(self):
        return False

    def sendto(self, datagram, ip, port):
        self.address = (ip, port)
        return super().sendto(datagram, self.address)

    def recvfrom(self, bufsize):
        if self.answer is None:
            raise OSError(11)
        return super().recvfrom(bufsize), self.address


class Listed(Apart):
    """One that has the address from a modem's answer, as a list of texts."""

    def recvfrom(self, bufsize):
        answer, address = super().recvfrom(bufsize)
        return answer, [address[0], str(address[1])]


class Dead(CustomSocket):
    def sendto(self, datagram, address):
        raise ValueError("no carrier")


def answered(packet, sender):
    print(packet.toString().split(", payload: ")[0].split(", messageid")[0], sender)
    print(bytes(packet.payload))


for kind in (CustomSocket, Apart, Listed):
    client = microcoapy.Coap()
    client.debug = False
    client.resposeCallback = answered
    custom = kind()
    client.setCustomSocket(custom)
    mid = client.post("192.0.2.7", 5683, "to/a/path", "test", "q=1")
    print("sent", mid > 0, client.poll(4000))
    print("the same again", len(custom.sent), custom.sent[0] == custom.sent[-1])
client.setCustomSocket(Dead())
print("dead", client.get("192.0.2.7", 5683, "x"))
