"""The changes that are tried: those of cosmic-ray that a person could make, and some of ours.

cosmic-ray replaces each operator by each other one; most of these changes crash at once and show
nothing. Here each operator has one or two neighbours: `<` becomes `<=` or `>=`, `+` becomes `-`.
"""

import ast

import parso
from cosmic_ray.operators.number_replacer import NumberReplacer
from cosmic_ray.operators.operator import Example, Operator
from cosmic_ray.operators.provider import OperatorProvider

_BINARY = """
    Add_Sub Sub_Add Mul_FloorDiv FloorDiv_Mul Mod_FloorDiv Div_Mul
    LShift_RShift RShift_LShift BitAnd_BitOr BitOr_BitAnd BitXor_BitOr
"""
_COMPARISON = """
    Eq_NotEq NotEq_Eq Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Is_IsNot IsNot_Is
"""
_OTHERS = """
    ReplaceUnaryOperator_USub_UAdd ReplaceUnaryOperator_Delete_Not
    AddNot ReplaceTrueWithFalse ReplaceFalseWithTrue ReplaceAndWithOr ReplaceOrWithAnd
    ReplaceBreakWithContinue ReplaceContinueWithBreak
    RemoveDecorator ZeroIterationForLoop
"""
_LONG = 60
_AUGMENTED = {
    "+=": "-=", "-=": "+=", "|=": "&=", "&=": "|=", "*=": "//=", "//=": "*=", "^=": "|=",
    "<<=": ">>=", ">>=": "<<=", "%=": "//=",
}  # fmt: skip


def _text(node):
    return node.get_code(include_prefix=False)


def _put(text, prefix):
    """A node with this text, behind the blanks and comments that stood before the old one."""
    made = parso.parse(text).children[0]
    made.get_first_leaf().prefix = prefix
    return made


class ChangeNumber(NumberReplacer):
    """One more and one less; a constant that is a time, twice and half of it."""

    def mutate(self, node, index):
        statement = node.search_ancestor("expr_stmt")
        name = _text(statement.children[0]) if statement else ""
        number = ast.literal_eval(node.value)
        if name.isupper() and name.endswith(("_MS", "_S")) and number > _LONG:
            text = str(number // 2 if index else number * 2)
        else:
            text = super().mutate(node, index).value.strip()
        return parso.python.tree.Number(text, node.start_pos, node.prefix)

    @classmethod
    def examples(cls):
        return (
            Example("x[1]", "x[2]"),
            Example("x = 1", "x = 0", occurrence=1),
            Example("_WAIT_MS = const(400)", "_WAIT_MS = const(800)"),
            Example("_WAIT_MS = const(0x190)", "_WAIT_MS = const(200)", occurrence=1),
            Example("_WAIT_S = 90.5", "_WAIT_S = 181.0"),
            Example("_WAIT_S = 60.0", "_WAIT_S = 61.0"),
            Example("_MAX_SIZE = const(400)", "_MAX_SIZE = const(401)"),
        )


class RemoveStatement(Operator):
    """A call whose result nobody takes, an assignment to an attribute or item, or a raise."""

    def mutation_positions(self, node):
        if node.type == "simple_stmt" and self._may_go(node.children[0]):
            yield node.start_pos, node.children[0].end_pos

    def mutate(self, node, index):
        prefix = node.children[0].get_first_leaf().prefix
        node.children[0] = _put("pass", prefix)
        return node

    @staticmethod
    def _may_go(node):
        if node.type == "expr_stmt":  # removing a local name would be a NameError
            if node.children[0].type in ("atom_expr", "power"):
                return True
            return _text(node.children[1]) in _AUGMENTED
        if node.type in ("atom_expr", "power"):
            return _text(node.children[-1]).endswith(")")
        return node.type in ("raise_stmt", "del_stmt")

    @classmethod
    def examples(cls):
        return (
            Example("f(1)\n", "pass\n"),
            Example("self.x = 1\n", "pass\n"),
            Example("x += 1\n", "pass\n"),
            Example("raise E\n", "pass\n"),
        )


class DropOperand(Operator):
    """One part of an `and` or `or`."""

    def mutation_positions(self, node):
        if node.type in ("and_test", "or_test"):
            for part in node.children[::2]:
                yield part.start_pos, part.end_pos

    def mutate(self, node, index):
        prefix = node.get_first_leaf().prefix
        if index:
            del node.children[2 * index - 1 : 2 * index + 1]
        else:
            del node.children[:2]
        node.get_first_leaf().prefix = prefix
        return node

    @classmethod
    def examples(cls):
        return (
            Example("x = a and b", "x = b"),
            Example("x = a and b", "x = a", occurrence=1),
            Example("x = a or b or c", "x = a or c", occurrence=1),
        )


class CatchNothing(Operator):
    """One of the exceptions that an `except` catches: it has one that nobody raises instead."""

    def mutation_positions(self, node):
        if node.type == "except_clause":
            for caught in self._caught(node)[0]:
                yield caught.start_pos, caught.end_pos

    def mutate(self, node, index):
        caught, parent, step = self._caught(node)
        made = parso.python.tree.Name("GeneratorExit", caught[index].start_pos)
        made.prefix = caught[index].get_first_leaf().prefix
        parent.children[1 if step is None else step * index] = made
        return node

    @staticmethod
    def _caught(node):
        """([node of an exception], their parent, the distance of two there or None)."""
        what = node.children[1]
        if what.type == "atom" and _text(what).startswith("("):
            inside = what.children[1]
            if inside.type == "testlist_comp":
                return inside.children[::2], inside, 2
            return [inside], what, None
        return [what], node, None

    @classmethod
    def examples(cls):
        code = "try:\n    f()\nexcept {}:\n    pass\n"
        return (
            Example(code.format("A"), code.format("GeneratorExit")),
            Example(code.format("a.B as b"), code.format("GeneratorExit as b")),
            Example(code.format("(A, b.C)"), code.format("(A, GeneratorExit)"), occurrence=1),
        )


class SwapAugmented(Operator):
    """`+=` and `-=`, and others like them."""

    def mutation_positions(self, node):
        if node.type == "operator" and node.value in _AUGMENTED:
            yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        node.value = _AUGMENTED[node.value]
        return node

    @classmethod
    def examples(cls):
        return (Example("x += 1", "x -= 1"), Example("x |= 1", "x &= 1"))


class SwapMembership(Operator):
    """`in` and `not in`."""

    def mutation_positions(self, node):
        if node.type == "comparison":
            for part in node.children[1::2]:
                if _text(part) in ("in", "not in"):
                    yield part.start_pos, part.end_pos

    def mutate(self, node, index):
        places = [i for i, c in enumerate(node.children) if i % 2 and _text(c) in ("in", "not in")]
        old = node.children[places[index]]
        text = "not in" if _text(old) == "in" else "in"
        node.children[places[index]] = parso.python.tree.Keyword(
            text, old.start_pos, old.get_first_leaf().prefix
        )
        return node

    @classmethod
    def examples(cls):
        return (
            Example("a in b", "a not in b"),
            Example("a not in b", "a in b"),
        )


class SwapBound(Operator):
    """`min(` and `max(`."""

    def mutation_positions(self, node):
        if node.type == "name" and node.value in ("min", "max"):
            after = node.get_next_leaf()
            if after is not None and after.value == "(" and node.get_previous_leaf() != ".":
                yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        node.value = "max" if node.value == "min" else "min"
        return node

    @classmethod
    def examples(cls):
        return (Example("x = min(a, 1)", "x = max(a, 1)"),)


OURS = (
    ChangeNumber, RemoveStatement, DropOperand, CatchNothing, SwapAugmented, SwapMembership,
    SwapBound,
)  # fmt: skip


def operators():
    """{name: operator}, always in the same order."""
    theirs = OperatorProvider()
    names = [f"ReplaceBinaryOperator_{pair}" for pair in _BINARY.split()]
    names += [f"ReplaceComparisonOperator_{pair}" for pair in _COMPARISON.split()]
    made = {name: theirs[name]() for name in names + _OTHERS.split()}
    made.update((operator.__name__, operator()) for operator in OURS)
    return made
