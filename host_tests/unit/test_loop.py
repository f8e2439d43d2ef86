"""port/event_loop.py: what a node does at one moment, and at its last one."""

from msgin5g.port.event_loop import act


class Role:
    """It has an outcome to tell, and the acknowledgement of what has brought it to send."""

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


class Link:
    def __init__(self):
        self.sent = []

    def send(self, datagram, remote):
        self.sent.append((datagram, remote))


def test_all_is_told_before_the_role_acts_and_sends():
    role, transport, told = Role(), Link(), []
    assert not act(role, [transport], 7, told.append, None)
    assert [event["event"] for event in told] == ["applied", "later"]
    assert role.stepped == [7] and transport.sent == [(b"acknowledgement", "gateway")]


def test_the_last_acknowledgement_is_sent_when_the_outcome_ends_the_run():
    role, transport, traced = Role(), Link(), []

    def trace(out, datagram, remote):
        traced.append(out)

    assert act(role, [transport], 7, lambda event: event["event"] == "applied", trace)
    assert role.stepped == [] and role.events == [{"event": "later"}]
    assert transport.sent == [(b"acknowledgement", "gateway")] and traced == [True]
