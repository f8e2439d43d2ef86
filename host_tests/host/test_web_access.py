"""The operator's page: who may see and change what, and that names of others are harmless."""

import asyncio
import html
import json
import re
import socket
import time
from contextlib import asynccontextmanager

import pytest
from aiohttp import MultipartWriter
from page_client import TOKEN, denied, with_page
from scm_setup import UE7, database_in, document

from msgin5g_tools.scm_server import json_write
from msgin5g_tools.scm_server.problem import ScmError
from msgin5g_tools.scm_server.store import Store, etag
from msgin5g_tools.scm_server.web import connection_limit, log_page
from msgin5g_tools.scm_server.web.elements import url
from msgin5g_tools.scm_server.web.log_ring import LogRing
from msgin5g_tools.scm_server.web.settings import WebSettings

on_each_engine = pytest.mark.usefixtures("each_engine")
NASTY = "<img src=x onerror=alert(1)>\u202e\x1b[2J\"'&"


def test_each_response_has_the_headers_that_keep_scripts_of_others_out(tmp_path):
    async def scenario(page):
        for path in ("/", "/fleet", "/log", "/static/page.js", "/nothing"):
            _, text, headers = await page.get(path)
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "no-store"
            assert headers["Server"] == "msgin5g"
            assert "<style" not in text and " style=" not in text and " onclick" not in text
            assert not re.search(r'(?:src|href)="(?:https?:)?//', text)

    with_page(tmp_path, scenario)


def test_a_name_that_was_made_to_resolve_to_this_server_is_refused(tmp_path):
    async def scenario(page):
        port = page.web.address[1]
        for host in ("evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", ""):
            status, text, _ = await page.get("/documents", Host=host)
            assert status == 421 and "is not served here" in text, host
        for host in (f"localhost:{port}", f"[::1]:{port}", "127.0.0.1"):
            assert (await page.get("/documents", Host=host))[0] == 200, host

    with_page(tmp_path, scenario)


def test_a_change_needs_an_origin_of_ours_and_the_token_of_its_form(tmp_path):
    async def scenario(page):
        uri = {"uri": "urn:a:1"}
        port = page.web.address[1]
        for origin in ("http://evil.example", None, "null", f"http://127.0.0.1:{port + 1}"):
            status, _, _ = await page.post("/denied/add", uri, Origin=origin)
            assert status == 403, origin
        for csrf in ("", "0" * 64, "é"):
            status, text, _ = await page.post("/denied/add", uri, csrf=csrf or "-")
            assert status == 403 and "another session" in text
        assert denied(tmp_path) == []
        assert (await page.post("/denied/add", uri))[0] == 303
        assert denied(tmp_path) == ["urn:a:1"]

    with_page(tmp_path, scenario)


def test_without_a_login_nothing_is_seen_and_nothing_is_changed(tmp_path):
    async def scenario(page):
        for path in ("/", "/fleet", "/ue?uri=urn:a:1", "/documents", "/log", "/log/events"):
            status, text, headers = await page.get(path)
            assert status == 303 and headers["Location"].startswith("/login"), path
            assert "<" not in text
        assert (await page.post("/denied/add", {"uri": "urn:a:1"}))[0] == 303
        assert denied(tmp_path) == []

    with_page(tmp_path, scenario, f"alice {TOKEN}\n")


def test_a_login_sets_a_cookie_that_no_script_and_no_other_site_can_use(tmp_path):
    async def scenario(page):
        status, text, _ = await page.post("/login", {"token": "b" * 24})
        assert status == 403 and "not a token" in text
        status, _, headers = await page.post("/login?next=//evil.example", {"token": TOKEN})
        assert status == 303 and headers["Location"] == "/"
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and TOKEN not in cookie
        assert "Secure" not in cookie
        _, text, _ = await page.get("/")
        assert "Log out alice" in text
        assert (await page.post("/denied/add", {"uri": "urn:a:1"}))[0] == 303
        with Store(database_in(tmp_path)) as store:
            assert store.history.all()[0].changed_by == "page, alice"
        assert (await page.post("/logout"))[0] == 303
        assert (await page.get("/"))[0] == 303

    with_page(tmp_path, scenario, f"# people\nalice {TOKEN}\n")


def test_tokens_cannot_be_tried_quickly(tmp_path):
    async def scenario(page):
        found = [(await page.post("/login", {"token": "x"}))[0] for _ in range(6)]
        assert found[0] == 403 and found[-1] == 429

    with_page(tmp_path, scenario, f"alice {TOKEN}\n")


def test_a_page_that_is_read_only_changes_nothing_and_offers_no_change(tmp_path):
    with Store(database_in(tmp_path)) as store:
        store.put("msgin5g", "d", document(UE7))
        store.deny("urn:a:1")

    async def scenario(page):
        for path in ("/", "/documents", "/document?service=msgin5g&id=d", f"/ue?uri={UE7}"):
            status, text, _ = await page.get(path)
            assert status == 200 and '<form method="post"' not in text, path
            assert "New document" not in text and ">Edit<" not in text
        _, text, _ = await page.get("/document/edit")
        csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', text)[1]
        for path in ("/denied/add", "/denied/remove", "/document/delete?service=msgin5g&id=d"):
            status, text, _ = await page.post(path, {"uri": "urn:a:1"}, csrf=csrf)
            assert status == 403 and "--web-read-only" in text, path

    with_page(tmp_path, scenario, read_only=True)
    assert denied(tmp_path) == ["urn:a:1"]


@on_each_engine
def test_names_with_html_control_characters_and_marks_of_direction_are_harmless(tmp_path):
    with Store(database_in(tmp_path)) as store:
        store.put(NASTY, NASTY, document(UE7, configName=NASTY, ueVendors=[NASTY]), NASTY)
        store.put(NASTY, NASTY, document(UE7, configName=NASTY + "2"), NASTY)

    async def scenario(page):
        for path in (
            "/",
            "/documents",
            url("/documents", q=NASTY),
            url("/document", service=NASTY, id=NASTY),
            url("/document/edit", service=NASTY, id=NASTY),
            url("/document/version", number=2),
            url("/ue", uri=UE7),
            url("/ue", uri=NASTY),
            url("/fleet", q=NASTY),
            url("/denied", q=NASTY),
            "/changes",
        ):
            status, text, _ = await page.get(path)
            assert status in (200, 404), path
            assert "<img" not in text and "\x1b" not in text, path
            visible = re.sub(r'value="[^"]*"', "", text)
            assert "\u202e" not in visible, path
        path = url("/document/review", service=NASTY, id=NASTY)
        status, text, _ = await page.post(path, {"text": '{"ueConfigDocId": "<img src=x>"}'})
        assert status == 422 and "<img" not in text

    with_page(tmp_path, scenario)


@on_each_engine
def test_lists_have_pages_in_which_each_entry_is_once_and_are_searched_in_any_case(tmp_path):
    with Store(database_in(tmp_path)) as store, store.transaction():
        for n in range(120):
            store.put("a" if n % 2 else "b", f"d{n:03}", document(f"urn:x:UE{n:03}"))
            store.deny(f"urn:x:UE{n:03}")

    async def entries(page, path, pattern):
        found = []
        while path:
            _, text, _ = await page.get(path)
            found += re.findall(pattern, text)
            following = re.search(r'href="([^"]*)" class="button" rel="next"', text)
            path = following and html.unescape(following[1])
        return found

    async def scenario(page):
        ids = await entries(page, "/documents", r">(d\d{3})</a>")
        assert len(ids) == 120 and len(set(ids)) == 120
        assert await entries(page, "/documents?service=a", r">(d\d{3})</a>") == ids[:60]
        assert await entries(page, "/documents?q=uE11", r">(d11\d)</a>") == [
            *(f"d{n}" for n in range(111, 120, 2)),
            *(f"d{n}" for n in range(110, 120, 2)),
        ]
        for nothing in ("%25", "_", "!"):
            assert await entries(page, f"/documents?q={nothing}", r">(d\d{3})</a>") == []
        ues = [f"urn:x:UE{n:03}" for n in range(120)]
        assert await entries(page, "/denied", r">(urn:x:UE\d{3})</a>") == ues
        assert await entries(page, "/denied?q=E05", r">(urn:x:UE\d{3})</a>") == ues[50:60]
        assert await entries(page, "/fleet", r">(urn:x:UE\d{3})</a>") == ues
        assert len(await entries(page, "/changes", r">(created|denied)</span>")) == 240

    with_page(tmp_path, scenario)


@on_each_engine
def test_what_somebody_else_saved_meanwhile_is_not_overwritten(tmp_path):
    with Store(database_in(tmp_path)) as store:
        store.put("msgin5g", "d", document(UE7))
        base = etag(store.body("msgin5g", "d")).hex()
        store.put("msgin5g", "d", document(UE7, configName="theirs"))
    text = '{"ueConfigDocId": "d", "valServiceDomain": "example.com", "configName": "mine"}'

    async def scenario(page):
        for step in ("review", "save", "delete"):
            path = f"/document/{step}?service=msgin5g&id=d"
            status, shown, _ = await page.post(path, {"text": text, "base": base})
            assert status == 409 and "by somebody else" in shown, step
        status, shown, _ = await page.post("/document/review", {"text": text, "base": ""})
        assert status == 422 and "exists already" in shown

    with_page(tmp_path, scenario)
    with Store(database_in(tmp_path)) as store:
        assert b"theirs" in store.body("msgin5g", "d")


def test_forms_and_paths_that_nobody_should_send_get_one_page(tmp_path):
    async def scenario(page):
        status, text, _ = await page.post("/document/review", {"text": "x" * 2_000_000}, csrf="-")
        assert status == 413 and "--max-body" in text
        for path in ("/static/../app.py", "/static/%2e%2e%2fapp.py", "/static/nothing.css"):
            assert (await page.get(path))[0] == 404
        assert (await page.post("/documents"))[0] == 405
        for text in ("", "[]", "{", "null", '{"a": NaN}', "[" * 100_000):
            status, shown, _ = await page.post("/document/review", {"text": text})
            assert status == 422 and "Not saved" in shown, text[:10]

    with_page(tmp_path, scenario)


def test_a_reader_of_the_live_log_that_stops_reading_is_dropped_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(log_page, "WRITE_S", 0.2)

    async def scenario(page):
        def add(n):
            for i in range(n):
                page.web.log_ring.add("info", {"n": i}, lambda event: "x" * 4000)

        with socket.create_connection(page.web.address) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(b"GET /log/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            for _ in range(100):
                add(200)
                await asyncio.sleep(0.05)
                if page.web.n_dropped_readers:
                    break
            assert page.web.n_dropped_readers == 1
        _, text, _ = await page.get("/")
        assert "1 slow reader of the live log" in text

    with_page(tmp_path, scenario)


def test_the_log_keeps_its_last_lines_and_says_how_many_it_left_out():
    ring = LogRing(max_lines=5, now=lambda: 0)
    for n in range(8):
        ring.add("info", n, str)
    lines, skipped = ring.after(0, 10)
    assert [(number, text) for number, _, _, text in lines] == [
        (n + 1, str(n)) for n in range(3, 8)
    ]
    assert skipped == 3 and lines[0][1:3] == ("1970-01-01T00:00:00.000Z", "info")
    assert ring.after(6, 1)[0][0][0] == 8 and ring.after(6, 1)[1] == 1
    assert ring.after(8, 10) == ([], 0)


def test_connections_are_limited_and_a_silent_one_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(connection_limit, "MAX_OF_HOST", 3)
    monkeypatch.setattr(connection_limit, "REQUEST_S", 0.3)

    async def scenario(page):
        opened = [await asyncio.open_connection(*page.web.address) for _ in range(4)]
        assert await asyncio.wait_for(opened[3][0].read(), 5) == b""  # one too many
        assert await asyncio.wait_for(opened[0][0].read(), 5) == b""  # silent
        for _, writer in opened:
            writer.close()
        assert (await page.get("/denied"))[0] == 200

    with_page(tmp_path, scenario)


@asynccontextmanager
async def no_long_turn(share):
    """No turn of the loop does more than this share of what the process works meanwhile.

    CPU time of the loop's own thread, compared with that of all threads: how busy the
    machine is with something else does not matter.
    """
    worked, process = [], time.process_time()

    async def watch():
        while True:
            began = time.thread_time()
            await asyncio.sleep(0.001)
            worked.append(time.thread_time() - began)

    watcher = asyncio.create_task(watch())
    yield
    watcher.cancel()
    process = time.process_time() - process
    print(f"CPU: {process:.3f} s, of which in the longest turns {sorted(worked)[-3:]}")
    assert max(worked) < share * process


def test_no_page_of_100_000_documents_holds_up_the_loop(tmp_path):
    with Store(tmp_path / "scm.db") as store, store.transaction():
        for n in range(100_000):
            store.put("msgin5g", f"d{n:06}", document(f"urn:x:{n:06}"))

    async def scenario(page):
        paths = ("/documents", "/documents?q=099999", "/fleet?state=never", "/fleet?q=x:0199")
        async with no_long_turn(1 / 4):
            for path in (*paths, "/ue?uri=urn:x:000001", "/", "/changes"):
                status, _, _ = await page.get(path)
                assert status == 200, path

    with_page(tmp_path, scenario)


def test_no_document_of_the_largest_size_holds_up_the_loop(tmp_path):
    made = document(UE7, x=[0] * 60_000)
    text = json_write.entry_text("msgin5g", {"ueConfigDocId": "d", **made})
    with Store(tmp_path / "scm.db") as store:
        store.put("msgin5g", "d", made)
        base = etag(store.body("msgin5g", "d")).hex()

    async def scenario(page):
        name = "?service=msgin5g&id=d"
        _, shown, _ = await page.get("/denied")
        csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', shown)[1]

        async def post(step, sent):
            with MultipartWriter("form-data") as form:  # as the form of the page does
                for key, value in {"csrf": csrf, "base": base, "text": sent}.items():
                    form.append(value).set_content_disposition("form-data", name=key)
            path = f"{page.url}/document/{step}{name}"
            headers = {"Origin": page.url}
            # What the client does is not the server's work.
            async with page.session.post(
                path, data=form, headers=headers, allow_redirects=False
            ) as found:
                return found.status

        async with no_long_turn(1 / 25):
            for path in (f"/document{name}", f"/document/edit{name}", f"/ue?uri={UE7}"):
                status, _, _ = await page.get(path)
                assert status == 200, path
            assert await post("review", text.replace("0,", "1,")) == 200
            assert await post("save", text.replace("0,", "1,")) == 303
            status, _, _ = await page.get("/document/version?number=2")
            assert status == 200

    with_page(tmp_path, scenario)


def test_tokens_of_a_file_are_private_and_long(tmp_path):
    path = tmp_path / "tokens"
    for text, fault in (
        ("alice short\n", "line 1: the token is shorter than 20 characters"),
        ("alice\n", "line 1: is not NAME TOKEN"),
        (f"a {TOKEN}\na {TOKEN}\n", "line 2: a is there twice"),
        ("# nobody\n", "has no line NAME TOKEN"),
    ):
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(ScmError, match=fault):
            WebSettings(("127.0.0.1", 8080), str(path))
    path.write_text(f"alice {TOKEN}\n")
    path.chmod(0o640)
    with pytest.raises(ScmError, match="others can read it"):
        WebSettings(("127.0.0.1", 8080), str(path))
    path.chmod(0o600)
    assert WebSettings(("0.0.0.0", 8080), str(path)).name_of(TOKEN) == "alice"
    for host, names in (("0.0.0.0", ()), ("192.0.2.1", ()), ("127.0.0.1", ("scm.example",))):
        with pytest.raises(ScmError, match="add --web-token-file"):
            WebSettings((host, 8080), hosts=names)


def test_events_of_the_log_are_json(tmp_path):
    async def scenario(page):
        page.web.log_ring.add("warning", {}, lambda event: NASTY)
        url = f"{page.url}/log/events"
        async with page.session.get(url, headers={"Last-Event-ID": "0"}) as stream:
            assert stream.content_type == "text/event-stream"
            lines = [await asyncio.wait_for(stream.content.readline(), 5) for _ in range(2)]
        assert lines[0] == b"id: 1\n"
        found = json.loads(lines[1].removeprefix(b"data: "))
        assert found["lines"][0][2:] == ["warning", NASTY] and found["skipped"] == 0

    with_page(tmp_path, scenario)


def test_what_is_no_form_and_what_is_no_http_gets_4xx_and_no_line_of_the_log(tmp_path, caplog):
    part = b'--x\r\nContent-Disposition: form-data; name="csrf"\r\n'
    multipart = "multipart/form-data; boundary=x"
    forms = (
        ("multipart/form-data", b"x"),
        (multipart, b"--y\r\n"),
        (multipart, part + b"\r\na"),
        (multipart, part + b"\r\n\xff\xfe\r\n--x--\r\n"),
        (multipart, part + b"Content-Type: text/plain; charset=nope\r\n\r\na\r\n--x--\r\n"),
        (multipart, b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n"),
        ("application/x-www-form-urlencoded; charset=nope", b"csrf=a"),
        ("application/x-www-form-urlencoded", b"csrf=\xff\xfe"),
    )

    async def scenario(page):
        for kind, body in forms:
            headers = {"Origin": page.url, "Content-Type": kind}
            async with page.session.post(
                page.url + "/login", data=body, headers=headers
            ) as answer:
                assert answer.status == 400, (kind, body)
                assert "not a form" in await answer.text()
        for line in (b"GET /" + b"x" * 9000 + b" HTTP/1.1", b"GET / HTTP/1.1\r\nA: \x00"):
            reader, writer = await asyncio.open_connection(*page.web.address)
            writer.write(line + b"\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.0 400")
            writer.close()
        assert "page: no HTTP" in (await page.get("/"))[1]

    with_page(tmp_path, scenario)
    assert not caplog.records


def test_half_of_a_character_in_the_service_of_a_document_is_a_mistake(tmp_path):
    text = (
        '{"ueConfigDocId": "q", "service": "\\udc00", "valServiceDomain": "e", "configData": {}}'
    )

    async def scenario(page):
        for path in ("/document/review", "/document/save"):
            status, answer, _ = await page.post(path, {"text": text})
            assert status == 422 and "service has half of a character" in answer.replace(": ", " ")

    with_page(tmp_path, scenario)
