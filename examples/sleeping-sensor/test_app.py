"""The sensor for a day, with 10 % loss: what it sends, and what a wake costs."""

from msgin5g_testkit import Network

UE_ID = "urn:x-msgin5g:ue:0007"


def test_a_wake_asks_with_the_etag_and_a_change_arrives_at_the_next_one():
    net = Network(loss=0.1, seed=2)
    server = net.server({UE_ID: {"sleep-s": 1800}})
    ue = net.ue(UE_ID, application="app", observe=False, confirm="application")
    ue.wait("applied")
    assert net.run(lambda: ue.n_boots >= 40, 24 * 3600)
    assert server.n_bodies == 1, server.n_bodies

    server.serve(UE_ID, {"sleep-s": 60})
    ue.wait("applied")
    boots, start = ue.n_boots, net.elapsed_ms
    assert net.run(lambda: ue.n_boots == boots + 10)
    assert net.elapsed_ms - start < 15 * 60_000
