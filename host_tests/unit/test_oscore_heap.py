"""The heap that OSCORE takes for a message and for a security context."""

import gc

from msgin5g_testkit.checks import load
from msgin5g.coap.numbers import CON, CONTENT, GET, OBSERVE, URI_PATH
from msgin5g.oscore.context import SecurityContext
from msgin5g.oscore.protect import Binding, Protection
from oscore_contexts import RECIPIENT, SALT, SECRET, context, message

load("msgin5g.oscore.protect")


def garbage_of(function):
    """Bytes that a call allocates; None where the interpreter cannot say (CPython)."""
    function()
    if not hasattr(gc, "mem_alloc"):
        return None
    gc.collect()
    gc.disable()
    start = gc.mem_alloc()
    function()
    size = gc.mem_alloc() - start
    gc.enable()
    return size


def test_a_message_takes_at_most_2_kb_and_twice_its_size_of_garbage():
    client, server = context(b"\x07", b"\x01", 70000), context(b"\x01", b"\x07")
    protection = Protection(RECIPIENT)
    recipient = (RECIPIENT, b"urn:x-msgin5g:ue:0007")
    for size in (0, 20, 40, 60, 80, 100, 120, 250, 500, 1000):
        options = [(OBSERVE, b""), (URI_PATH, b"su-uc"), (15, b"ue-uri=urn:x:1"), recipient]
        binding = Binding(server, b"\x07", b"\x05", False)
        at_client = Binding(client, b"\x07", b"\x05", False)
        payload = bytes(size)
        code, outer, sealed = protection.protect_response(binding, CONTENT, [recipient], payload)
        got = message(code, 2, 1, b"1234", outer, sealed)
        datagram = got.view

        def ask(options=options, payload=payload):
            protection.protect_request(client, GET, options, payload)

        def answer(binding=binding, payload=payload):
            protection.protect_response(binding, CONTENT, [recipient], payload)

        def take(binding=at_client, got=got, datagram=datagram):
            got.decode(datagram)
            protection.unprotect_response(binding, got)

        _, outer, sealed, _ = protection.protect_request(client, GET, options, payload)
        asked = message(2, CON, 1, b"1234", outer, sealed)
        request = asked.view

        def take_request(asked=asked, request=request):
            asked.decode(request)
            protection.unprotect_request(server, asked)

        def bind():
            Binding(server, b"\x07", b"\x05", False)

        for function, n in (
            (ask, len(request)),
            (take_request, len(request)),
            (answer, len(datagram)),
            (take, len(datagram)),
        ):
            found = garbage_of(function)
            if found is not None and function == take_request:
                found -= garbage_of(bind)  # which lives as long as the request
            assert found is None or found <= 2048 + 2 * n, (size, n, found)


def test_a_context_takes_at_most_1_kb_of_heap():
    for sender, id_context in ((b"\x07", None), (b"1234567", b"12345678")):
        made = []

        def make(sender=sender, id_context=id_context, made=made):
            made.append(SecurityContext(SECRET, sender, b"\x01", None, SALT, id_context))

        make()
        if not hasattr(gc, "mem_alloc"):
            return
        gc.collect()
        start = gc.mem_alloc()
        make()
        gc.collect()
        assert gc.mem_alloc() - start <= 1024
