"""Where the grammar file is, and the parser that lark makes of it (built once, then cached)."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import lark
import platformdirs
from lark import Lark, Token

from lossdsl.syntax.build import TreeBuilder

STARTS = ("statement", "expression", "type", "signature", "function_head")


def grammar_path() -> Path:
    """`grammar/lossdsl.lark`: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "grammar" / "lossdsl.lark"
    return installed if installed.exists() else package.parent / "grammar" / "lossdsl.lark"


class _Layout:
    """Tells lark to keep the tokens that only `tokens.split` reads."""

    always_accept = ("NEWLINE", "COMMENT", "SEMICOLON", "UNKNOWN")

    def process(self, stream: Any) -> Any:
        return stream


builder = TreeBuilder()

_TABLES: dict[str, Any] = {
    "parser": "lalr",
    "lexer": "basic",
    "start": list(STARTS),
    "keep_all_tokens": True,
    "maybe_placeholders": True,
}
# What is not part of the tables: set anew on a parser that comes from the cache.
_ATTACHED: dict[str, Any] = {"transformer": builder, "postlex": _Layout()}


@cache
def parser() -> Lark:
    """The LALR parser. Its tables are kept in the user's cache folder, when that is writable."""
    text = grammar_path().read_text(encoding="utf-8")
    file = _cache_file(text)
    stored = None if file is None else _restore(file)
    if stored is not None:
        return stored
    built = Lark(text, **_TABLES, **_ATTACHED)
    if file is not None:
        _store(built, file)
    return built


def _cache_file(text: str) -> Path | None:
    """One file for each grammar and each lark and Python that reads it, so none goes stale."""
    folder = Path(platformdirs.user_cache_dir("lossdsl"))
    if not folder.is_absolute():  # a user without a home
        return None
    made_of = repr((text, _TABLES, lark.__version__, sys.version_info[:2]))
    return folder / f"grammar-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}.bin"


def _restore(file: Path) -> Lark | None:
    """The stored parser, or None where there is none or the file is not what was written."""
    try:
        content = file.read_bytes()
        digest, tables = content[:32], content[32:]
        if hashlib.sha256(tables).digest() != digest:
            return None
        # `Lark.load` cannot take a transformer; lark's own stand-alone parsers load as here.
        return Lark.__new__(Lark)._load(io.BytesIO(tables), **_ATTACHED)
    except Exception:  # a cache never stands between a user and a parser
        return None


def _store(built: Lark, file: Path) -> None:
    """Write under another name, then rename: no process sees half a file."""
    tables = io.BytesIO()
    built.save(tables, exclude_options=tuple(_ATTACHED))
    content = hashlib.sha256(tables.getvalue()).digest() + tables.getvalue()
    temporary = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=file.stem, suffix=".new")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.replace(temporary, file)
    except OSError:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def lex(text: str) -> Iterator[Token]:
    """The tokens of a text. Never fails: what the language does not have is `UNKNOWN`."""
    for token in parser().lex(text):
        yield token if token.type != "NAME" or token.isascii() else _name(token)


def _name(token: Token) -> Token:
    """A name as Python reads it, since inputs are passed as Python keywords: `µ` is `μ`.

    A pattern cannot say what an identifier is: `x²` has only word characters.
    """
    for index, character in enumerate(token):
        if not (("_" if index else "") + character).isidentifier():
            start = (token.start_pos or 0) + index
            return Token("UNKNOWN", character, start_pos=start, end_pos=start + 1)
    return token.update(value=unicodedata.normalize("NFKC", token))
