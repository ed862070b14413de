"""Legal programs, each broken in a random way, and what has to hold for what comes out.

A mutant is either refused with diagnostics that lie inside its text, or it is a loss that runs.
For many of them: `python tests/programs/mutate.py SEED COUNT`.
"""

from __future__ import annotations

import random
import re
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import tables
import trials

import lossdsl
from lossdsl.diagnostics.diagnostic import Diagnostic
from lossdsl.functions.record import functions
from lossdsl.library import registry
from lossdsl.types.kinds import KINDS

_TOKEN = re.compile(r"\s+|#[^\r\n]*|'[^'\n]*'|\"[^\"\n]*\"|\w[\w.]*|\*\*|[<>=!]=|->|\.\.\.|.", re.S)
_NAME = re.compile(r"[^\W\d]\w*")
_NUMBER = re.compile(r"\d")
_SIZES = ("B", "C", "H", "W", "D", "N", "T", "1", "2", "3", "4", "_", "*S", "...", "2*H", "H//2")
_NUMBERS = ("0", "1", "2", "-1", "0.5", "1.5", "1e-3", "10", "true", "none", "'mean'", "[1, 2]")
_KEYWORDS = ("over=1", "mask=m", "weight=2", "reduction='none'", "reduction='batch'", "per=2")


@dataclass(frozen=True)
class Finding:
    """A mutant that was neither refused in order nor ran."""

    what: str
    text: str
    form: str

    def __str__(self) -> str:
        return f"{self.what}\n    {self.form}: {self.text!r}"


# --- ways of breaking a program ---------------------------------------------------------------


def mutant(text: str, pool: list[str], chance: random.Random) -> str:
    """The text with one to three changes."""
    tokens = _TOKEN.findall(text)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        change = chance.choice(_CHANGES)
        tokens = _TOKEN.findall("".join(change(tokens, pool, chance)))
    return "".join(tokens)


def _places(tokens: list[str], test: Callable[[str], object]) -> list[int]:
    return [at for at, token in enumerate(tokens) if test(token)]


def _words(tokens: list[str]) -> list[int]:
    return _places(tokens, lambda token: not token.isspace() and not token.startswith("#"))


def _drop(tokens: list[str], pool: list[str], chance: random.Random) -> list[str]:
    at = chance.choice(_words(tokens) or [0])
    return tokens[:at] + tokens[at + 1 :]


def _double(tokens: list[str], pool: list[str], chance: random.Random) -> list[str]:
    at = chance.choice(_words(tokens) or [0])
    return tokens[: at + 1] + tokens[at : at + 1] + tokens[at + 1 :]


def _exchange(tokens: list[str], one: int, other: int) -> list[str]:
    changed = list(tokens)
    changed[one], changed[other] = changed[other], changed[one]
    return changed


def _swap(tokens: list[str], pool: list[str], chance: random.Random) -> list[str]:
    """Two neighbours."""
    words = _words(tokens)
    if len(words) < 2:
        return tokens
    first = chance.randrange(len(words) - 1)
    return _exchange(tokens, words[first], words[first + 1])


def _swap_names(tokens: list[str], pool: list[str], chance: random.Random) -> list[str]:
    names = _places(tokens, _NAME.fullmatch)
    return _exchange(tokens, *chance.sample(names, 2)) if len(names) > 1 else tokens


def _misspell(tokens: list[str], pool: list[str], chance: random.Random) -> list[str]:
    names = _places(tokens, _NAME.fullmatch)
    if not names:
        return tokens
    at = chance.choice(names)
    word = tokens[at]
    letter = chance.randrange(len(word))
    spelt = chance.choice(
        (word[:letter] + word[letter + 1 :], word[:letter] + word[letter] * 2 + word[letter + 1 :])
    )
    return [*tokens[:at], spelt, *tokens[at + 1 :]]


def _rename(tokens: list[str], pool: list[str], chance: random.Random) -> list[str]:
    """Another name in a name's place: of the same text, or one that the language knows."""
    names = _places(tokens, _NAME.fullmatch)
    if not names:
        return tokens
    at = chance.choice(names)
    known = chance.choice((_CALLABLE, tuple(KINDS), tuple(tokens[i] for i in names)))
    return [*tokens[:at], chance.choice(known), *tokens[at + 1 :]]


def _call_another(tokens: list[str], pool: list[str], chance: random.Random) -> list[str]:
    """Another loss or function with the same arguments."""
    calls = [at for at in range(len(tokens) - 1) if tokens[at] in _CALLED and tokens[at + 1] == "("]
    if not calls:
        return tokens
    at = chance.choice(calls)
    return [*tokens[:at], chance.choice(_CALLABLE), *tokens[at + 1 :]]


def _number(tokens: list[str], pool: list[str], chance: random.Random) -> list[str]:
    numbers = _places(tokens, _NUMBER.match)
    if not numbers:
        return tokens
    at = chance.choice(numbers)
    return [*tokens[:at], chance.choice(_NUMBERS), *tokens[at + 1 :]]


def _swap_arguments(tokens: list[str], pool: list[str], chance: random.Random) -> list[str]:
    commas = _places(tokens, lambda token: token == ",")
    if not commas:
        return tokens
    at = chance.choice(commas)
    start, end = _group(tokens, at, -1), _group(tokens, at, 1)
    return [
        *tokens[: start + 1],
        *tokens[at + 1 : end],
        ",",
        *tokens[start + 1 : at],
        *tokens[end:],
    ]


def _drop_argument(tokens: list[str], pool: list[str], chance: random.Random) -> list[str]:
    commas = _places(tokens, lambda token: token == ",")
    if not commas:
        return tokens
    at = chance.choice(commas)
    return tokens[:at] + tokens[_group(tokens, at, 1) :]


def _add_argument(tokens: list[str], pool: list[str], chance: random.Random) -> list[str]:
    ends = _places(tokens, lambda token: token == ")")
    if not ends:
        return tokens
    at = chance.choice(ends)
    names = [tokens[i] for i in _places(tokens, _NAME.fullmatch)] or ["x"]
    added = chance.choice((*_KEYWORDS, chance.choice(names), chance.choice(_NUMBERS)))
    return [*tokens[:at], ", ", added, *tokens[at:]]


def _group(tokens: list[str], at: int, step: int) -> int:
    """The comma or bracket that ends the argument beside the comma at `at`."""
    opens, closes = ("(", "[", "{"), (")", "]", "}")
    deep, now = 0, at + step
    while 0 <= now < len(tokens):
        token = tokens[now]
        if token in (opens if step > 0 else closes):
            deep += 1
        elif token in (closes if step > 0 else opens):
            if not deep:
                break
            deep -= 1
        elif token == "," and not deep:
            break
        now += step
    return max(0, min(now, len(tokens)))


def _kind(tokens: list[str], pool: list[str], chance: random.Random) -> list[str]:
    kinds = _places(tokens, lambda token: token in KINDS)
    if not kinds:
        return tokens
    at = chance.choice(kinds)
    return [*tokens[:at], chance.choice(tuple(KINDS)), *tokens[at + 1 :]]


def _size(tokens: list[str], pool: list[str], chance: random.Random) -> list[str]:
    """Another size, one more or one fewer in the type of an input."""
    sizes = [
        at
        for at in _places(tokens, lambda token: re.fullmatch(r"[A-Z]\w?|\d", token))
        if at and "".join(tokens[:at]).rstrip().endswith(("[", ","))
    ]
    if not sizes:
        return tokens
    at = chance.choice(sizes)
    size = chance.choice(_SIZES)
    changed = chance.choice(([size], [tokens[at], ", ", size], []))
    return [*tokens[:at], *changed, *tokens[at + 1 :]]


def _drop_line(tokens: list[str], pool: list[str], chance: random.Random) -> list[str]:
    lines = "".join(tokens).splitlines(keepends=True)
    if len(lines) < 2:
        return tokens
    del lines[chance.randrange(len(lines))]
    return lines


def _move_line(tokens: list[str], pool: list[str], chance: random.Random) -> list[str]:
    lines = "".join(tokens).splitlines(keepends=True)
    chance.shuffle(lines)
    return lines


def _expressions(tokens: list[str]) -> list[tuple[int, int]]:
    """Calls and names: what can stand in for one another."""
    found = []
    for at in _places(tokens, _NAME.fullmatch):
        end = at + 1
        if tokens[end : end + 1] == ["("]:
            end += 1
            while end < len(tokens) and tokens[end] != ")":
                end = _group(tokens, end, 1)
            end += 1
        found.append((at, min(end, len(tokens))))
    return found


def _transplant(tokens: list[str], pool: list[str], chance: random.Random) -> list[str]:
    """An expression of this text, or of another, in the place of one."""
    places = _expressions(tokens)
    if not places:
        return tokens
    start, end = chance.choice(places)
    donor = tokens if chance.random() < 0.7 else _TOKEN.findall(chance.choice(pool))
    given = _expressions(donor)
    if not given:
        return tokens
    first, last = chance.choice(given)
    return [*tokens[:start], *donor[first:last], *tokens[end:]]


def _wrap(tokens: list[str], pool: list[str], chance: random.Random) -> list[str]:
    """A function around an expression, an index or an operator behind it."""
    places = _expressions(tokens)
    if not places:
        return tokens
    start, end = chance.choice(places)
    inner = "".join(tokens[start:end])
    wrapped = chance.choice(
        (
            f"{chance.choice(_CALLABLE)}({inner})",
            f"{inner}[{chance.choice((':, 0', '0', '..., 1:', ':, none', '::2', '-1'))}]",
            f"({inner} {chance.choice(('+', '-', '*', '/', '@', '**', '>', '=='))} {inner})",
            f"mean({inner}, over={chance.choice(('0', '[1]', '-1', '[C]', '[H, W]'))})",
        )
    )
    return [*tokens[:start], wrapped, *tokens[end:]]


_CALLED = frozenset({*registry.names(), *functions()})
_CALLABLE = tuple(sorted(name for name in _CALLED if name.isidentifier()))
_CHANGES = (
    _drop,
    _double,
    _swap,
    _swap_names,
    _misspell,
    _rename,
    _call_another,
    _call_another,
    _number,
    _swap_arguments,
    _drop_argument,
    _add_argument,
    _kind,
    _kind,
    _size,
    _size,
    _drop_line,
    _move_line,
    _transplant,
    _transplant,
    _wrap,
)


# --- what has to hold -------------------------------------------------------------------------


def judge(entry: tables.Legal, text: str) -> tuple[str, Finding | None]:
    """What became of a mutant: `refused`, `unfit` (no example fits) or `ran`; else a finding."""

    def wrong(what: str) -> tuple[str, Finding]:
        return "wrong", Finding(what, text, entry.form)

    try:
        report = lossdsl.check(text, format=entry.form, modules=entry.modules)
    except Exception as error:
        return wrong(f"check raises {_said(error)}")
    problem = _misplaced(report.diagnostics, text)
    if problem is not None:
        return wrong(problem)
    if not report.ok:
        return "refused", None
    try:
        losses = trials.make(text, entry.form, entry.modules)
    except lossdsl.LossError as error:
        if {d.code for d in error.diagnostics} <= _CODES_OF_MODULES:
            return "refused", None
        return wrong(f"check accepts what compile refuses: {_said(error)}")
    except Exception as error:
        return wrong(f"compile raises {_said(error)}")
    for loss in losses:
        try:
            trials.run(loss)
        except trials.NoExample:
            return "unfit", None
        except lossdsl.LossInputError as error:
            if not all(one.message.strip() for one in error.diagnostics):
                return wrong(f"a refusal without words: {_said(error)}")
            return "unfit", None
        except Exception as error:
            if _of_a_network(error):
                return "unfit", None
            return wrong(f"the call raises {_said(error)}")
    return "ran", None


_CODES_OF_MODULES = {"E510"}


def _misplaced(diagnostics: Iterable[Diagnostic], text: str) -> str | None:
    text = text.removeprefix("\ufeff")
    for one in diagnostics:
        for span in (one.span, *(label.span for label in one.labels)):
            if span.source.text != text:
                return f"a diagnostic in another text: {one.code} {one.message}"
            if not 0 <= span.start <= span.end <= len(text):
                return f"a place outside the text: {one.code} {one.message}"
        if not one.message.strip():
            return f"a diagnostic without words: {one.code}"
    return None


def _of_a_network(error: Exception) -> bool:
    """Whether the user's own network raised it, or was called with the wrong arguments."""
    frames = traceback.extract_tb(error.__traceback__)
    own = any(frame.filename == trials.__file__ and frame.name == "forward" for frame in frames)
    return own or ".forward()" in str(error)


def _said(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:160]}"


def mutants(seed: int, count: int) -> Iterator[tuple[tables.Legal, str]]:
    """A number of mutants, the same for the same seed."""
    chance = random.Random(seed)
    entries = [entry for entry in tables.legal_texts() if entry.xfail is None]
    pool = [entry.text for entry in entries if entry.form == "program"]
    for _ in range(count):
        entry = chance.choice(entries)
        yield entry, mutant(entry.text, pool, chance)


def main(seed: int, count: int) -> int:
    """Try many mutants and print what is found, each kind of finding once."""
    warnings.simplefilter("ignore")
    tally: Counter[str] = Counter()
    kinds: dict[str, list[Finding]] = {}
    for entry, text in mutants(seed, count):
        outcome, finding = judge(entry, text)
        tally[outcome] += 1
        if finding is not None:
            kinds.setdefault(re.sub(r"\d+|`[^`]*`", "…", finding.what), []).append(finding)
    for what, found in sorted(kinds.items(), key=lambda item: -len(item[1])):
        print(f"{len(found)} times {what}")
        for finding in sorted(found, key=lambda one: len(one.text))[:3]:
            print(f"  {finding}")
    print(", ".join(f"{number} {outcome}" for outcome, number in tally.most_common()))
    return 1 if kinds else 0


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]), int(sys.argv[2])))
