"""The operator's page in a real Chromium: what an operator does, step by step."""

import socket
import subprocess
import sys

import pytest
from scm_setup import OBSERVE, UE7, UE8, URI_PATH, Client, document, encode
from scm_setup import COLLECTION, CON, GET
from web_setup import COMMAND, chromium, page_server

from msgin5g_tools.scm_server.store import Store

DATA = (
    '{"MSGin5G-Server-address":"coap://msgin5g.example.com","MSGin5G-UE-Service-id":"s-%s@e.com"}'
)
NASTY = "<script>document.title='taken'</script>\u202e"


def config(name):
    return [{"configType": "ON_NETWORK", "configData": DATA % name}]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def db(tmp_path):
    path = tmp_path / "scm.db"
    with Store(path) as store, store.transaction():
        store.put("msgin5g", "ue-0007", document(UE7, ueConfigs=config(7)))
        store.put("msgin5g", NASTY, document("urn:x:nasty", configName=NASTY, ueConfigs=config(9)))
        for n in range(200):
            store.put("msgin5g", f"more-{n:03}", document(f"urn:x:more:{n:03}"))
    return path


def test_an_operator_finds_a_ue_and_sees_what_it_was_given_and_what_it_would_be(browser, db):
    with page_server(db) as (url, address), Client(address) as client:
        assert client.get(f"ue-uri={UE7}").code == "2.05"
        browser.go(url + "/fleet")
        browser.wait_for("urn:x:more:000")
        assert "Next page" in browser.text()
        browser.press("Next page")
        browser.wait_for("urn:x:more:060")
        browser.type("#q", "ue:0007\n")
        browser.wait_for(UE7, "tbody")
        browser.reload_until("newest", "tbody")
        browser.press(UE7)
        text = browser.wait_for("What it would be answered now")
        assert "newest" in text and "2.05" in text and "s-7@e.com" in text
        with Store(db) as store:
            store.put("msgin5g", "ue-0007", document(UE7, ueConfigs=config(8)), "somebody")
        browser.go(url + "/fleet?state=older")
        browser.wait_for(UE7, "tbody")


def test_a_mistake_is_refused_with_its_place_and_a_right_document_reaches_its_observer(
    browser, db
):
    with page_server(db) as (url, address), Client(address) as client:
        path = [(URI_PATH, part.encode()) for part in f"{COLLECTION}/ue-0007".split("/")]
        client.send(encode(CON, GET, 1, b"obs", [*path, (OBSERVE, b"")]))
        assert client.receive().code == "2.05"
        browser.go(url + "/documents?q=ue-0007")
        browser.press("ue-0007")
        browser.press("Edit")
        good = browser.find("#text").get_attribute("value")
        browser.type("#text", good.replace('"valServiceDomain"', '"valServiceDoman"'))
        browser.press("Review the changes…")
        text = browser.wait_for("Not saved")
        assert "valServiceDoman" in text and "valServiceDomain: is missing" in text
        browser.type("#text", good.replace('"example.com",', '"example.com"', 1))
        browser.press("Review the changes…")
        browser.wait_for("line 4, column 3")
        browser.type("#text", good.replace("coap://msgin5g.example.com", "no address"))
        browser.press("Review the changes…")
        assert "UEs will refuse it" in browser.wait_for("look at this first")
        browser.press("Edit further")
        browser.type("#text", good.replace("s-7@", "new-7@"))
        browser.press("Review the changes…")
        browser.wait_for("new-7@", ".diff ins")
        browser.wait_for("s-7@", ".diff del")
        browser.press("Save")
        browser.wait_for("page", "tbody")  # who changed it
        notified = client.receive()
        assert notified.code == "2.05" and b"new-7@" in notified.payload
        client.acknowledge(notified)
        browser.press("before this")
        browser.press("Restore this version…")
        browser.press("Save")
        browser.wait_for("s-7@", "pre")
        assert b"s-7@" in client.receive().payload


def test_a_ue_that_is_denied_gets_4_03_and_its_request_is_in_the_live_log(browser, db):
    with page_server(db) as (url, address), Client(address) as client:
        browser.go(url + "/denied")
        browser.wait_for("No UE is denied")
        browser.type("#uri", "no uri\n")
        browser.wait_for("is not a URI")
        browser.type("#uri", UE8 + "\n")
        browser.wait_for(UE8, "tbody")
        browser.go(url + "/log")
        browser.wait_for("live", "#log-state")
        assert client.get(f"ue-uri={UE8}").code == "4.03"
        assert "4.03 GET" in browser.wait_for(UE8, "#log .warning")
        browser.type("#log-filter", "nothing has this")
        assert browser.run("[...document.querySelectorAll('#log li')].every((row) => row.hidden)")
        browser.go(url + "/denied")
        browser.press("Allow")
        browser.wait_for("No UE is denied")
        assert client.get(f"ue-uri={UE8}").code == "4.04"


def test_a_name_with_a_script_is_shown_and_does_not_run(browser, db):
    with page_server(db) as (url, _):
        for path in ("/documents?q=script", "/ue?uri=urn:x:nasty"):
            browser.go(url + path)
            browser.wait_for("<script>document.title='taken'</script>\\u202e")
            assert "taken" not in browser.driver.title
            assert browser.run("document.querySelectorAll('main script').length") == 0
        violations = [line for line in browser.driver.get_log("browser") if "Content" in str(line)]
        assert violations == []


def test_on_a_phone_nothing_is_wider_than_the_screen(browser, db):
    with page_server(db) as (url, _):
        browser.size(375, 760)
        try:
            for path in ("/", "/fleet", f"/ue?uri={UE7}", "/documents", "/changes", "/log"):
                browser.go(url + path)
                browser.find("main")
                assert browser.run("document.documentElement.scrollWidth") <= 375, path
        finally:
            browser.size(1200, 900)


def test_off_loopback_a_token_is_needed_and_enough(browser, db, tmp_path):
    token = "t" * 24
    tokens = tmp_path / "tokens"
    tokens.write_text(f"alice {token}\n")
    tokens.chmod(0o600)
    options = ["--web-token-file", tokens]
    with page_server(db, *options, web="0.0.0.0:0") as (url, _):
        url = url.replace("0.0.0.0", "127.0.0.1")
        browser.go(url + "/documents")
        browser.type("#token", "x" * 24 + "\n")
        browser.wait_for("This is not a token")
        browser.type("#token", token + "\n")
        browser.wait_for("more-000")  # where the login began
        assert browser.run("document.cookie") == ""
        browser.press("Log out alice")
        browser.find("#token")


def test_without_a_token_the_server_does_not_listen_to_others(tmp_path):
    done = subprocess.run(
        [*COMMAND, "scm-server", "--db", tmp_path / "scm.db", "--web", "0.0.0.0:8080"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert (
        "--web: 0.0.0.0:8080 is reached from other machines: add --web-token-file" in done.stderr
    )
    assert not (tmp_path / "scm.db").exists()


def test_without_aiohttp_one_line_says_what_to_install(tmp_path):
    program = (
        "import sys; sys.modules['aiohttp'] = None; from msgin5g_tools.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "scm-server", "--db", tmp_path / "scm.db"]
        + ["--web", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "Error: --web needs aiohttp: pip install 'msgin5g-firmware[web]'\n"


def test_an_address_that_is_taken_is_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [*COMMAND, "scm-server", "--bind", "127.0.0.1:0", "--db", tmp_path / "scm.db"]
            + ["--web", address],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == f"Error: cannot bind {address}: Address already in use\n"
