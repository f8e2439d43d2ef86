"""A client as its author wrote it for microCoAPy; argv: server port, own port."""

import sys

import microcoapy
from microcoapy.coap_packet import CoapPacket

SERVER = "127.0.0.1"
port = int(sys.argv[1])


def receivedMessageCallback(packet, sender):
    print(packet.toString(), "from", sender[0], sender[1] == port)


client = microcoapy.Coap()
client.debug = False
client.responseCallback = receivedMessageCallback
client.start(int(sys.argv[2]))

text = microcoapy.COAP_CONTENT_FORMAT.COAP_TEXT_PLAIN
for ask in (
    lambda: client.put(SERVER, port, "one/two/three/four", "first", None, text),
    lambda: client.get(SERVER, port, "one/two/three/four"),
    lambda: client.getNonConf(SERVER, port, "one/two/three/four"),
    lambda: client.putNonConf(SERVER, port, "one/two/three/four", b"second", "a=1", text),
    lambda: client.get(SERVER, port, "/one/two/three/four", b"mine"),
    lambda: client.post(SERVER, port, "one", "x"),
    lambda: client.delete(SERVER, port, "one/two/three/four"),
    lambda: client.get(SERVER, port, "async?1"),
    lambda: client.get(SERVER, port, "async"),
    lambda: client.discoverResources(SERVER, port),
):
    print("sent", ask() > 0)
    print("polled", client.poll(9000, 100))

print("looped", client.loop(False))
print("sent", client.postNonConf(SERVER, port, "one", "y", content_format=text) > 0)
print("looped", client.loop())

n_seen = []
client.responseCallback = lambda packet, sender: n_seen.append(packet.messageid)
packet = CoapPacket()
packet.addOption(6, b"")  # Observe
client.sendEx(SERVER, port, "time", packet)
for _ in range(3):
    client.poll(3000, 100)
print("seen", len(n_seen), len(set(n_seen)))

client.stop()
print("sent", client.get(SERVER, port, "one") > 0)
