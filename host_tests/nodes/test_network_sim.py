"""The virtual network is the same in every run: else a lost datagram is another one each time."""

from msgin5g_testkit.network_sim import NetworkSim


class Talker:
    """A node that sends one datagram, and then none."""

    def __init__(self):
        self.out = [(0, b"hello", ("192.0.2.1", 5683))]

    def step(self, now):
        pass

    def transmit(self, now):
        return self.out.pop() if self.out else None

    def wait_ms(self, now):
        return None


def test_nodes_send_in_the_order_in_which_they_were_added():
    sim = NetworkSim()
    addresses = [("192.168.4.%d" % n, 65401) for n in range(30)]
    for address in addresses:
        sim.add(address, Talker())
    sim.remove(addresses[3])
    sim.add(addresses[3], Talker())
    sim.add(addresses[7], Talker())  # another node in its place
    sim.run(None, 100)
    order = addresses[:3] + addresses[4:] + addresses[3:4]
    assert [source for _, source, _, _ in sim.log] == order
