"""For the tests of the operator's page: a server with its page in this process, and a client."""

import asyncio
import re
from contextlib import asynccontextmanager

from aiohttp import ClientSession, CookieJar
from scm_setup import database_in

from msgin5g_tools.scm_server.server import ScmServer
from msgin5g_tools.scm_server.settings import Settings
from msgin5g_tools.scm_server.store import Store
from msgin5g_tools.scm_server.web.app import WebServer
from msgin5g_tools.scm_server.web.settings import WebSettings

TOKEN = "a" * 24


class Page:
    """A WebServer with a client that keeps cookies."""

    def __init__(self, web, session):
        self.web, self.session = web, session
        self.url = web.url.rstrip("/")

    async def get(self, path, **headers):
        """(status, text, headers) without following."""
        async with self.session.get(
            self.url + path, headers=headers, allow_redirects=False
        ) as found:
            return found.status, await found.text(), found.headers

    async def post(self, path, data=None, csrf=None, **headers):
        if csrf is None:
            _, text, _ = await self.get("/denied")
            match = re.search(r'name="csrf" value="([0-9a-f]+)"', text)
            csrf = match[1] if match else ""
        headers = {"Origin": self.url, **headers}
        async with self.session.post(
            self.url + path,
            data={"csrf": csrf, **(data or {})},
            headers={key: value for key, value in headers.items() if value is not None},
            allow_redirects=False,
        ) as found:
            return found.status, await found.text(), found.headers


def with_page(folder, scenario, tokens=None, **settings):
    """Run `await scenario(Page)`."""
    if tokens is not None:
        path = folder / "tokens"
        path.write_text(tokens)
        path.chmod(0o600)
        settings["token_file"] = str(path)

    async def run():
        async with open_page(folder, **settings) as page:
            await asyncio.wait_for(scenario(page), 60)

    asyncio.run(run())


@asynccontextmanager
async def open_page(folder, **settings):
    server_settings = Settings(db=database_in(folder), bind=("127.0.0.1", 0), poll_s=0.02)
    web = WebServer(WebSettings(("127.0.0.1", 0), **settings))
    async with ScmServer(server_settings) as server:
        await web.start(server)
        try:
            async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
                yield Page(web, session)
        finally:
            await web.stop()


def denied(folder):
    with Store(database_in(folder)) as store:
        return store.denied()
