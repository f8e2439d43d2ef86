"""The pages of the documentation, and what of their text is a name of the code."""

import functools
import re

from msgin5g_tools.paths import FIRMWARE, ROOT

PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("boards/*.md")]
    + [*ROOT.glob("host_tests/*.md"), *ROOT.glob("host_tests/host/*.md")]
    + [*ROOT.glob("examples/**/*.md")]
)
CODE = re.compile(r"^ {4}.*$", re.MULTILINE)
_FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]*)`")
_SETTING = re.compile(r"^([a-z_.:]+) ([acfhntu])(?: (.*?))?(?:\"\"\"\))?$", re.MULTILINE)
_TAKEN = re.compile(r'(?:(?:take|_object)\(values, |\bkey = )"([a-z_.]+)"')


def name_of(page):
    return page.relative_to(ROOT).as_posix()


@functools.cache
def text_of(page):
    return page.read_text()


def spans(text):
    """What stands in backticks, outside of blocks."""
    return _SPAN.findall(CODE.sub("", _FENCED.sub("", text)))


def blocks(text):
    """The text of all blocks of code."""
    return "\n".join([*CODE.findall(text), *_FENCED.findall(text)])


@functools.cache
def firmware_source(folder=""):
    files = (FIRMWARE / "msgin5g" / folder).rglob("*.py")
    return "".join(file.read_text() for file in files)


@functools.cache
def settings_of_the_firmware():
    """{key: (kind, rule)} of settings.json; kind is None where the table does not have it."""
    source = firmware_source("settings")
    found = {key: (kind, rule) for key, kind, rule in _SETTING.findall(source)}
    found = {key.replace(":", "."): value for key, value in found.items()}
    return dict.fromkeys(_TAKEN.findall(source), (None, "")) | found
