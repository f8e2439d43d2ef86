"""A UE that runs out of memory while it works on a response loses nothing but time."""

import msgin5g.node as module
from builders import RELAY, drain
from msgin5g.coap.message import Message
from msgin5g.coap.numbers import CONTENT, MAX_AGE
from msgin5g.coap.ticks import add
from msgin5g.node import Node
from msgin5g.port.udp import UdpTransport
from ue_alone import alone, answer, asked, body


def run_out(*_):
    raise MemoryError


def without_memory(part, name, function, *arguments):
    """Call a function while the method `name` of a part of the UE runs out of memory."""
    method = getattr(part, name)
    setattr(part, name, run_out)
    try:
        return function(*arguments)
    finally:
        setattr(part, name, method)


def test_a_response_that_there_is_no_memory_for_is_as_if_it_were_lost():
    ue = alone(start_delay_s=0)
    request = asked(ue, 0)
    datagram = answer(request, CONTENT, [(MAX_AGE, b"\x3c")], body())
    without_memory(ue.endpoint.message, "find", ue.receive, 0, datagram, RELAY, 10)
    assert ue.counters == {"no_memory": 1} and ue.poll() is None and ue.client.busy
    # What is not answered is sent again, and so is its answer.
    now = ue.wait_ms(10) + 10
    ue.step(now)
    _, again, _ = ue.transmit(now)
    assert Message(32).decode(bytes(again)).mid == request.mid
    ue.receive(0, datagram, RELAY, now)
    assert [event["event"] for event in drain(ue)] == ["applied"]
    assert ue.counters == {"no_memory": 1} and not ue.client.busy


def test_an_outcome_that_there_is_no_memory_for_leads_to_another_request():
    ue = alone(start_delay_s=0)
    datagram = answer(asked(ue, 0), CONTENT, [(MAX_AGE, b"\x3c")], body())
    without_memory(ue.configuration, "offer", ue.receive, 0, datagram, RELAY, 10)
    check_that_it_asks_again(ue, 10)


def test_a_time_out_that_there_is_no_memory_for_leads_to_another_request():
    ue = alone(start_delay_s=0)
    asked(ue, 0)
    now = 0
    while ue.client.busy:
        now = add(now, ue.wait_ms(now))
        without_memory(ue.client, "no_response", ue.step, now)
        while ue.transmit(now) is not None:
            pass
    check_that_it_asks_again(ue, now)


def check_that_it_asks_again(ue, now):
    assert ue.counters == {"no_memory": 1} and ue.poll() is None
    assert 50000 <= ue.wait_ms(now) <= 60000
    now = add(now, ue.wait_ms(now))
    ue.receive(0, answer(asked(ue, now), CONTENT, [], body()), RELAY, now)
    assert [event["event"] for event in drain(ue)] == ["applied"]


class Service:
    """A service of a node that finds no memory the first time."""

    def __init__(self):
        self.n_steps = 0

    def step(self, now):
        self.n_steps += 1
        if self.n_steps == 1:
            raise MemoryError

    def wait_ms(self, now):
        return None


def test_a_service_that_there_is_no_memory_for_ends_nothing():
    ue = alone(start_delay_s=0)
    node = Node(ue, [])
    service = Service()
    node.services.append(service)
    node.step(0)
    assert ue.counters == {"no_memory": 1}
    node.step(0)
    assert service.n_steps == 2 and ue.counters == {"no_memory": 1}
    assert node.transmit(0) is not None


def test_an_event_that_there_is_no_memory_to_print_does_not_end_the_loop():
    node = Node(alone(), [])
    for name, ends in (("applied", False), ("restarting", True)):
        module.print = run_out
        try:
            assert node.print_event({"event": name}) is ends
        finally:
            del module.print
    assert node.outcome == "applied"


class FullSocket:
    """A socket on a heap that has no room, not even for one byte."""

    def recvfrom(self, size):
        raise MemoryError

    def sendto(self, datagram, remote):
        raise MemoryError


def test_a_socket_that_there_is_no_memory_for_loses_a_datagram_and_nothing_else():
    transport = UdpTransport(FullSocket())
    assert transport.receive() is None
    transport.send(b"x", RELAY)
    assert transport.n_failed == 1


def test_what_could_not_be_counted_is_counted_later():
    ue = alone(start_delay_s=0)
    datagram = answer(asked(ue, 0), CONTENT, [(MAX_AGE, b"\x3c")], body())

    class Full(dict):
        def __setitem__(self, name, n):
            raise MemoryError

    ue.counters = Full()
    for _ in range(3):
        without_memory(ue.endpoint, "receive", ue.receive, 0, datagram, RELAY, 10)
    ue.counters = ue.endpoint.counters
    ue.step(10)
    assert ue.counters == {"no_memory": 3}
    ue.receive(0, datagram, RELAY, 10)
    assert [event["event"] for event in drain(ue)] == ["applied"]
