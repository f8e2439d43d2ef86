"""What reads an answer comes and goes, and nothing is lost where there is no memory for it."""

import sys

from msgin5g.coap.message import Message
from msgin5g.coap.numbers import CONTENT, MAX_AGE
from msgin5g.coap.ticks import add
from builders import RELAY, drain
from ue_alone import alone, answer, asked, body

NAME = "msgin5g.ue.conclusion"


class Full:
    """In place of the module: there is no memory for what it would do."""

    def conclude(self, *_):
        raise MemoryError


def without_memory(function, *arguments):
    """Call a function while the conclusions find no memory."""
    loaded = sys.modules.pop(NAME, None)
    roles = sys.modules["msgin5g.roles"]
    sys.modules[NAME] = Full()
    if loaded:
        roles.conclusion = sys.modules[NAME]
    try:
        return function(*arguments)
    finally:
        sys.modules.pop(NAME, None)
        if loaded:
            sys.modules[NAME] = roles.conclusion = loaded


def test_an_answer_that_there_is_no_memory_for_is_as_if_it_were_lost():
    ue = alone(start_delay_s=0)
    request = asked(ue, 0)
    datagram = answer(request, CONTENT, [(MAX_AGE, b"\x3c")], body())
    without_memory(ue.receive, 0, datagram, RELAY, 10)
    assert ue.counters == {"no_memory": 1} and ue.poll() is None and ue.client.busy
    # What is not answered is sent again, and so is its answer.
    now = ue.wait_ms(10) + 10
    ue.step(now)
    _, again, _ = ue.transmit(now)
    assert Message(32).decode(bytes(again)).mid == request.mid
    ue.receive(0, datagram, RELAY, now)
    assert [event["event"] for event in drain(ue)] == ["applied"]
    assert ue.counters == {"no_memory": 1} and not ue.client.busy


def test_a_time_out_that_there_is_no_memory_for_leads_to_another_request():
    ue = alone(start_delay_s=0)
    asked(ue, 0)
    now = 0
    while ue.client.busy:
        now = add(now, ue.wait_ms(now))
        without_memory(ue.step, now)
        while ue.transmit(now) is not None:
            pass
    assert ue.counters == {"no_memory": 1} and ue.poll() is None
    assert 50000 <= ue.wait_ms(now) <= 60000
    now = add(now, ue.wait_ms(now))
    ue.receive(0, answer(asked(ue, now), CONTENT, [], body()), RELAY, now)
    assert [event["event"] for event in drain(ue)] == ["applied"]


def test_what_reads_answers_is_not_loaded_when_none_is_read():
    before = set(sys.modules)
    ue = alone(start_delay_s=0)
    sys.modules.pop(NAME, None)
    ue.receive(0, answer(asked(ue, 0), CONTENT, [], body()), RELAY, 10)
    assert [event["event"] for event in drain(ue)] == ["applied"]
    for name in (NAME, "msgin5g.scm.answer", "msgin5g.coap.block2", "msgin5g.cbor.decoder"):
        assert name not in sys.modules, name
    for name in before - set(sys.modules):
        __import__(name)
