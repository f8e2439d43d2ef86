"""Make the pictures of the operator's page in docs/images, from a real run.

.venv/bin/python host_tests/support/web_pictures.py
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE)]

from scm_setup import Client  # noqa: E402
from web_setup import chromium, page_server  # noqa: E402

from msgin5g_tools.scm_server.store import Store  # noqa: E402

_N = 240
_DATA = (
    '{"MSGin5G-Server-address":"coap://msgin5g.example.com","MSGin5G-UE-Service-id":'
    '"sensor-%d@example.com","Segment-size":%d}'
)


def uri(n):
    return f"urn:x-msgin5g:ue:{n:04}"


def document(n, segment=1024):
    return {
        "valServiceDomain": "example.com",
        "valUeIds": {"uris": [uri(n)]},
        "ueConfigs": [{"configType": "ON_NETWORK", "configData": _DATA % (n, segment)}],
    }


def fill(db):
    with Store(db) as store, store.transaction():
        for n in range(1, _N):
            store.put("msgin5g", f"ue-{n:04}", document(n), "documents import, ops")
        store.deny(uri(9), "page, bob")
        store.deny(uri(13), "documents deny, ops")


def use(address):
    """What UEs do: most have the newest, some an older one, one refuses."""
    with Client(address) as client:
        for n in range(1, 180):
            client.get(f"ue-uri={uri(n)}")
        for n in range(20, 26):
            made = document(n, 512)
            client.put(f"ue-{n:04}", made)
        client.get(f"ue-uri={uri(24)}")


def take(browser, name, path, url, size=(1180, 760), theme="light"):
    browser.size(*size)
    browser.theme(theme)
    browser.go(url + path)
    browser.find("main")
    target = ROOT / "docs" / "images" / f"{name}.png"
    target.parent.mkdir(exist_ok=True)
    browser.driver.save_screenshot(str(target))
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size // 1024} KiB")


def main():
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "scm.db"
        fill(db)
        with page_server(db) as (url, address), chromium(Path(folder) / "profile") as browser:
            use(address)
            pages(browser, url)


def pages(browser, url):
    browser.go(url + "/fleet")
    browser.reload_until("never asked", "main nav.figures")  # then all are counted
    take(browser, "web-fleet", "/fleet", url, (1180, 560))
    take(browser, "web-ue", f"/ue?uri={uri(24)}", url, (1000, 860))
    take(browser, "web-phone", f"/ue?uri={uri(9)}", url, (375, 760))
    take(browser, "web-log", "/log", url, (1000, 380), theme="dark")
    take(browser, "web-document", "/document?service=msgin5g&id=ue-0024", url, (1000, 900))
    take(browser, "web-overview", "/", url, (1000, 620))
    browser.go(url + "/document/edit?service=msgin5g&id=ue-0024")
    text = browser.find("#text").get_attribute("value")
    browser.type("#text", text.replace("512", "2048").replace("sensor-24", "sensor-24b"))
    browser.press("Review the changes…")
    browser.find(".diff")
    browser.driver.save_screenshot(str(ROOT / "docs/images/web-review.png"))


if __name__ == "__main__":
    main()
