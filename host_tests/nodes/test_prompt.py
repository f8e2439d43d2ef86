"""The prompt while the node runs: what a person types, what it shows, what it executes."""

from msgin5g_testkit.checks import raises
from msgin5g.repl import prompt as prompt_module
from msgin5g.repl.prompt import Prompt

HIDDEN = "\r\x1b[K"
SHOWN = "msgin5g> "


class Node:
    """A node that prints an event as its name; `stop` ends the run."""

    def __init__(self):
        self.screen = []
        self.answer = 42
        self.n_ended = 0

    def end_by_hand(self):
        self.n_ended += 1

    def print_event(self, event):
        self.screen.append(event["event"] + "\n")
        return event["event"] == "stop"


class Terminal:
    """Stands for sys and asyncio: the keys of a person, one screen for all that is written."""

    stdin = None

    def __init__(self, node):
        self.node = node
        self.keys = []
        self.stdout = self
        self.n_flushed = 0

    def write(self, text):
        self.node.screen.append(text)

    def flush(self):
        self.n_flushed += 1

    def print_exception(self, error):
        self.node.screen.append("! " + type(error).__name__ + "\n")

    def StreamReader(self, stream):
        return self

    async def read(self, n):
        if not self.keys:
            raise EOFError
        keys = "".join(self.keys[:n])
        del self.keys[:n]
        return keys


class Person:
    """Somebody at the prompt of a Node."""

    def __init__(self):
        self.node = Node()
        self.terminal = Terminal(self.node)
        self.prompt = Prompt(self.node)

    def types(self, keys):
        """What is on the screen after these keys."""
        del self.node.screen[:]
        self.terminal.keys = list(keys)
        real = prompt_module.sys, prompt_module.asyncio
        prompt_module.sys = prompt_module.asyncio = self.terminal
        prompt_module.print = lambda text: self.node.screen.append(text + "\n")
        try:
            self.prompt.run().send(None)
        except EOFError:
            pass
        finally:
            prompt_module.sys, prompt_module.asyncio = real
            del prompt_module.print
        return "".join(self.node.screen)

    def screen(self, function, *arguments):
        """What a method of the prompt writes, and gives."""
        del self.node.screen[:]
        real = prompt_module.sys
        prompt_module.sys = self.terminal
        try:
            given = function(*arguments)
        finally:
            prompt_module.sys = real
        return "".join(self.node.screen), given


def test_a_line_is_shown_as_it_is_typed_and_executed_at_its_end():
    for end in "\r\n":
        person = Person()
        assert person.types("6 * 7" + end) == SHOWN + "6 * 7\n42\n" + SHOWN
    assert person.terminal.n_flushed > 0


def test_a_line_may_use_the_node_and_the_repl_and_keeps_what_it_names():
    person = Person()
    assert person.types("node.answer\r") == SHOWN + "node.answer\n42\n" + SHOWN
    assert person.types("x = 'kept'\r") == SHOWN + "x = 'kept'\n" + SHOWN
    assert person.types("x\r") == SHOWN + "x\n'kept'\n" + SHOWN
    assert person.types("None\r") == SHOWN + "None\n" + SHOWN
    assert person.types("repl.help.__name__\r").endswith("\n'help'\n" + SHOWN)


def test_an_empty_line_does_nothing():
    person = Person()
    assert person.types("\r") == SHOWN + "\n" + SHOWN
    assert person.types("  \r") == SHOWN + "  \n" + SHOWN


def test_a_mistake_is_printed_and_the_prompt_goes_on():
    person = Person()
    assert person.types("1/0\r") == SHOWN + "1/0\n! ZeroDivisionError\n" + SHOWN
    assert person.types("a b\r") == SHOWN + "a b\n! SyntaxError\n" + SHOWN
    assert person.types("raise KeyError\r") == SHOWN + "raise KeyError\n! KeyError\n" + SHOWN
    assert person.types("2\r") == SHOWN + "2\n2\n" + SHOWN


def test_backspace_erases_to_the_left_as_far_as_there_is_something():
    for key in "\x7f\x08":
        person = Person()
        erased = "\x08 \x08"
        assert person.types(key + "13" + key + key + key + "2\r") == (
            SHOWN + "13" + erased + erased + "2\n2\n" + SHOWN
        )


def test_other_control_characters_and_keys_are_ignored():
    person = Person()
    assert person.types("1\x1b[5~\x1bOP2\x00\x1f3\r") == SHOWN + "123\n123\n" + SHOWN


def test_arrow_keys_are_read_in_both_forms_that_terminals_send():
    person = Person()
    person.types("1\r")
    for up in ("\x1b[A", "\x1bOA"):
        assert person.types(up + "0\r").endswith("\n10\n" + SHOWN)
        person.types("1\r")


def test_a_line_has_at_most_200_characters():
    person = Person()
    assert person.types("'" + "x" * 300) == SHOWN + "'" + "x" * 199
    assert person.types("\x08'\r").endswith("\n'" + "x" * 198 + "'\n" + SHOWN)


def test_ctrl_d_ends_the_run_at_the_start_of_a_line_only():
    person = Person()
    with raises(SystemExit):
        person.types("\x04")
    assert person.node.n_ended == 1
    assert person.types("5\x04\r") == SHOWN + "5\n5\n" + SHOWN


def test_an_event_is_printed_above_the_line_that_is_being_typed():
    person = Person()
    person.types("node.an")
    assert person.screen(person.prompt.emit, {"event": "applied"}) == (
        HIDDEN + "applied\n" + SHOWN + "node.an",
        False,
    )
    assert person.screen(person.prompt.emit, {"event": "stop"})[1] is True


def test_what_a_line_itself_prints_is_not_hidden():
    person = Person()
    person.node.show = lambda: person.prompt.emit({"event": "applied"})
    assert person.types("node.show()\r") == (SHOWN + "node.show()\napplied\nFalse\n" + SHOWN)
    assert person.screen(person.prompt.hide)[0] == HIDDEN
    assert person.screen(person.prompt.show)[0] == SHOWN
