"""The conformance kit at our own roles and at the servers of others, all of them real."""

import asyncio
import subprocess
import sys
import threading
from contextlib import ExitStack

import aiocoap
import pytest
from aiocoap.resource import Resource, Site, WKCResource
from conform_setup import PROGRAM, Examples, Kit, run_kit, with_verdict
from peers import LibcoapServer, Role, ScmProcess, host, program
from scm_setup import UE7

from msgin5g_tools.conform.check import FAIL, INCONCLUSIVE, KIT_FAILED, NOT_APPLICABLE
from msgin5g_tools.conform.roles import ROLES as KIT

ROLES = ("server", "relay", "gateway", "ue")
# The clauses of a UE, about as long each.
_SHARES = (
    ("TS 24.538", "TS 24.546"),
    ("RFC 7252 3", "RFC 7252 4"),
    ("RFC 7252 5", "RFC 7641", "RFC 7959", "RFC 8516", "RFC 9175"),
)


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """{role: (exit status, rows)} of our four roles, checked at the same time.

    Several UEs share the checks of a UE: each has to wait until its UE asks again.
    """
    places = [Examples(tmp_path_factory.mktemp("conform")) for _ in _SHARES]
    examples = places[0]
    folder = examples.folder
    documents = ["documents", "import", str(folder / "documents.json")]
    command = [sys.executable, "-c", PROGRAM, *documents, "--db", str(folder / "scm.db")]
    subprocess.run(command, check=True, capture_output=True)
    kits = []
    with ExitStack() as stack:

        def check(role, at, *arguments):
            kit = Kit(role, "--profile", str(at.folder / f"{role}.toml"), *arguments)
            kits.append((role, kit))
            stack.callback(kit.kill)

        for at, clauses in zip(places, _SHARES, strict=True):  # each listens before its UE asks
            check("ue", at, *(word for clause in clauses for word in ("--only", clause)))
        for at in places:
            stack.enter_context(Role(at.folder, at.settings("ue"), "208K"))
        for role in ("relay", "gateway"):
            stack.enter_context(Role(folder, examples.settings(role), "208K"))
            check(role, examples)
        stack.enter_context(ScmProcess(folder, bind=(f"{examples.prefix}1", 5683)))
        check("server", examples)
        found = {role: (0, {}) for role in ROLES}
        for role, kit in kits:
            status, rows = kit.report()
            found[role] = max(status, found[role][0]), found[role][1] | rows
        return found


@pytest.mark.parametrize("role", ROLES)
def test_ours_passes(reports, role):
    status, rows = reports[role]
    assert {name: row["why"] for name, row in rows.items() if row["verdict"] == FAIL} == {}
    assert {n: row["why"] for n, row in rows.items() if row["verdict"] == INCONCLUSIVE} == {}
    assert [n for n, row in rows.items() if row["verdict"] == NOT_APPLICABLE] == []
    assert status == 0
    assert sorted(rows) == sorted(check.name for check in KIT[role].checks)
    assert all(row["came"] for row in rows.values())


def test_the_events_of_a_ue_show_what_it_applied(tmp_path):
    examples, events = Examples(tmp_path), tmp_path / "events"
    events.touch()
    only = ["--only", "content", "--only", "content-for-another", "--only", "empty-array"]
    kit = Kit("ue", "--profile", str(tmp_path / "ue.toml"), "--events", str(events), *only)
    try:
        with Role(tmp_path, examples.settings("ue"), "208K") as ue, events.open("a") as file:
            while kit.is_running:
                try:
                    file.write(ue.line(timeout_s=0.2))
                except AssertionError:
                    continue  # it prints nothing for now
                file.flush()
        status, rows = kit.report()
    finally:
        kit.kill()
    assert {row["verdict"] for row in rows.values()} == {"pass"}, rows
    assert status == 0


def _fails(rows, *names):
    assert not [row for row in rows.values() if row.why.startswith(KIT_FAILED)]
    failed = set(with_verdict(rows, FAIL))
    assert set(names) <= failed, set(names) - failed


def test_what_libcoaps_server_lacks():
    program("coap-server-notls")
    with LibcoapServer() as server:
        rows = run_kit("server", address=server.address, ues=[(UE7, None)])
    _fails(rows, "single-ue", "recipient-of-not-found", "problem-details")
    _fails(rows, "reserved-class", "repeated-accept", "other-version")
    for name in ("ping", "unknown-critical-option", "marker-without-payload", "proxy-uri"):
        assert rows[name].verdict == "pass", name
    assert rows["etag"].why == "the UE gets 4.04: see single-ue"


class _Aiocoap(threading.Thread):
    """aiocoap's server with its /.well-known/core and a resource for /su-uc/v1/..."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self._path = path
        self.address = (host(), 5683)
        self._ready = threading.Event()

    def run(self):
        asyncio.run(self._serve())

    async def _serve(self):
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        site = Site()
        links = site.get_resources_as_linkheader
        site.add_resource([".well-known", "core"], WKCResource(links))
        site.add_resource(self._path, _Documents())
        context = await aiocoap.Context.create_server_context(site, bind=self.address)
        self._ready.set()
        await self._end.wait()
        await context.shutdown()

    def __enter__(self):
        self.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._end.set)
        self.join(20)
        assert not self.is_alive()


class _Documents(Resource):
    async def render_get(self, request):
        return aiocoap.Message(payload=b"\x80", content_format=60)


def test_what_aiocoaps_server_lacks():
    path = ["su-uc", "v1", "val-services", "msgin5g", "ue-configurations"]
    with _Aiocoap(path) as server:
        rows = run_kit("server", address=server.address, ues=[(UE7, None)])
    # It answers a GET, but knows no option of ours, and takes what is malformed.
    assert rows["single-ue"].verdict == "pass"
    _fails(rows, "array-of-documents", "recipient-of-content", "accept-of-another-format")
    _fails(rows, "unknown-critical-option", "token-length-of-nine", "marker-without-payload")
    for name in ("ping", "repeated-con", "repeated-non", "token-is-echoed", "other-version"):
        assert rows[name].verdict == "pass", name
