"""Every scalar says what PyYAML says, and knows where each of its characters was written."""

from __future__ import annotations

import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lossdsl.config.yaml_reader import Mapping, Node, Sequence, read_yaml
from lossdsl.config.yaml_scalar import Scalar
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.diagnostics.render import render
from lossdsl.source import Source
from lossdsl.syntax.grammar import lex

# --- expressions in every style: each word is where it was written --------------------------

WORDS = (
    "p",
    "img",
    "w_tv",
    "größe",
    "漢字",
    "0.5",
    "1e-3",
    "2",
    "f(",
    "dice(",
    "x[",
    ")",
    "]",
    "+",
    "-",
    "*",
    "**",
    "==",
    ",",
    "if",
    "else",
    '"sum"',
    "'mean'",
)
# What may stand between two words: spaces, or a break of the line.
GAPS = ("", " ", " ", "   ", "\n", "\n", "\n\n")


@st.composite
def expressions(draw: st.DrawFn) -> list[str]:
    """Words and gaps in turn, beginning and ending with a word."""
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12))
    parts = [words[0]]
    for word in words[1:]:
        parts += [draw(st.sampled_from(GAPS)), word]
    return parts


@st.composite
def files(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A YAML text with an expression at `loss`, and the expression's words."""
    parts = draw(expressions())
    # A plain text that begins with a quote is a quoted one.
    plain = ("plain",) if parts[0][0] not in "'\"" else ()
    style = draw(st.sampled_from((*plain, "'", '"', "|", ">")))
    indent = " " * draw(st.integers(1, 6))
    trail = draw(st.sampled_from(("", "", " ", "  ")))
    text = "".join(part.replace("\n", trail + "\n") for part in parts)
    lines = text.split("\n")
    body = "\n".join([lines[0], *(indent + line if line.strip() else line for line in lines[1:])])
    if style == "plain":
        written = body
    elif style == "'":
        written = "'{}'".format(body.replace("'", "''"))
    elif style == '"':
        written = '"{}"'.format(body.replace('"', '\\"'))
    else:
        chomp = draw(st.sampled_from(("", "-", "+")))
        header = style + draw(st.sampled_from((chomp, f"{len(indent)}{chomp}", f"{chomp} # why")))
        end = draw(st.sampled_from(("\n", "\n\n", "")))
        written = f"{header}\n{indent}{body}{end}"
    before = draw(st.sampled_from(("", "name: x\n", "# é 漢 😀\n", "name: '😀'\n\n")))
    anchor = draw(st.sampled_from(("", "", "&a ")))
    after = "" if style in ("|", ">") and not written.endswith("\n") else "\nlossdsl: 1\n"
    text = f"{before}loss: {anchor}{written}{after}"
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return text, [part for part in parts if part.strip()]


def values(node: Node) -> object:
    match node:
        case Scalar():
            return node.text
        case Sequence(items):
            return [values(item) for item in items]
        case Mapping(entries):
            return {entry.key.text: values(entry.value) for entry in entries}


@settings(max_examples=600, deadline=None)
@given(files())
def test_words_stand_where_they_were_written(case):
    text, words = case
    try:
        expected = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError:
        assume(False)  # some plain texts are no YAML: those that begin with `*` or `,`
    root = read_yaml(Source(text), Diagnostics())
    assert isinstance(root, Mapping)
    assert values(root) == expected
    scalar = next(entry.value for entry in root.entries if entry.key.text == "loss")
    assert isinstance(scalar, Scalar)
    fragment = scalar.expression
    assert len(fragment.text) == len(scalar.text)
    tokens = [token for token in lex(fragment.text) if token.type not in ("NEWLINE", "COMMENT")]
    assert "".join(tokens) == "".join(words)
    reached = 0
    for token in tokens:
        span = fragment.span(token.start_pos, token.end_pos)
        written = span.text.replace("''", "'") if scalar.style == "'" else span.text
        written = written.replace('\\"', '"') if scalar.style == '"' else written
        assert written == token
        assert span.start >= reached
        reached = span.end


# --- any text at all -------------------------------------------------------------------------

PIECES = (
    "a",
    "b",
    " ",
    "  ",
    "\n",
    "\n  ",
    "\n    ",
    "\r\n  ",
    "\r  ",
    "\n\n",
    "'",
    '"',
    "''",
    "\\",
    "\\n",
    "\\x41",
    "\\u0042",
    "\\U0001F600",
    "\\\n  ",
    "\\ ",
    "\t",
    "#",
    " #",
    ":",
    ": ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "- ",
    "? ",
    "|",
    ">",
    "|\n  ",
    ">-\n  ",
    "|2+\n   ",
    "+",
    "1",
    "&x ",
    "*x",
    "!t ",
    "<<: ",
    "---\n",
    "...\n",
    "%",
    "@",
    "é",
    "漢",
    "😀",
    "\x85",
    "\u2028",
    "\ufeff",
    "\x00",
)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=16).map("".join)
STYLES = st.sampled_from(
    ("{}", "k: {}", "k: '{}'", 'k: "{}"', "k: |\n  {}", "k: >\n  {}\n", "[{}]")
)


@settings(max_examples=1500, deadline=None)
@given(STYLES, TEXTS)
def test_any_text_is_read_as_pyyaml_reads_it_or_refused_with_a_place(style, piece):
    text = style.replace("{}", piece)
    found = Diagnostics()
    source = Source(text)
    root = read_yaml(source, found)
    for diagnostic in found:
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(source.text)
        assert render(diagnostic)
    if root is None:
        assert found.errors
    elif not found.items and "<<" not in text:
        assert values(root) == yaml.load(source.text, Loader=yaml.BaseLoader)
        for scalar in scalars(root):
            check_places(scalar)


def scalars(node: Node) -> list[Scalar]:
    match node:
        case Scalar():
            return [node]
        case Sequence(items):
            return [scalar for item in items for scalar in scalars(item)]
        case Mapping(entries):
            both = [part for entry in entries for part in (entry.key, entry.value)]
            return [scalar for part in both for scalar in scalars(part)]


def check_places(scalar: Scalar) -> None:
    """A letter stands at its place as it is, unless it was escaped there."""
    raw = scalar.fragment.source.text
    starts, ends = scalar.fragment.starts or (), scalar.fragment.ends or ()
    assert len(starts) == len(ends) == len(scalar.text)
    assert list(starts) == sorted(starts)
    if scalar.style in ("|", ">") and not scalar.text.strip(" \n\u2028"):
        return  # nothing but blanks: the place of the whole is enough
    for char, start, end in zip(scalar.text, starts, ends, strict=True):
        written = raw[start:end]
        if not char.isspace() and "\\" not in written:
            assert written == (char if char != "'" or scalar.style != "'" else written)
            assert end - start <= 2
