"""The operator's page when something goes wrong: two who save at once, a database that is full,
away or killed, versions that today's rules refuse, readers that do not read."""

import asyncio
import contextlib
import html
import itertools
import os
import random
import re
import signal
import subprocess
import threading
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import cbor2
import pytest
from aiohttp import ClientSession
from page_client import TOKEN, denied, open_page, with_page
from scm_setup import UE7, choose_engine, database_in, document
from web_setup import COMMAND

from msgin5g_tools.scm_server import history, listing
from msgin5g_tools.scm_server.server import ScmServer
from msgin5g_tools.scm_server.settings import Settings
from msgin5g_tools.scm_server.store import Store, etag
from msgin5g_tools.scm_server.web import app, log_page
from msgin5g_tools.scm_server.web.app import WebServer
from msgin5g_tools.scm_server.web.settings import WebSettings

on_each_engine = pytest.mark.usefixtures("each_engine")
SAVE = "/document/save?service=msgin5g&id=d"


def text_of(config_name, doc_id="d", **more):
    shown = {"ueConfigDocId": doc_id, "valServiceDomain": "example.com", **more}
    entries = {**shown, "configName": config_name}
    return "{" + ", ".join(f'"{key}": "{value}"' for key, value in entries.items()) + "}"


def stored(folder, doc_id="d"):
    """(the document, its ETag), (None, "") without one."""
    with Store(database_in(folder)) as store:
        body = store.body("msgin5g", doc_id)
    return (None, "") if body is None else (cbor2.loads(body), etag(body).hex())


def put(folder, **more):
    """The ETag of the document d."""
    with Store(database_in(folder)) as store:
        store.put("msgin5g", "d", document(UE7, **more))
    return stored(folder)[1]


@on_each_engine
def test_of_two_operators_who_save_at_once_the_second_is_told_and_keeps_the_text(tmp_path):
    base = put(tmp_path)

    async def scenario(first):
        async with open_page(tmp_path) as second:  # of another server with the same database
            for _ in range(10):
                before = stored(tmp_path)[1]
                answers = await asyncio.gather(
                    first.post(SAVE, {"base": before, "text": text_of("one " + before)}),
                    second.post(SAVE, {"base": before, "text": text_of("two " + before)}),
                )
                assert sorted(status for status, *_ in answers) == [303, 409]
                names = "one " + before, "two " + before
                for (status, shown, _), name in zip(answers, names, strict=True):
                    if status == 303:
                        assert stored(tmp_path)[0]["configName"] == name
                    else:
                        assert "by somebody else" in shown and "nothing was saved" in shown
                        assert f"{html.escape(name)}" in shown  # to copy

    with_page(tmp_path, scenario)
    with Store(database_in(tmp_path)) as store:
        changes = store.history.of_document("msgin5g", "d")
    assert len(changes) == 11 and changes[-2].old_etag.hex() == base
    for newer, older in itertools.pairwise(changes):
        assert newer.old_etag == older.new_etag  # every saved version is in the history


@on_each_engine
def test_of_two_operators_who_create_a_document_at_once_one_is_told(tmp_path):
    async def scenario(first):
        async with open_page(tmp_path) as second:
            sent = [{"base": "", "text": text_of(name)} for name in ("one", "two")]
            answers = await asyncio.gather(
                first.post("/document/save", sent[0]), second.post("/document/save", sent[1])
            )
            assert sorted(status for status, *_ in answers) == [303, 409]

    with_page(tmp_path, scenario)
    assert stored(tmp_path)[0]["configName"] in ("one", "two")


def test_a_version_that_the_rules_of_today_refuse_is_not_restored_and_its_mistake_is_named(
    tmp_path,
):
    base = put(tmp_path)
    old = {"ueConfigDocId": "d", "valServiceDomain": "example.com", "valUeIds": {"uris": [5]}}
    with Store(database_in(tmp_path)) as store:
        body = cbor2.dumps(old)
        store.history.record("0.0", history.CHANGED, "msgin5g", "d", (etag(body), b"x"), body)
        number = store.history.of_document("msgin5g", "d")[0].number

    async def scenario(page):
        status, shown, _ = await page.get(f"/document/version?number={number}")
        assert status == 200
        text = html.unescape(re.search(r"<textarea[^>]*>\n(.*?)</textarea>", shown, re.DOTALL)[1])
        for step in ("review", "save"):
            sent = {"text": text, "base": base}
            status, shown, _ = await page.post(f"/document/{step}?service=msgin5g&id=d", sent)
            assert status == 422 and "ues[0]: is not a text" in shown
            assert html.escape(text) in shown  # to be edited

    with_page(tmp_path, scenario)
    assert stored(tmp_path)[1] == base


def test_on_a_full_disk_nothing_is_saved_the_text_is_kept_and_later_it_is_saved(
    tmp_path, monkeypatch
):
    max_pages = [1]  # then the file cannot grow

    class SmallStore(Store):
        def put(self, *arguments):
            self.connection.execute(f"PRAGMA max_page_count = {max_pages[0]}")
            return super().put(*arguments)

    monkeypatch.setattr(app, "Store", SmallStore)
    base = put(tmp_path)
    text = text_of("x" * 50_000)

    async def scenario(page):
        status, shown, _ = await page.post(SAVE, {"base": base, "text": text})
        assert status == 503 and "database or disk is full" in shown
        assert f"make room on the disk of {tmp_path}" in shown
        assert "Your text, to copy" in shown and "x" * 50_000 in shown
        assert stored(tmp_path)[1] == base
        assert (await page.get("/document?service=msgin5g&id=d"))[0] == 200
        max_pages[0] = 100_000
        assert (await page.post(SAVE, {"base": base, "text": text}))[0] == 303

    with_page(tmp_path, scenario)
    assert stored(tmp_path)[0]["configName"] == "x" * 50_000


def test_a_database_that_was_away_serves_the_page_again_and_no_text_is_lost(tmp_path, postgresql):
    choose_engine(postgresql)
    try:
        base = put(tmp_path)

        async def scenario(page):
            assert (await page.get("/documents"))[0] == 200
            _, shown, _ = await page.get("/denied")
            csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', shown)[1]
            sent = {"base": base, "text": text_of("mine")}
            await asyncio.to_thread(postgresql.stop)
            for _ in range(2):
                status, shown, _ = await page.post(SAVE, sent, csrf)
                assert status == 503 and "does not answer" in shown
                assert "Your text, to copy" in shown and "mine" in shown
            await asyncio.to_thread(postgresql.start)
            assert (await page.post(SAVE, sent, csrf))[0] == 303
            assert (await page.get("/documents"))[0] == 200

        with_page(tmp_path, scenario)
        assert stored(tmp_path)[0]["configName"] == "mine"
    finally:
        choose_engine(None)
        postgresql.start()
        postgresql.drop_databases()


def test_a_database_that_hangs_holds_up_neither_a_page_nor_the_end_of_the_server(postgresql):
    db = postgresql.new_database()

    async def scenario():
        async with ScmServer(Settings(db=db, bind=("127.0.0.1", 0))) as server:
            web = WebServer(WebSettings(("127.0.0.1", 0)))
            await web.start(server)
            async with ClientSession() as session:

                async def status():
                    async with session.get(f"{web.url}denied") as answer:
                        return answer.status

                assert await status() == 200
                stopped.extend(postgresql.processes())
                send(signal.SIGSTOP)
                assert await asyncio.wait_for(status(), 30) == 503
                more = [asyncio.create_task(status()) for _ in range(30)]
                await asyncio.sleep(0.1)
                await asyncio.wait_for(web.stop(), 30)
                await asyncio.gather(*more, return_exceptions=True)

    stopped = []

    def send(number):
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):  # one was just about to end
                os.kill(pid, number)

    try:
        asyncio.run(scenario())
    finally:
        send(signal.SIGCONT)
        postgresql.drop_databases()


def test_an_edit_that_comes_after_the_end_of_its_login_is_shown_to_be_copied(tmp_path):
    base = put(tmp_path)

    async def scenario(page):
        sent = {"base": base, "text": text_of("<mine>")}
        for step in ("review", "save", "edit"):
            path = f"/document/{step}?service=msgin5g&id=d"
            status, shown, _ = await page.post(path, sent, csrf="-")
            assert status == 403 and "Your login has ended; nothing was saved" in shown
            assert "&lt;mine&gt;" in shown and 'href="/login"' in shown
        assert stored(tmp_path)[1] == base

    with_page(tmp_path, scenario, f"alice {TOKEN}\n")


def test_a_form_of_another_session_changes_nothing_and_its_text_is_shown(tmp_path):
    base = put(tmp_path)
    tokens = f"alice {TOKEN}\nbob {TOKEN[::-1]}b\n"

    async def scenario(page):
        forms = []
        for token in (TOKEN, TOKEN, f"{TOKEN[::-1]}b"):  # twice the same person
            page.session.cookie_jar.clear()
            assert (await page.post("/login", {"token": token}))[0] == 303
            _, shown, _ = await page.get("/denied")
            forms.append(re.search(r'name="csrf" value="([0-9a-f]+)"', shown)[1])
        assert len(set(forms)) == 3
        for form in forms[:2]:
            assert (await page.post("/denied/add", {"uri": "urn:a:1"}, form))[0] == 403
            sent = {"base": base, "text": text_of("mine")}
            status, shown, _ = await page.post(SAVE, sent, form)
            assert status == 403 and "another session" in shown and "mine" in shown
        assert denied(tmp_path) == [] and stored(tmp_path)[1] == base
        assert (await page.post(SAVE, sent, forms[2]))[0] == 303

    with_page(tmp_path, scenario, tokens)


@on_each_engine
def test_a_search_looks_through_a_limited_number_of_entries_and_goes_on(tmp_path, monkeypatch):
    with Store(database_in(tmp_path)) as store, store.transaction():
        for n in range(30):
            store.put("a" if n < 15 else "b", f"d{n:02}", document(f"urn:x:UE{n:02}"))
            store.deny(f"urn:x:UE{n:02}")
        for search, pages in (
            ("d28", [[], [], ["d28"]]),
            ("e05", [["d05"], [], []]),
            ("nothing", [[], [], []]),
        ):
            after = None
            for page in pages:
                found = listing.documents(store, search, None, 5, after, max_read=10)
                assert [entry.doc_id for entry in found.entries] == page
                after = found.after
            assert after == ("b", "d29")
            assert listing.documents(store, search, None, 5, after, 10) == listing.Page([], None)
        assert listing.documents(store, "d2", "b", 9, None, 4).after == ("b", "d18")
        for n in (10, 30):  # exactly one page: there is no next one
            wanted = "e1" if n == 10 else ""
            assert listing.documents(store, wanted, None, n).after is None
            assert listing.denied(store, wanted, n).after is None
        first = listing.denied(store, "e1", 5, None, 12)
        assert first == listing.Page(["urn:x:UE10", "urn:x:UE11"], "urn:x:UE11")
        assert listing.denied(store, "e1", 5, first.after, 12).entries[0] == "urn:x:UE12"
        assert listing.denied(store, "none", 5, "urn:x:UE25", 12) == listing.Page([], None)

    documents, listed = listing.documents, listing.denied
    monkeypatch.setattr(listing, "documents", lambda *found: documents(*found, 10))
    monkeypatch.setattr(listing, "denied", lambda *found: listed(*found, 10))

    async def scenario(page):
        for path in ("/documents?q=d28", "/denied?q=ue28"):
            n_pages = 0
            while path:
                _, shown, _ = await page.get(path)
                n_pages += 1
                is_found = "28</a>" in shown
                assert is_found or "Not found so far" in shown
                following = re.search(r'href="([^"]*)" class="button" rel="next"', shown)
                path = following and not is_found and html.unescape(following[1])
            assert is_found and n_pages == 3

    with_page(tmp_path, scenario)


@on_each_engine
def test_the_overview_counts_up_to_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "MAX_COUNT", 3)
    put(tmp_path)

    async def scenario(page):
        for shown, added in (("1", 2), ("3", 1), ("3+", 3), ("3+", 0)):
            assert f"<strong>{shown}</strong> <span>documents" in (await page.get("/"))[1]
            with Store(database_in(tmp_path)) as store:
                for _ in range(added):
                    store.put("msgin5g", f"d{store.count()}", document())

    with_page(tmp_path, scenario)


def work(store, call):
    """How much SQLite does for a call, in steps of its virtual machine."""
    steps = [0]

    def count():
        steps[0] += 1

    store.connection.set_progress_handler(count, 10)
    call(store)
    store.connection.set_progress_handler(None, 0)
    return steps[0]


def test_no_list_of_the_page_costs_more_when_there_are_ten_times_as_many_entries(tmp_path):
    calls = {
        "documents": lambda store: listing.documents(store, "", None, 50),
        "documents, later": lambda store: listing.documents(
            store, "", None, 50, ("msgin5g", "d1")
        ),
        "documents, search": lambda store: listing.documents(store, "none", None, 50, None, 200),
        "denied": lambda store: listing.denied(store, "", 50),
        "denied, search": lambda store: listing.denied(store, "none", 50, None, 200),
        "changes": lambda store: store.history.all(50),
        "changes of a document": lambda store: store.history.of_document("msgin5g", "d000100"),
    }
    with Store(tmp_path / "scm.db") as store:
        steps = []
        for n in (300, 3000):
            with store.transaction():
                for i in range(n):
                    store.put("msgin5g", f"d{i:06}", document(f"urn:x:{i:06}"))
                    store.deny(f"urn:x:{i:06}")
            steps.append([work(store, call) for call in calls.values()])
    for name, few, many in zip(calls, *steps, strict=True):
        assert many < 2 * few + 20, (name, few, many)


def test_a_search_of_postgresql_looks_up_the_ues_of_what_it_reads(postgresql, tmp_path):
    with Store(postgresql.new_database()) as store:
        with store.transaction():
            for n in range(3000):
                store.put("msgin5g", f"d{n:06}", document(f"urn:x:{n:06}"))
        store.connection.execute("ANALYZE")
        rows, plans = store.rows, []

        def explained(sql, *values):
            plans.append("\n".join(line for (line,) in rows(f"EXPLAIN {sql}", *values)))
            return rows(sql, *values)

        store.rows = explained
        listing.documents(store, "none", None, 50, None, 2000)
        listing.denied(store, "none", 50, "urn:x:1", 2000)
    assert plans and not any("Seq Scan on uris" in plan for plan in plans), plans[0]
    postgresql.drop_databases()


def test_fifty_readers_of_the_live_log_that_do_not_read_hold_up_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(log_page, "WRITE_S", 0.2)

    async def scenario(page):
        readers = []
        for _ in range(50):
            reader, writer = await asyncio.open_connection(*page.web.address, limit=1)
            writer.write(
                b"GET /log/events HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            )
            readers.append((reader, writer))
        while page.web.n_dropped_readers < 16:  # the limit; the others get 503
            page.web.log_ring.add("info", {}, lambda event: "x" * 1_000_000)
            await asyncio.sleep(0.01)
        for _, writer in readers:
            writer.close()
        while (await page.get("/denied"))[0] != 200:
            await asyncio.sleep(0.01)
        async with page.session.get(f"{page.url}/log/events") as stream:
            assert stream.status == 200  # there is room again

    with_page(tmp_path, scenario)


def test_kill_9_during_saves_from_the_page_loses_and_halves_nothing(tmp_path):
    db = str(tmp_path / "scm.db")
    put(tmp_path)
    chance = random.Random(7)
    acknowledged = n = 0
    for _ in range(3):
        process = subprocess.Popen(
            [*COMMAND, "scm-server", "--bind", "127.0.0.1:0", "--db", db, "--web", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = process.stdout.readline() + process.stdout.readline()
        page = re.search(r"http://\S+(?=/)", lines)[0]
        with urlopen(f"{page}/denied") as answer:
            csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', answer.read().decode())[1]
        killer = threading.Timer(chance.uniform(0.05, 0.5), process.kill)
        killer.start()
        while process.poll() is None:
            n += 1
            form = {"csrf": csrf, "base": stored(tmp_path)[1], "text": text_of(version(n))}
            request = Request(page + SAVE, urlencode(form).encode(), {"Origin": page})
            try:
                urlopen(request).close()
                acknowledged = n
            except OSError:
                process.wait()
        killer.join()
        process.stdout.close()
        assert stored(tmp_path)[0]["configName"] in (version(acknowledged), version(n))
    assert acknowledged
    with Store(db) as store:
        newest = store.history.of_document("msgin5g", "d", limit=1)[0]
        assert newest.new_etag.hex() == stored(tmp_path)[1]
        assert store.damage() is None


def version(n):
    return f"v{n} " + "x" * 9000
