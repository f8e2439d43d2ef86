"""port/event_loop.py: what a node does at one moment, and at its last one."""

from msgin5g.port.event_loop import act


class Node:
    """A node with an outcome to print, and the acknowledgement of its message to send."""

    def __init__(self):
        self.events = [{"event": "applied"}, {"event": "later"}]
        self.out = [(0, b"acknowledgement", "gateway")]
        self.stepped = []

    def poll(self):
        return self.events.pop(0) if self.events else None

    def step(self, now):
        self.stepped.append(now)

    def transmit(self, now):
        return self.out.pop(0) if self.out else None


class Transport:
    def __init__(self):
        self.sent = []

    def send(self, datagram, remote):
        self.sent.append((datagram, remote))


def test_all_events_are_printed_before_the_node_acts_and_sends():
    node, transport, printed = Node(), Transport(), []
    assert not act(node, [transport], 7, printed.append, None)
    assert [event["event"] for event in printed] == ["applied", "later"]
    assert node.stepped == [7] and transport.sent == [(b"acknowledgement", "gateway")]


def test_the_last_acknowledgement_is_sent_when_the_outcome_ends_the_run():
    node, transport, traced = Node(), Transport(), []

    def trace(out, datagram, remote):
        traced.append(out)

    assert act(node, [transport], 7, lambda event: event["event"] == "applied", trace)
    assert node.stepped == [] and node.events == [{"event": "later"}]
    assert transport.sent == [(b"acknowledgement", "gateway")] and traced == [True]
