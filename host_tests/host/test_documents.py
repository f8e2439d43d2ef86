"""`msgin5g documents`: from a file that a person writes to the database and back."""

import json
import queue

import cbor2
import pytest
from click.testing import CliRunner
from scm_setup import COLLECTION, GET, OBSERVE, UE7, UE8, Scm, document, ids

from msgin5g_tools.cli import msgin5g
from msgin5g_tools.scm_server.query import Selector
from msgin5g_tools.scm_server.store import Store

CONFIG = {
    "MSGin5G-Server-address": "coap://msgin5g.example.com",
    "MSGin5G-UE-Service-id": "sensor-7@example.com",
    "Segment-size": 1024,
}
FILE = {
    "deny": ["urn:x-msgin5g:ue:0009"],
    "gateways": ["192.0.2.7"],
    "documents": [
        {
            "ueConfigDocId": "ue-0007",
            "valServiceId": "msgin5g",
            "valServiceDomain": "example.com",
            "ues": [UE7],
            "configData": CONFIG,
        },
        {
            "ueConfigDocId": "ue-0008",
            "configName": "Zähler 8",
            "valServiceId": "other",
            "valServiceDomain": "example.com",
            "ues": [UE8],
            "imeiRanges": [{"tac": "12345678", "snrRange": {"low": "1", "high": "99"}}],
            "vendors": ["acme"],
            "ueConfigs": [
                {"configType": "COMMON", "configData": "{ }"},
                {"configType": "ON_NETWORK", "configData": CONFIG, "note": {"$cbor": "4101"}},
            ],
            "extensions": {"x-level": 3, "x-raw": {"$cbor": "a1014103"}},
        },
    ],
}


@pytest.fixture
def run(tmp_path):
    """Run `msgin5g documents ...` on scm.db: (exit code, stdout, stderr)."""

    def command(name, *arguments, db="scm.db", **more):
        line = ["documents", name, *map(str, arguments), "--db", str(tmp_path / db)]
        result = CliRunner().invoke(msgin5g, line, **more)
        assert result.exception is None or isinstance(result.exception, SystemExit), result
        return result.exit_code, result.stdout, result.stderr

    return command


@pytest.fixture
def write(tmp_path):
    def to_file(contents, name="in.json"):
        text = contents if isinstance(contents, str) else json.dumps(contents)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return to_file


def test_export_after_import_gives_the_file_back(run, write, tmp_path):
    assert run("import", write(FILE))[:2] == (0, "2 created, 0 changed, 0 unchanged\n")
    code, text, _ = run("export")
    assert code == 0 and json.loads(text) == FILE
    assert "Zähler" in text, "as a person writes it"
    assert run("import", write(text))[:2] == (0, "0 created, 0 changed, 2 unchanged\n")
    assert run("export", tmp_path / "out.json")[1].startswith("2 documents in ")
    assert run("import", tmp_path / "out.json", db="other.db")[0] == 0
    with Store(tmp_path / "scm.db") as one, Store(tmp_path / "other.db") as two:
        assert one.documents() == two.documents() != []
    assert run("import", "-", db="third.db", input=text)[1].startswith("2 created")


def test_what_is_imported_is_a_ue_config_doc(run, write, tmp_path):
    run("import", write(FILE))
    with Store(tmp_path / "scm.db") as store:
        first, second = (cbor2.loads(row.body) for row in store.documents())
    assert first == {
        "ueConfigDocId": "ue-0007",
        "valServiceDomain": "example.com",
        "valServiceId": "msgin5g",
        "valUeIds": {"uris": [UE7]},
        "ueConfigs": [
            {
                "configType": "ON_NETWORK",
                "configData": json.dumps(CONFIG, separators=(",", ":")),
            }
        ],
    }
    assert second["ueConfigs"][0]["configData"] == "{ }"
    assert second["ueConfigs"][1]["note"] == b"\x01" and second["x-raw"] == {1: b"\x03"}


def test_mistakes_are_one_line_each_with_document_and_key_and_change_nothing(run, write):
    def but(**changes):
        entry = {**FILE["documents"][0], **changes}
        entry = {key: value for key, value in entry.items() if value is not ...}
        other = {**FILE["documents"][0], "ueConfigDocId": "other"}
        return {"documents": [other, entry]}

    cases = [
        ("{", ["line 1, column 2: "]),
        ('{\n "documents": [}', ["line 2, column 16: "]),
        ("[]", ["is not an object"]),
        ('{"documents": 1}', ["documents: is not an array"]),
        ('{"document": []}', ["document: is not a key of this file"]),
        ('{"deny": ["x"], "gateways": [1, "a b"]}', ["deny[0]: ", "gateways[0]: ", "gateways[1]"]),
        ('{"deny": ["\\ud800"]}', ["deny[0]: is not a URI"]),
        ('{"documents": [1]}', ["documents[0]: is not an object"]),
        ('{"deny": [], "deny": []}', ['the key "deny" is there twice']),
        ('{"documents": [NaN]}', ["NaN is not JSON"]),
        ("[" * 200000, ["nested too deeply"]),
        (but(service="\udc00"), ["documents[1] (ue-0007): service: has half of a character"]),
        (but(ueConfigDocId=...), ["documents[1]: ueConfigDocId: is missing"]),
        (but(ueConfigDocId=7), ["documents[1]: ueConfigDocId: is not a text"]),
        (
            but(valServiceDomain=..., valServiceDomian="x"),
            ["(ue-0007): valServiceDomian: is not a key", "(ue-0007): valServiceDomain: is miss"],
        ),
        (but(ues=["no uri"]), ["documents[1] (ue-0007): ues[0]: is not a URI"]),
        (but(ues=UE7), ["ues: is not an array"]),
        (but(valUeIds={"uris": [UE7]}), ["ues: and valUeIds exclude each other"]),
        (but(configData=5), ["configData: is neither an object nor a text"]),
        (but(ueConfigs=[]), ["configData: and ueConfigs exclude"]),
        (but(configData=..., ueConfigs="x"), ["ueConfigs: is not an array"]),
        (but(imeiRanges=[{"tac": "1"}]), ["imeiRanges[0].tac: is not 8 digits"]),
        (but(vendors="acme"), ["vendors: is not an array"]),
        (but(service="x"), ["service: is not the valServiceId"]),
        (but(extensions=[]), ["extensions: is not an object"]),
        (but(extensions={"configName": "x"}), ["extensions.configName: is not an extension"]),
        (
            but(extensions={"UeConfigDocId": "x"}),
            ["extensions.UeConfigDocId: is not an", "ueConfigDocId: has another value"],
        ),
        (but(ueConfigDocId="d" * 256), ["is longer than 255 bytes"]),
        (but(extensions={"x": {"$cbor": "zz"}}), ["extensions.x: $cbor is not the hex"]),
        (but(extensions={"x": 2**64}), ["x: is an integer of more than 64 bits"]),
        ({"documents": [FILE["documents"][0]] * 2}, ["(ue-0007): ueConfigDocId: is there twice"]),
    ]
    for contents, expected in cases:
        code, out, errors = run("import", write(contents))
        lines = errors.splitlines()
        assert (code, out, len(lines)) == (1, "", len(expected)), (contents, errors)
        for line, text in zip(lines, expected, strict=True):
            assert line.startswith("Error: ") and "in.json: " in line and text in line, line
    assert run("list")[2].endswith("no such database\n"), "not even an empty one was made"


ADDRESS, SERVICE_ID = "MSGin5G-Server-address", "MSGin5G-UE-Service-id"


def test_what_a_ue_would_refuse_is_a_warning_by_the_rules_of_the_firmware(run, write):
    def parts(on_network, common):
        kinds = (("ON_NETWORK", on_network), ("COMMON", common))
        return [{"configType": kind, "configData": data} for kind, data in kinds if data]

    without_address = {key: value for key, value in CONFIG.items() if key != ADDRESS}
    for data, named in (
        ("<xml/>", "configData: XML is not taken, only JSON"),
        ("[]", "configData: not a JSON object"),
        (parts(CONFIG, "<xml/>"), "configData: XML is not taken"),
        ({**CONFIG, "Segment-size": 0}, "configData.Segment-size: 0, less than 64"),
        ({**CONFIG, "Segment-size": 63}, "configData.Segment-size: 63, less than 64"),
        ({**CONFIG, "Segment-size": 65536}, "configData.Segment-size: 65536, more than 65535"),
        ({**CONFIG, "Segment-size": True}, "configData.Segment-size: must be of type int"),
        ({**CONFIG, "Segment-size": "9"}, "configData.Segment-size"),
        ({"MSGin5G-Server-adress": "x"}, f"configData.{ADDRESS}: missing"),
        ({**CONFIG, ADDRESS: "word"}, f"configData.{ADDRESS}: must be"),
        ({**CONFIG, SERVICE_ID: "sensor 7"}, f"configData.{SERVICE_ID}: has a blank"),
        (parts(without_address, None), f"configData.{ADDRESS}: missing"),
        ([{"configType": "other", "configData": "{}"}], "ueConfigs: has no configData of type"),
    ):
        entry = {key: FILE["documents"][0][key] for key in FILE["documents"][0]}
        del entry["configData"]
        entry["ueConfigs" if isinstance(data, list) else "configData"] = data
        code, out, warnings = run("import", write({"documents": [entry]}))
        assert code == 0 and "1 c" in out
        assert all(line.startswith("warning: ") for line in warnings.splitlines())
        assert "documents[0] (ue-0007): " + named in warnings, (data, warnings)
        assert "UEs will refuse it" in warnings
    for data in (
        CONFIG,
        {**CONFIG, "Segment-size": 64},
        {**CONFIG, "other": 0},
        {**CONFIG, ADDRESS: "msgin5g.example.com"},
        {**CONFIG, ADDRESS: "msgin5g.example.com:5683"},
        parts(without_address, {ADDRESS: "coap://msgin5g.example.com"}),
        parts(None, CONFIG),
    ):
        entry = {key: FILE["documents"][0][key] for key in FILE["documents"][0]}
        del entry["configData"]
        entry["ueConfigs" if isinstance(data, list) else "configData"] = data
        assert run("import", write({"documents": [entry]}))[2] == "", data


def test_a_ue_service_id_for_two_ues_is_a_warning(run, write):
    def entry(n, **more):
        made = {**FILE["documents"][0], "ueConfigDocId": f"d{n}", "ues": [f"urn:a:{n}"], **more}
        return {key: value for key, value in made.items() if value is not None}

    for documents, where in (
        ([entry(1), entry(2)], "documents[1] (d2)"),
        ([entry(1, ues=["urn:a:1", "urn:a:2"])], "documents[0] (d1)"),
        ([entry(1, ues=None)], "documents[0] (d1)"),
        ([entry(1, ues=None, vendors=["acme"])], "documents[0] (d1)"),
    ):
        code, _, warnings = run("import", write({"documents": documents}))
        (line,) = warnings.splitlines()
        assert code == 0 and f"{where}: configData.{SERVICE_ID}: 'sensor-7@example.com'" in line
    same = [entry(1), entry(2, ues=["URN:a:1"])]
    assert run("import", write({"documents": same}))[2] == "", "two documents of one UE"


def test_import_adds_and_replace_forgets_the_rest(run, write):
    run("import", write(FILE))
    new = {"documents": [{**FILE["documents"][0], "configName": "new"}], "deny": ["urn:a:new"]}
    assert run("import", write(new))[1] == "0 created, 1 changed, 0 unchanged\n"
    merged = json.loads(run("export")[1])
    assert len(merged["documents"]) == 2 and len(merged["deny"]) == 2
    replaced = run("import", write(new), "--replace")
    assert replaced[1] == "0 created, 0 changed, 1 unchanged, 1 deleted\n"
    assert json.loads(run("export")[1]) == {"gateways": [], **new}


def test_list_deny_allow_entitle_and_withdraw(run, write):
    run("import", write(FILE))
    wide = {"env": {"COLUMNS": "200"}}
    _, table, _ = run("list", **wide)
    for text in ("ue-0007", UE7, CONFIG["MSGin5G-Server-address"], "TAC 12345678", "2 documents"):
        assert text in table, text
    assert "Denied: urn:x-msgin5g:ue:0009" in table and "Entitled gateways: 192.0.2.7" in table
    assert run("deny", "urn:a:b")[1] == "urn:a:b is denied\n"
    assert run("deny", "URN:a:b")[1] == "URN:a:b was denied already\n"
    assert "urn:a:b" in run("list", **wide)[1]
    assert run("allow", "urn:a:b")[1] == "urn:a:b is allowed again\n"
    assert run("allow", "urn:a:b")[1] == "urn:a:b was not denied\n"
    assert run("entitle", "127.0.0.9")[1] == "127.0.0.9 may ask in bulk\n"
    assert run("withdraw", "127.0.0.9")[1] == "127.0.0.9 is off the list\n"
    assert run("withdraw", "127.0.0.9")[1] == "127.0.0.9 was not on the list\n"
    status, _, said = run("deny", "no uri")
    assert status == 2 and said.endswith("Error: 'no uri' is not a URI (RFC 3986)\n"), said


def test_the_list_shows_the_address_that_a_ue_takes_wherever_its_part_stands(run, write):
    def part(kind, host):
        data = {**CONFIG, "MSGin5G-Server-address": f"coap://{host}"}
        return {"configType": kind, "configData": data}

    mine, common = part("ON_NETWORK", "mine.example"), part("COMMON", "common.example")
    for parts in ([mine, common], [common, mine], [common]):
        entry = {**FILE["documents"][0], "ueConfigs": parts}
        del entry["configData"]
        assert run("import", write({"documents": [entry]}))[0] == 0
        table = run("list", env={"COLUMNS": "200"})[1]
        shown = "mine" if mine in parts else "common"
        assert f"coap://{shown}.example" in table, table
        assert table.count("coap://") == 1


def test_files_that_cannot_be_used_are_one_line(run, write, tmp_path):
    (tmp_path / "latin.json").write_bytes(b'{"deny": ["\xff"]}')
    (tmp_path / "text.db").write_text("no database, " * 100)
    good = write({"documents": []})
    for arguments, db, text in (
        (["import", tmp_path / "none.json"], "scm.db", "No such file"),
        (["import", tmp_path], "scm.db", "Is a directory"),
        (["import", tmp_path / "latin.json"], "scm.db", "byte 11 is not UTF-8"),
        (["import", good], "text.db", "file is not a database"),
        (["import", good], "no/scm.db", "there is no folder"),
        (["export"], "none.db", "no such database"),
        (["list"], "text.db", "file is not a database"),
        (["allow", "urn:a:b"], "none.db", "no such database"),
    ):
        code, out, errors = run(*arguments, db=db)
        assert (code, out) == (1, "") and errors.startswith("Error: "), arguments
        assert text in errors and errors.count("\n") == 1, errors
    run("import", good)
    assert "No such file" in run("export", tmp_path / "no" / "out.json")[2]


def test_a_running_server_serves_an_import_at_once_and_notifies_soon(run, write, tmp_path):
    with Scm(tmp_path) as scm, scm.client() as client:
        run("import", write(FILE))
        assert ids(client.get(f"ue-uri={UE7}")) == ["ue-0007"]
        assert client.get("ue-uri=urn:x-msgin5g:ue:0009").code == "4.03"
        path = f"{COLLECTION}/ue-0007"
        client.ask(GET, path, [f"ue-uri={UE7}"], [(OBSERVE, b"")])
        new = {"documents": [{**FILE["documents"][0], "configName": "new"}]}
        run("import", write(new))
        message = client.receive()
        client.acknowledge(message)
        assert cbor2.loads(message.payload)["configName"] == "new"
        run("import", write({"documents": []}), "--replace")
        assert client.receive().code == "4.04"


def test_a_writer_who_holds_the_database_is_503_and_reading_goes_on(tmp_path):
    with Scm(tmp_path) as scm, scm.client() as client:
        client.put("a", document(UE7))
        with Store(tmp_path / "scm.db") as other, other.transaction():
            refused = client.put("b", document(UE7))
            assert refused.code == "5.03" and refused.options[14] == [b"\x02"]
            assert ids(client.get(f"ue-uri={UE7}")) == ["a"]
        assert client.put("b", document(UE7)).code == "2.01"
        events = []
        while True:
            try:
                events.append(scm.events.get_nowait())
            except queue.Empty:
                break
        assert [event["code"] for event in events[1:]] == ["2.01", "5.03", "2.05", "2.01"]


def test_ten_thousand_documents_are_found_by_index(run, write, tmp_path):
    entries = [
        {
            "ueConfigDocId": f"ue-{n}",
            "valServiceDomain": "example.com",
            "ues": [f"urn:x-msgin5g:ue:{n}"],
            "imeiRanges": [{"tac": f"{n:08}", "snrs": [str(n)]}],
            "vendors": [f"v{n}"],
            "configData": CONFIG,
        }
        for n in range(10_000)
    ]
    assert run("import", write({"documents": entries}))[1].startswith("10000 created")
    with Store(tmp_path / "scm.db") as store:
        plans = []
        rows, each = store.rows, store.each
        store.rows = _explained(store.connection, rows, plans)
        store.each = _explained(store.connection, each, plans)
        several = tuple(f"urn:x-msgin5g:ue:{n}" for n in range(20))
        for selector, n_found in (
            (Selector(None, None, None, several[:1], False), 1),
            (Selector(None, None, None, several, True), 20),
            (Selector("v7", None, None, (), False), 1),
            (Selector(None, "00000007", None, (), False), 1),
            (Selector(None, None, "7", (), False), 1),
            (Selector("v7", "00000008", "8", several, False), 20),
        ):
            assert len(store.select("msgin5g", selector)) == n_found, selector
        assert store.body_for("msgin5g", "ue-7", several)[1]
        assert store.first_denied(several) is None
        assert any("INTEGER PRIMARY KEY" in step for step in plans)
        tables = [step for step in plans if step != "SCAN part"]
        walks = [step for step in tables if step.startswith("SCAN") or "1 (service=?)" in step]
        assert not walks, "all documents are walked through"
        assert store.count() == 10_000
    with Scm(tmp_path) as scm, scm.client() as client:
        assert ids(client.get("ue-uri=urn:x-msgin5g:ue:9999")) == ["ue-9999"]


def _explained(connection, read, plans):
    """The same method of a Store, which also asks SQLite how it will find the rows."""

    def explaining(statement, *values):
        for row in connection.execute("EXPLAIN QUERY PLAN " + statement, values):
            plans.append(row[3])
        return read(statement, *values)

    return explaining


def test_the_ues_of_a_gateway_are_listed_added_and_removed(run):
    gateway = "urn:x-msgin5g:gateway:1"
    assert run("entitle", gateway, "--ue", "urn:a:1", "--ue", "urn:a:2")[1].splitlines() == [
        f"{gateway} may ask for urn:a:1",
        f"{gateway} may ask for urn:a:2",
    ]
    assert run("entitle", gateway, "--ue", "urn:a:1")[1] == (
        f"{gateway} might ask already for urn:a:1\n"
    )
    assert f"UEs of {gateway}: urn:a:1, urn:a:2" in " ".join(run("list")[1].split())
    assert json.loads(run("list", "--json")[1].splitlines()[0]) == {
        "gateway": gateway,
        "ue": "urn:a:1",
    }
    assert run("withdraw", gateway, "--ue", "urn:a:1")[1] == (
        f"{gateway} may ask no more for urn:a:1\n"
    )
    status, out, errors = run("entitle", gateway, "--ue", "urn:a:3", "--ue", "no uri")
    assert status == 1 and out == "" and "'no uri' is not a URI" in errors
    assert "urn:a:3" not in run("list")[1]
