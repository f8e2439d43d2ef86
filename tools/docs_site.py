"""Hooks of mkdocs, for `make docs`: pages from all over the checkout become one site.

A page reads the same in an editor, on a code host and in the site: links lead to files beside it.
In the site the pages outside docs/ have names of their own, and a link to a file that is no page
becomes the name of the file.
"""

import logging
import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "boards/README.md": "images.md",
    "examples/README.md": "examples.md",
    "host_tests/README.md": "host-tests.md",
}
_CODE = re.compile(r"^ {4}.*$|`[^`\n]*`", re.MULTILINE)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_CONTENTS = re.compile(r"^(?:- \[[^\]]*\]\(#[^)]*\)\n)+", re.MULTILINE)
_log = logging.getLogger("mkdocs.hooks")


def on_config(config):
    """Instead of a file that the theme would load from the internet: assets/worker.js."""
    config.extra.polyfills = ["assets/worker.js"]
    return config


def on_files(files, config):
    """Add the pages that are outside docs/."""
    for path, name in OUTSIDE.items():
        files.append(File.generated(config, name, content=(ROOT / path).read_text("utf-8")))
    return files


def on_page_markdown(markdown, page, **_):
    """The text of a page with its links as the site has them."""
    markdown = _CONTENTS.sub("", markdown, count=1)  # the site has it beside the page
    names = {name: path for path, name in OUTSIDE.items()}
    name = page.file.src_uri
    folder = posixpath.dirname(names.get(name, "docs/" + name))
    code = [match.span() for match in _CODE.finditer(markdown)]

    def linked(match):
        if any(start <= match.start() < end for start, end in code):
            return match[0]
        return match[1] + _link(folder, match[2], match[3])

    return _LINK.sub(linked, markdown)


def _link(folder, text, target):
    """A link of a page in a folder of the checkout, as the site has it."""
    path, hash_sign, anchor = target.partition("#")
    if not path or ":" in path:
        return f"[{text}]({target})"
    path = posixpath.normpath(posixpath.join(folder, path))
    if path in OUTSIDE:
        return f"[{text}]({OUTSIDE[path]}{hash_sign}{anchor})"
    if path.startswith("docs/"):
        return f"[{text}]({path.removeprefix('docs/')}{hash_sign}{anchor})"
    if not (ROOT / path).exists():
        _log.warning("a link to %s, which does not exist", path)
    return text
