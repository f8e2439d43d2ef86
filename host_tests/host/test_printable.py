"""What tools print of peers and boards cannot drive a terminal."""

import io
import json
import logging

import cbor2
from aiocoap import BAD_REQUEST
from click.testing import CliRunner
from rich.console import Console

from msgin5g_tools.commands.documents import documents
from msgin5g_tools.log_lines import LineFormatter
from msgin5g_tools.scm_server.problem import Problem
from msgin5g_tools.text import TerminalFilter, printable

HOSTILE = "\x1b]0;X\x07\x1b[2J Forbidden\napplied\x9b2J\u202e\u2028\u2066\x7f"


def is_harmless(text):
    return all(c.isprintable() for c in text)


def test_text_is_one_line_and_what_is_escaped_can_be_read():
    assert printable("gr\u00fcn \u6f22 \\ 'x'") == "gr\u00fcn \u6f22 \\ 'x'"
    assert printable("\x1b[2J\n\x9b\u202e") == "\\x1b[2J\\n\\x9b\\u202e"
    assert is_harmless(printable(HOSTILE))


def test_a_detail_of_the_server_repeats_what_a_peer_sent_with_escapes():
    for where in (BAD_REQUEST, int(BAD_REQUEST)):
        detail = cbor2.loads(Problem(where, f"no such path: {HOSTILE}").payload)[-2]
        assert detail.startswith("no such path: \\x1b]0;X\\x07") and is_harmless(detail)
    long = Problem(BAD_REQUEST, "\x1b" * 200).detail
    assert len(long) == 240 and is_harmless(long)


def test_a_message_of_a_library_is_one_line_in_the_log():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter("%(name)s: %(message)s"))
    logger = logging.Logger("coap")
    logger.addHandler(handler)
    logger.warning("from %s", HOSTILE)
    line, rest = stream.getvalue().split("\n", 1)
    assert is_harmless(line) and rest == "" and "Forbidden\\napplied" in line


def test_the_list_of_documents_shows_names_with_escapes(tmp_path):
    db = str(tmp_path / "scm.db")
    runner = CliRunner()
    doc = {
        "ueConfigDocId": "d\u202e\x9b2J",
        "valServiceDomain": "example.com",
        "ues": ["urn:x-msgin5g:ue:0007"],
        "configData": {
            "MSGin5G-Server-address": "coap://x\u202e\x9b",
            "MSGin5G-UE-Service-id": "user",
        },
    }
    file = tmp_path / "documents.json"
    file.write_text(json.dumps({"documents": [doc]}))
    done = runner.invoke(documents, ["import", str(file), "--db", db])
    assert done.exit_code == 0, done.output
    said = runner.invoke(documents, ["list", "--db", db])
    assert said.exit_code == 0, said.output
    assert not {"\x1b", "\u202e", "\x9b"} & set(said.output), said.output


def test_a_terminal_filter_holds_the_beginning_of_a_sequence_and_no_more():
    terminal = TerminalFilter()
    assert terminal.feed("a\x1b") == "a"
    assert terminal.feed("[1;3") == ""
    assert terminal.feed("1m") == "\x1b[1;31m"
    assert terminal.feed("\x1b[" + "1" * 40) == "?[" + "1" * 40, "it is not held for ever"
    assert terminal.feed("\x1b]52;c;aGk=\x07") == "?]52;c;aGk=\x07"


def test_rich_prints_no_more_than_it_is_given():
    stream = io.StringIO()
    Console(file=stream, markup=False, highlight=False).print(printable(HOSTILE))
    assert "\x1b" not in stream.getvalue() and "\x9b" not in stream.getvalue()
