"""What the gateway counts in its tables, whatever happens, and that they end empty."""

from msgin5g_testkit.checks import xorshift
from gateway_builders import SEAL_C, address, doc, name, new, separated, shared

_ID_OVERHEAD = 9  # `ue-uri=` and the head of its option
QUERIES = ((), (), (b"ue-vendor=acme",), (b"ue-vendor=a", b"x=1"))
DOCUMENTS = (None, None, b"one", b"all", b"none")


def check_tables(gateway, case):
    """What is counted is what is there, and each request is in one place."""
    pending = gateway.pending_requests
    scheduler = gateway.scheduler
    responder = gateway.responder
    documents = gateway.shared_documents.documents
    observers = [observer for ue in gateway.links for observer in ue.observers]
    requests = [ue.request for ue in gateway.links if ue.request is not None]
    n_waiting = len(requests) + len([o for o in observers if o.response is not None])
    # The notification that ends an observation is of an observer that has gone.
    n_waiting += len([r for r in responder.ready if r.observer is r and r not in observers])
    assert pending.n_waiting == n_waiting, case
    held = [len(document) for request in requests for document in request.documents or ()]
    assert pending.held_size == sum(held), case
    assert gateway.observers.n_observers == len(observers), case
    watched = [observer for document in documents.values() for observer in document.observers]
    assert len(watched) == len(observers), case
    assert all(observer in watched and observer.is_active for observer in observers), case
    confirmations = gateway.shared_documents.confirmations.values()
    for document in documents.values():
        n = len([c for c in confirmations if c.document is document])
        assert document.n_confirmations == n, case
        is_wanted = document.requests or document.observers or n or document.is_queued
        assert is_wanted or document in gateway.transfers.under_way, case
    transfers = gateway.transfers.under_way + scheduler.queued
    assert len(gateway.transfers.under_way) <= 2, case
    assert all(transfer.is_queued for transfer in scheduler.queued), case
    waiting = list(scheduler.singles)
    for group in scheduler.collecting:
        assert group.requests, case
        size = sum([len(query) + 2 for query in group.queries])
        size += sum([_ID_OVERHEAD + len(request.ue.ue_id) for request in group.requests])
        assert group.size == size, case
        waiting += group.requests
    for transfer in transfers:
        waiting += transfer.requests
    waiting += [r for r in responder.ready if r.observer is not r]
    for request in requests:
        # One whose documents have come early is still one of its transfer, until it is sent.
        assert 1 <= waiting.count(request) <= 2, case
    for request in waiting:
        assert request in requests, case
    assert all(r.response is not None for r in responder.ready), case


def check_client(client, case):
    """The tables of a configuration client apart."""
    endpoint = client.endpoint
    pending = client.pending_requests
    assert len(pending) <= 2 * (2 + 10), case
    tokens = [request.exchange.token for request in pending]
    assert sorted(tokens) == sorted(endpoint.by_token), case
    n_open = len([request for request in pending if request.incoming.open])
    assert endpoint.n_incoming - len(endpoint.answered) == n_open, case
    # The answers have been seen; each open one is owed.
    assert all(request.is_observing or request.incoming.open for request in pending), case


def do_something(sim, gateway, server, clients, random):
    """One thing that happens at a gateway, by chance."""
    what = random() % 16
    client = clients[random() % len(clients)]
    if what < 7:
        document_id = DOCUMENTS[random() % len(DOCUMENTS)]
        observe = (None, 0, 0, 1)[random() % 4] if document_id else None
        queries = QUERIES[random() % len(QUERIES)]
        client.get(document_id, (), queries, None, observe, None, random() % 4 > 0)
    elif what < 11:
        sim.run(None, random() * (10 if random() % 4 else 300))
    elif what < 13:
        text = "x" * (random() * 8)
        which = random() % 6
        if which == 5:
            server.denied = [name(client.n)] if not server.denied else []
        else:
            server.change("all", None if which == 4 else shared(None, "all", '"%s"' % text))
    elif what == 13:
        client.deaf = not client.deaf
    elif what == 14 and random() & 1:
        gateway.link_down(name(client.n).encode())
        if random() & 1:
            assert gateway.link_up(name(client.n).encode(), 0, address(client.n))
    elif random() & 1:
        (gateway if random() & 1 else sim.nodes.get(SEAL_C[1], gateway)).lose(sim.now)
    else:
        gateway.link_up(name(client.n).encode(), 0, address(client.n))


def test_whatever_happens_the_tables_hold_what_is_counted_and_end_empty():
    numbers = range(1, 7)
    for seed in range(1, 9):
        make = new if seed & 1 else lambda *args, **settings: separated(new, *args, **settings)
        random = xorshift(seed * 7919)

        def link_model(n, datagram, random=random):
            chance = random()
            return [] if chance < 30 else [10, 40] if chance < 40 else [1 + (chance >> 3)]

        documents = [doc(n) for n in numbers if n != 3]
        documents += [shared(None, "all"), shared([name(1), name(2)], "one")]
        sim, gateway, server, clients = make(
            numbers,
            documents,
            {"max_age_s": 3},
            None,
            link_model,
            max_observations=10,
            max_links=6,
            bulk_count=3,
            hold_size=200,
            block_size=256,
        )
        sim.record = False
        seal_c = sim.nodes.get(SEAL_C[1])
        assert (seal_c is None) == (make is new)
        for n in range(120):
            do_something(sim, gateway, server, clients, random)
            check_tables(gateway, (seed, n))
            if seal_c is not None:
                check_client(seal_c, (seed, n))
        for n in numbers:
            gateway.link_down(name(n).encode())
        check_tables(gateway, seed)
        sim.run(None, 200000)  # an answer of several blocks comes to its end
        if seal_c is not None:
            for document_id in ("all", "one"):  # whoever is notified says that nobody wants it
                server.change(document_id, shared(None, document_id, "0"))
            sim.run(None, 200000)
            assert seal_c.pending_requests == [] == seal_c.endpoint.exchanges, seed
            assert seal_c.endpoint.by_token == {}, seed
        shared_documents = gateway.shared_documents
        assert gateway.n_waiting == 0 and gateway.observers.n_observers == 0, seed
        assert shared_documents.documents == {} == shared_documents.confirmations, seed
        assert gateway.transfers.under_way == [] == gateway.scheduler.queued, seed
        assert gateway.endpoint.exchanges == [] and gateway.endpoint.by_token == {}, seed
