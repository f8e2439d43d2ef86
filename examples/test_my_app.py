"""The application my_app.py, in a network that loses 30 % of all datagrams.

msgin5g test examples/test_my_app.py                    with pytest, on CPython
msgin5g test examples/test_my_app.py --micropython      on MicroPython
msgin5g test examples/test_my_app.py --port /dev/ttyACM0
"""

from msgin5g_testkit import Network

UE_ID = "urn:x-msgin5g:ue:0007"


def test_a_pushed_change_is_applied_a_bad_value_is_refused_and_a_power_cut_loses_nothing():
    net = Network(loss=0.3, seed=4)
    server = net.server({UE_ID: {"interval-s": 10, "sensor-name": "cellar"}})
    ue = net.ue(UE_ID, application="my_app", relay=net.relay())
    ue.board.analog[26] = 512
    ue.wait("applied")
    assert net.run(lambda: ("cellar", 512) in ue.app.readings)

    server.serve(UE_ID, {"interval-s": 10, "sensor-name": "roof"})
    assert net.run(lambda: ("roof", 512) in ue.app.readings)

    server.serve(UE_ID, {"interval-s": 0, "sensor-name": "attic"})
    assert "interval-s" in ue.wait("refused")["reasons"][0]
    assert ue.configuration["sensor-name"] == "roof"

    ue.flash.cut_at = 1  # the power fails in the midst of the next write
    server.serve(UE_ID, {"interval-s": 5, "sensor-name": "attic"})
    assert net.run(lambda: ue.n_boots == 2)
    assert ue.configuration["sensor-name"] == "roof"
    assert net.run(lambda: ("attic", 512) in ue.app.readings)
