"""Random trees of the language: all that the parser can give, and nothing else."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from make import NOWHERE, REST, name

from lossdsl.syntax import tree

LAWS = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=250,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""How laws are tried: the same examples on every run, on any machine."""

_JOINING = ["and", "or", "if", "else", "as", "for", "in"]
_STARTING = ["input", "param", "def"]
_LITERAL = ["true", "false", "none", "not"]
_TYPE_WORDS = ["list", "module", "frozen"]
_CAPITALS = ["True", "False", "None"]
_PLAIN = ["p", "y", "x1", "_", "w_tv", "σ", "損", "e5", "loss", "sum"]

_random_words = st.from_regex(r"[a-zA-Z_][a-zA-Z_0-9]{0,4}", fullmatch=True)


def words(*without: str) -> st.SearchStrategy[str]:
    """Names: plain ones twice as often as random ones and as words that are keywords elsewhere."""
    special = [*_JOINING, *_STARTING, *_LITERAL, *_TYPE_WORDS]
    mixed = st.one_of(
        st.sampled_from(_PLAIN), st.sampled_from(_PLAIN), st.sampled_from(special), _random_words
    )
    return mixed.filter(lambda word: word not in without and word not in _CAPITALS)


any_word = words()
operand_word = words(*_LITERAL)
declared_word = words(*_LITERAL, *_JOINING)
kind_word = words(*_TYPE_WORDS)


def build(node: Any, *parts: Any) -> st.SearchStrategy[Any]:
    """Nodes of one class, from a strategy for each field but the place."""
    return st.builds(lambda *fields: node(*fields, NOWHERE), *parts)


def several(part: Any, least: int = 0, most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(part, min_size=least, max_size=most).map(tuple)


names = operand_word.map(name)
whole_numbers = st.integers(0, 10**12)
numbers = st.one_of(
    st.integers(0, 300),
    whole_numbers,
    st.sampled_from([0.0, 0.5, 0.001, 1e-5, 1e6, 1e16, 1e300, 2.5e-8, 0.1, 1000.0]),
    st.floats(0.0, allow_infinity=False, allow_nan=False),
)
# A carriage return cannot stand in a string.
texts = st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), max_size=6)


# --- expressions ------------------------------------------------------------------------------

_leaves = st.one_of(
    names,
    names,
    build(tree.Number, numbers),
    build(tree.Text, texts),
    build(tree.Truth, st.booleans()),
    build(tree.Nothing),
    st.just(tree.ListOf((), NOWHERE)),
)


def _chain(node: Any, part: Any, operators: str) -> st.SearchStrategy[Any]:
    """Two to four operands and an operator between each two."""
    tails = st.lists(st.tuples(st.sampled_from(operators), part), min_size=1, max_size=3)

    def join(first: Any, rest: list[tuple[str, Any]]) -> Any:
        signs = tuple(sign for sign, _ in rest)
        operands = (first, *(operand for _, operand in rest))
        return node(operands, ("+", *signs) if node is tree.Sum else signs, NOWHERE)

    return st.builds(join, part, tails)


def _forms(part: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Every form of an expression around smaller ones."""
    keywords = several(build(tree.Keyword, names, part), most=2)
    callees = st.one_of(
        names,
        st.builds(
            lambda first, rest: name(".".join([first, *rest])),
            operand_word,
            st.lists(any_word, min_size=1, max_size=2),
        ),
    )
    loops = build(tree.Comprehension, part, several(names, 1), part)
    slices = build(tree.Slice, *[st.none() | part] * 3)
    items = several(st.one_of(part, part, slices, st.just(REST)), 1)
    return st.one_of(
        build(tree.ListOf, several(part)),
        _chain(tree.Sum, part, "+-"),
        _chain(tree.Product, part, "*/@"),
        build(tree.Power, part, part),
        build(tree.Unary, st.sampled_from(["-", "+", "not"]), part),
        build(tree.Comparison, part, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), part),
        build(tree.Logical, st.sampled_from(["and", "or"]), several(part, 2)),
        build(tree.Conditional, part, part, part),
        build(tree.Named, part, names),
        build(tree.Call, callees, several(part), keywords),
        build(tree.Call, callees, loops.map(lambda loop: (loop,)), st.just(())),
        build(tree.Index, part, items),
        build(tree.Field, part, any_word.map(name)),
    )


def expressions() -> st.SearchStrategy[Any]:
    return st.recursive(_leaves, _forms, max_leaves=25)


# --- types ------------------------------------------------------------------------------------

_rests = build(tree.DimRest, any_word)
_sizes = st.recursive(
    build(tree.DimNumber, whole_numbers) | build(tree.DimName, any_word),
    lambda part: build(tree.DimArithmetic, part, st.sampled_from(["+", "-", "*", "//"]), part),
    max_leaves=5,
)
_kind_arguments = st.one_of(
    build(tree.KindArgument, st.none(), any_word),
    build(
        tree.KindArgument,
        st.none() | any_word.map(name),
        numbers | numbers.map(lambda number: -number),
    ),
)
_kinds = build(
    tree.KindType,
    several(kind_word.map(name), 1, 2),
    several(_kind_arguments, most=2),
    st.none() | several(st.one_of(_sizes, _sizes, _rests), most=4),
)


def types() -> st.SearchStrategy[Any]:
    return st.recursive(
        _kinds,
        lambda part: st.one_of(
            build(tree.ListType, part, st.none() | st.integers(0, 1000)),
            build(tree.RecordType, several(build(tree.RecordField, any_word.map(name), part), 1)),
            build(tree.ModuleType, several(part), part, st.booleans()),
        ),
        max_leaves=8,
    )


# --- programs ---------------------------------------------------------------------------------

_parameters = several(
    build(tree.FunctionParameter, names, st.none() | st.recursive(_leaves, _forms, max_leaves=3))
)


def heads() -> st.SearchStrategy[Any]:
    return st.tuples(names, _parameters)


def statements() -> st.SearchStrategy[Any]:
    declared = declared_word.map(name)
    return st.one_of(
        build(tree.Input, declared, types(), st.booleans()),
        build(tree.Param, declared, expressions()),
        build(tree.Function, declared, _parameters, expressions()),
        build(tree.Binding, names, expressions()),
    )


def programs() -> st.SearchStrategy[Any]:
    return st.builds(
        lambda above, result: tree.Program(above, result, span=NOWHERE),
        several(statements(), most=4),
        expressions(),
    )
