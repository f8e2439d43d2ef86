"""Editing at the prompt of a running node: former lines, names, statements of several lines."""

from msgin5g.repl.prompt import Prompt

UP, DOWN, RIGHT, LEFT, HOME, END, DELETE = (
    "\x1bA", "\x1bB", "\x1bC", "\x1bD", "\x1bH", "\x1b4~", "\x1b3~"
)  # fmt: skip


class NoNode:
    n_ended = 0

    def print_event(self, event):
        return False

    def end_by_hand(self):
        self.n_ended += 1


class Person:
    def __init__(self):
        self.screen = []
        self.prompt = Prompt(NoNode(), self.screen.append)
        self.names = self.prompt.names
        self.prompt.show()

    def press(self, *keys):
        """What the screen gets while these keys are pressed; a text is typed."""
        del self.screen[:]
        for key in keys:
            for char in [key] if key[0] == "\x1b" else key:
                self.prompt.press(char)
        return "".join(self.screen)


def test_a_value_is_set_and_a_line_shown_as_it_is_typed():
    person = Person()
    assert person.press("x = 6 * 7") == "x = 6 * 7"
    assert person.press("\r") == "\nmsgin5g> "
    assert person.names["x"] == 42


def test_a_statement_with_a_block_goes_on_until_an_empty_line():
    person = Person()
    assert person.press("for i in range(4):\r").endswith("\n     ... ")
    assert person.press("    if i:\r", "        x = i\r").endswith("\n     ... ")
    assert "x" not in person.names
    assert person.press("\r") == "\nmsgin5g> "
    assert person.names["x"] == 3
    person.press("@print\r")
    person.press("def f():\r  return 1\r\r")
    person.press("try:1/0\rexcept ZeroDivisionError:\r  y = 5\r\r")
    assert person.names["y"] == 5


def test_an_open_bracket_a_long_text_and_a_backslash_go_on_in_the_next_line():
    for typed, value in (
        ("x = (1,\r2,\r3)\r", (1, 2, 3)),
        ("x = {'(': [\r1]}\r", {"(": [1]}),
        ("x = '''a\rb'''\r", "a\nb"),
        ('x = """(\r"""\r', "(\n"),
        ("x = 1 + \\\r2\r", 3),
        ("x = '('  # (\r", "("),
        ("x = 'it\\'s (' \r", "it's ("),
        ("x = ''\r", ""),
        ("x = len('') + len(\"\")\r", 0),
        ("formed = 2; x = formed\r", 2),
    ):
        person = Person()
        person.press(typed)
        assert person.names["x"] == value, typed
        assert person.press("1;\r").endswith("msgin5g> ")


def test_a_faulty_line_ends_at_once_and_nothing_is_executed_twice():
    person = Person()
    person.press("n = 0\r", "def f():\r  global n\r  n += 1\r  eval('= 3')\r\r")
    assert person.press("x = = 2\r").endswith("msgin5g> ")
    assert person.press("'open\r").endswith("msgin5g> ")
    assert person.press("f()\r").endswith("msgin5g> ")
    assert person.names["n"] == 1


def test_a_statement_without_an_end_is_given_up():
    person = Person()
    person.press("x = [\r")
    screen = ""
    for _ in range(12):
        if "too long" not in screen:
            screen = person.press("1, " * 50 + "\r")
    assert screen.endswith("too long: at most 1000 characters; put it into a file\nmsgin5g> ")
    assert person.press("y = 1\r") and person.names["y"] == 1
    person.press("z" * 300)
    assert len(person.prompt.line) == 200


def test_up_and_down_bring_the_last_eight_lines_back():
    person = Person()
    assert person.press(UP, DOWN) == ""
    for i in range(10):
        person.press("x = %d\r" % i)
        person.press("x = %d\r" % i)  # the same line is there once
    assert person.press(UP) == "\r\x1b[Kmsgin5g> x = 9"
    assert person.press(UP, UP, DOWN).endswith("msgin5g> x = 8")
    person.press(*([UP] * 20))
    person.press("0\r")
    assert person.names["x"] == 20
    assert person.press(UP, DOWN).endswith("\x1b[Kmsgin5g> ")
    person.press("y = 1", HOME, DELETE, "z", END, "1", LEFT, LEFT, "\x7f", RIGHT, "2\r")
    assert person.names["z"] == 121
    # An empty line is no line to come back to.
    person.press("\r", "  \r")
    assert person.press(UP).endswith("msgin5g> z =121")


def test_an_event_comes_above_the_line_with_the_cursor_where_it_was():
    person = Person()
    person.press("abcd", LEFT, LEFT)
    del person.screen[:]
    person.prompt.emit({"event": "applied"})
    assert "".join(person.screen) == "\r\x1b[Kmsgin5g> abcd\x1b[2D"


def test_tab_completes_a_name_as_far_as_it_is_certain():
    person = Person()
    assert person.press("repl.st\t") == "repl.status"
    person.press("\r")
    assert person.press("repl.con\t") == "repl.confi"  # config or confirm
    assert person.press("\t") == "\nconfig  confirm  \nmsgin5g> repl.confi"
    person = Person()
    assert person.press("x = len(nod\t") == "x = len(node"
    person.press(")", LEFT, ".n_e\t")
    assert person.prompt.line == "x = len(node.n_ended)"
    for typed in ("nothing.\t", "node.nothing.x\t", "'a'.\t", "xyzzy\t"):
        person = Person()
        assert person.press(typed) == typed[:-1]
    assert Person().press("\t") == "    "


class Thing:
    seen = shown = _hidden = 1


def test_names_that_begin_with_an_underscore_are_for_who_asks_for_them():
    person = Person()
    person.names["thing"] = Thing()
    screen = person.press("thing.\t", "\t")
    assert "shown" in screen and "_hidden" not in screen
    person.press("\x7f" * 9)
    assert person.press("thing._hid\t") == "thing._hidden"


def test_ctrl_d_ends_the_node_only_where_nothing_is_typed():
    person = Person()
    person.press("x\x04\r", "for i in []:\r\x04", "\r")
    assert person.names["node"].n_ended == 0
    ended = False
    try:
        person.press("\x04")
    except SystemExit:
        ended = True
    assert ended and person.names["node"].n_ended == 1


def test_keys_without_a_meaning_do_nothing():
    person = Person()
    assert person.press("\x1bP", "\x1b15~", "\x00", "\x01", "\x7f", LEFT, RIGHT, HOME, END) in (
        "",
        "\r\x1b[Kmsgin5g> " * 2,  # Home and End show the line again
    )
