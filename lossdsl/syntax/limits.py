"""How large a text may be. One table; each limit has its own message.

The numbers leave room for a generated loss of ten thousand terms and stop a hostile one while it
is still cheap: nothing is parsed before its tokens are counted.
"""

from __future__ import annotations

CHARACTERS = 2_000_000
TOKENS = 150_000
BRACKETS = 100
DEPTH = 120
DIGITS = 40
NODES = 400_000
YAML_NODES = 100_000
YAML_DEPTH = 40
FILES = 64

_WHAT = {
    "CHARACTERS": "characters in one text",
    "TOKENS": "words and signs in one text",
    "BRACKETS": "brackets inside one another",
    "DEPTH": "expressions inside one another",
    "DIGITS": "digits in one number",
    "NODES": "operations in one loss after functions and comprehensions are written out",
    "YAML_NODES": "values in one file, aliases written out",
    "YAML_DEPTH": "levels of nesting in one file",
    "FILES": "files brought in with `use`",
}


def message(name: str) -> str:
    """What to say when the limit `name` is passed."""
    return f"more than {globals()[name]:,} {_WHAT[name]}"
