"""The check of imports: it finds every import, every circle, and what runs at import time."""

from msgin5g_tools.checks import imports
from msgin5g_tools.checks.imports import faults, import_time_faults


def firmware(tmp_path, **files):
    """A folder with a package msgin5g of these files: `coap__message` is coap/message.py."""
    root = tmp_path / "firmware"
    for name, text in {"__init__": "", **files}.items():
        folder, _, stem = name.partition("__") if name != "__init__" else ("", "", name)
        file = root / "msgin5g" / folder / f"{stem or folder}.py"
        if not stem:
            file = root / "msgin5g" / f"{folder}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_the_firmware_is_in_order():
    assert list(faults()) == []


def test_an_import_against_the_direction_is_found_wherever_it_stands(tmp_path):
    for text in (
        "from msgin5g.scm.client import fetch\n",
        "import msgin5g.scm.client\n",
        "from msgin5g.scm import client\n",
        "def f():\n    from msgin5g.scm import client\n",
        "class A:\n    async def f(self):\n        return __import__('msgin5g.scm.client')\n",
    ):
        root = firmware(tmp_path, coap__endpoint=text, scm__client="")
        found = list(faults(root))
        assert len(found) == 1, (text, found)
        line = text.count("\n")
        assert found[0] == (
            f"firmware/msgin5g/coap/endpoint.py:{line}: coap may not import msgin5g.scm.client"
        )


def test_a_module_of_the_package_itself_is_seen(tmp_path):
    root = firmware(tmp_path, ue="def f():\n    from msgin5g import main\n", main="")
    assert list(faults(root)) == ["firmware/msgin5g/ue.py:2: ue may not import msgin5g.main"]
    root = firmware(tmp_path, ue="import msgin5g\n")
    assert list(faults(root)) == []


def test_the_direction_is_that_of_the_design(tmp_path):
    order = (
        ("cbor", "coap"),
        ("oscore",),
        ("scm", "config"),
        ("ue", "intermediary"),
        ("relay", "gateway"),
        ("services",),
        ("builder",),
        ("main", "repl"),
    )
    level = {room: n for n, rooms in enumerate(order) for room in rooms}
    for room, height in level.items():
        for other, its_height in level.items():
            if other == room:
                continue
            # main shows the prompt of repl, and never the other way round.
            allowed = its_height < height or (room, other) == ("main", "repl")
            assert (other in imports.ALLOWED[room]) == allowed, (room, other)
    for room, rooms in imports.ALLOWED.items():
        assert ("settings" in rooms) == (room in ("main", "repl")), room
        assert ("port" in rooms) == (room in ("builder", "main", "repl")), room
    assert imports.ALLOWED["port"] == ("coap.ticks",)
    root = firmware(
        tmp_path,
        port__udp="from msgin5g.coap.ticks import ticks_diff\nfrom msgin5g.coap import message\n",
        coap__ticks="",
        coap__message="",
        attic="",
    )
    assert list(faults(root)) == [
        "firmware/msgin5g/attic.py:1: attic has no place in the import direction (ALLOWED)",
        "firmware/msgin5g/port/udp.py:2: port may not import msgin5g.coap.message",
    ]


def test_a_circle_is_found_through_lazy_imports_too(tmp_path):
    root = firmware(
        tmp_path,
        coap__a="from msgin5g.coap import b\n",
        coap__b="def f():\n    from msgin5g.coap.c import x\n",
        coap__c="import msgin5g.coap.a\nfrom msgin5g.coap.d import y\n",
        coap__d="def g():\n    from msgin5g.coap import c\n",
    )
    assert list(faults(root)) == [
        "firmware/msgin5g/coap/a.py: a circle of imports: "
        "msgin5g.coap.a -> msgin5g.coap.b -> msgin5g.coap.c -> msgin5g.coap.a",
        "firmware/msgin5g/coap/c.py: a circle of imports: "
        "msgin5g.coap.c -> msgin5g.coap.d -> msgin5g.coap.c",
    ]


def test_a_package_and_its_modules_are_no_circle(tmp_path):
    root = firmware(
        tmp_path,
        repl____init__="from msgin5g.repl import commands\n",
        repl__commands="from msgin5g.repl import format\nfrom msgin5g.repl.format import line\n",
        repl__format="",
    )
    assert list(faults(root)) == []


def test_what_runs_at_import_time_is_found():
    quiet = (
        '"""Text."""\n',
        "import gc\nfrom os import listdir as ls\n",
        "_X = const(1)\nRow = namedtuple('Row', 'a b')\nA = B = (1, 2)\nC = -5 * 60\n",
        "class A(Exception):\n    'text'\n    x = (1,)\n    def f(self, a=None, *, b=1):\n"
        "        gc.collect()\n",
        "@micropython.native\ndef f():\n    gc.collect()\n",
    )
    for text in quiet:
        assert import_time_faults(text) == [], text
    loud = (
        ("import gc\ngc.collect()\n", 2),
        ("x = open('f')\n", 1),
        ("x = {1: [bytearray(5)]}\n", 1),
        ("class A:\n    buf = bytearray(5)\n", 2),
        ("def f(a=[], b=bytes(5)):\n    pass\n", 1),
        ("if x:\n    pass\n", 1),
        ("try:\n    import ssl\nexcept ImportError:\n    ssl = None\n", 1),
        ("for x in y:\n    pass\n", 1),
    )
    for text, line in loud:
        assert [found[0] for found in import_time_faults(text)] == [line], text
