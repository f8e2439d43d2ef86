"""An application: its rules (`fault`) that raise, its import, a node without a configuration."""

import sys

from msgin5g_testkit.checks import raises
from msgin5g.config.schema import Schema
from msgin5g.services import application as application_service
from msgin5g.services.application import Application

_KINDS = {"number": int, "psk_number": int, "text": str, "more": dict}
_REQUIRED = '{"MSGin5G-Server-address": "coap://h.example", "MSGin5G-UE-Service-id": "a", '


class Module:
    """An application's module with one key. raised: what its rule raises, or None."""

    def __init__(self, key, raised, ends=None):
        self.key = key
        self.raised = raised
        self.ends = ends  # what `declare` raises at its end

    def declare(self, schema):
        schema.declare(self.key, _KINDS[self.key], fault=self.rule)
        if self.ends:
            raise self.ends

    def rule(self, value):
        if self.raised:
            raise self.raised


class Manager:
    safe_mode = False
    configuration = None

    def __init__(self):
        self.schema = Schema()


class Console:
    """Stands for `sys`: notes the exceptions whose traceback is printed."""

    def __init__(self):
        self.printed = []

    def print_exception(self, error):
        self.printed.append(error)


def refusal(module, value):
    """The application, the reasons to refuse a document with this value, what was printed."""
    manager = Manager()
    application_service.sys = console = Console()
    sys.modules["an_application"] = module
    try:
        made = Application("an_application")
        made.prepare(manager)
        made.begin(None, None, None)
        _, reasons = manager.schema.check('%s"%s": %s}' % (_REQUIRED, module.key, value))
    finally:
        application_service.sys = sys
        del sys.modules["an_application"]
    return made, reasons, console.printed


def test_a_rule_that_raises_refuses_the_document_and_names_the_cause():
    for key, value, reason in (
        ("number", "7", "number: ValueError in its rule: why"),
        ("text", '"x"', "text: ValueError in its rule"),
        ("more", '{"a": 1}', "more: ValueError in its rule"),
    ):
        error = ValueError("why")
        made, reasons, printed = refusal(Module(key, error), value)
        assert reasons == [reason] and printed == [error], key
        assert made.error is None, "the application goes on"
    assert refusal(Module("number", None), "7")[1:] == ([], [])


def test_what_a_rule_raises_does_not_show_a_secret():
    for key, value in (("psk_number", "7"), ("more", '{"password": "x"}')):
        _, reasons, printed = refusal(Module(key, ValueError("x7")), value)
        assert reasons == [key + ": ValueError in its rule"] and printed == [], key


def test_a_rule_does_not_end_the_role_when_declare_has_raised_after_it():
    ends = ValueError("half done")
    made, reasons, printed = refusal(Module("text", OSError(5), ends), '"x"')
    assert made.error is ends and reasons == ["text: OSError in its rule"] and len(printed) == 2


def test_a_rule_that_runs_out_of_memory_says_nothing_about_the_value():
    with raises(MemoryError):
        refusal(Module("number", MemoryError()), "7")


class Stepped:
    """An application's module with `step`."""

    def __init__(self):
        self.moments = []

    def step(self, node, now):
        self.moments.append(now)
        return 500


def test_an_application_whose_import_a_person_has_ended_has_failed():
    made = Application("an_application")
    made.prepare(Manager())
    sys.modules["an_application"] = Module("number", None, KeyboardInterrupt())
    try:
        assert not made.has_failed
        with raises(KeyboardInterrupt):
            made.begin(None, None, None)
    finally:
        del sys.modules["an_application"]
    assert made.has_failed


def test_an_application_runs_on_a_node_without_a_configuration_of_its_own():
    made = Application("an_application")
    sys.modules["an_application"] = module = Stepped()
    try:
        made.begin(None, None, None)
    finally:
        del sys.modules["an_application"]
    for now in (0, 499, 500, 1000):
        made.step(now)
    assert module.moments == [0, 500, 1000] and made.wait_ms(1000) == 500
    assert made.configuration is None and not made.has_failed
