"""The documentation as a site: what a person gets from `make docs`."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from msgin5g_tools.docs_site import OUTSIDE
from msgin5g_tools.paths import ROOT


def build(folder, config=ROOT / "mkdocs.yml"):
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config, "-d", folder],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        cwd=folder.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder


class Page(HTMLParser):
    """What a page loads or leads to, its anchors, and the texts of its paragraphs."""

    def __init__(self, file):
        super().__init__()
        self.loaded, self.links, self.anchors, self.paragraphs = [], [], set(), []
        self._in_paragraph = False
        self.feed(file.read_text())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors.add(attrs.get("id"))
        if tag in ("script", "img", "link") and attrs.get("rel") != "canonical":
            self.loaded.append(attrs.get("src") or attrs.get("href") or "")
        if tag == "a":
            self.links.append(attrs.get("href") or "")
        if tag == "p":
            self._in_paragraph = True
            self.paragraphs.append("")

    def handle_endtag(self, tag):
        self._in_paragraph = self._in_paragraph and tag != "p"

    def handle_data(self, data):
        if self._in_paragraph:
            self.paragraphs[-1] += data


def test_every_page_is_in_the_site_and_needs_nothing_from_elsewhere(site):
    names = {page.stem for page in ROOT.glob("docs/*.md")}
    names |= {name.removesuffix(".md") for name in OUTSIDE.values()}
    pages = {name: Page(site / f"{name}.html") for name in names}
    for name, page in pages.items():
        assert len(page.loaded) > 5
        for target in page.loaded:  # nothing from the internet
            assert (site / target.partition("?")[0]).exists(), (name, target)
        for target in page.links:
            path, _, anchor = target.partition("#")
            if path.startswith(("http:", "https:")):
                continue
            if path.endswith(".cast"):  # a recording, to download
                assert (site / path).exists(), target
                continue
            linked = pages.get(path.removesuffix(".html")) if path not in ("", ".") else page
            assert linked, (name, target)
            assert not anchor or anchor in linked.anchors, (name, target)


def test_a_list_is_a_list_and_a_link_outside_the_site_is_a_name(site):
    for file in site.glob("*.html"):
        for text in Page(file).paragraphs:
            assert not re.search(r"^(?:[-*]|\d+\.) ", text, re.MULTILINE), (file.name, text)
            assert "](" not in text, (file.name, text)


def test_it_is_searched_without_a_server(site):
    index = (site / "search" / "search_index.js").read_text()
    found = json.loads(index[index.index("{") : index.rindex("}") + 1])["docs"]
    by_place = {entry["location"]: entry["text"] for entry in found}
    assert "watchdog_s" in "".join(by_place.values())
    assert any(place.startswith("settings.html#") for place in by_place)


@pytest.mark.parametrize("line", ["[x](nowhere.md)", "[x](boards.md#nowhere)", "[x](../no/file)"])
def test_a_link_that_leads_nowhere_fails(tmp_path, line):
    docs = tmp_path / "docs"
    docs.mkdir()
    for page in ROOT.glob("docs/*.md"):
        (docs / page.name).write_text(page.read_text())
    (docs / "settings.md").write_text(line + "\n")
    config = (ROOT / "mkdocs.yml").read_text()
    config = config.replace("docs_dir: docs", f"docs_dir: {docs}")
    config = config.replace("tools/docs_site.py", str(ROOT / "tools" / "docs_site.py"))
    (tmp_path / "mkdocs.yml").write_text(config)
    done = build(tmp_path / "site", tmp_path / "mkdocs.yml")
    assert done.returncode != 0
    assert "nowhere" in done.stderr or "no/file" in done.stderr


def test_a_browser_finds_a_word_in_the_files_without_a_server(site, tmp_path):
    page = f"file://{site}/index.html?q=watchdog_s"
    browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    browser += [f"--user-data-dir={tmp_path}", "--virtual-time-budget=20000", page]
    shown = subprocess.run(browser, capture_output=True, text=True, timeout=120, check=True).stdout
    assert re.search(r'md-search-result__meta">\s*[1-9]\d* matching document', shown)
    assert 'href="settings.html' in shown
