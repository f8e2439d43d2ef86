"""The application in a network that loses 30 % of all datagrams: `make test`."""

from msgin5g_testkit import Network

UE_ID = "urn:x-msgin5g:ue:0007"


def test_it_measures_as_often_as_the_configuration_says():
    net = Network(loss=0.3, seed=1)
    server = net.server({UE_ID: {"interval-s": 100}})
    ue = net.ue(UE_ID, application="app")
    ue.wait("applied")
    net.sleep(350)
    assert len(ue.app.measured) == 4

    server.serve(UE_ID, {"interval-s": 0})
    assert "interval-s" in ue.wait("refused")["reasons"][0]
    assert ue.configuration["interval-s"] == 100

    server.serve(UE_ID, {"interval-s": 1})
    ue.wait("applied")
    assert ue.configuration["interval-s"] == 1
