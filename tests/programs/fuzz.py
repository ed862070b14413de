"""Random bytes, programs and loss files, made from the tables: nothing but diagnostics may come.

    python tests/programs/fuzz.py MINUTES SEED

Each input is checked as a program, as YAML in memory and as a file of bytes. What raises, takes
longer than a second, or is told without a place in its text is printed, ready for `found.yaml`.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from tables import legal, wrong

import lossdsl

SLOW = 1.0
PIECES = (
    "()[]{}.,;:=*/+-<>!|&^%@#'\"`~?\\ \n\t\r",
    "\x00\x07\x1b\x85\xa0\u200b\u2028\ufeff\ud7ff\U0001f600é中",
)
WORDS = (
    "input", "param", "def", "as", "for", "in", "and", "or", "not", "where", "none", "true",
    "list[", "module(", "learnable(", "1e999", "9**9**9", "-0", "0x1f", "1_000", "...", "::",
    "!!python/object", "&a", "*a", "<<:", "? ", "- ", "|-", ">+", "---", "%YAML", "\t",
)  # fmt: skip

Change = Callable[[random.Random, str], str]


def corpus() -> list[str]:
    return [entry.values[0].text for entry in (*legal(), *wrong())]


def _somewhere(choose: random.Random, text: str) -> int:
    return choose.randint(0, len(text))


def insert(choose: random.Random, text: str) -> str:
    at = _somewhere(choose, text)
    piece = choose.choice((choose.choice(choose.choice(PIECES)), choose.choice(WORDS)))
    return text[:at] + piece + text[at:]


def remove(choose: random.Random, text: str) -> str:
    at = _somewhere(choose, text)
    return text[:at] + text[at + choose.randint(1, 6) :]


def repeat(choose: random.Random, text: str) -> str:
    at, size = _somewhere(choose, text), choose.randint(1, 20)
    return text[:at] + text[at : at + size] * choose.choice((2, 3, 50)) + text[at + size :]


def swap(choose: random.Random, text: str) -> str:
    a, b = sorted((_somewhere(choose, text), _somewhere(choose, text)))
    c = _somewhere(choose, text[b:]) + b
    return text[:a] + text[b:c] + text[a:b] + text[c:]


def number(choose: random.Random, text: str) -> str:
    at = _somewhere(choose, text)
    value = choose.choice(("0", "-1", "1e308", "1e-320", "99999999999999999999", ".5", "1.", "1e"))
    return text[:at] + value + text[at:]


def spliced(choose: random.Random, text: str, texts: list[str]) -> str:
    other = choose.choice(texts)
    return text[: _somewhere(choose, text)] + other[_somewhere(choose, other) :]


CHANGES: tuple[Change, ...] = (insert, insert, remove, remove, repeat, swap, number)


def inputs(choose: random.Random, texts: list[str]) -> Iterator[str | bytes]:
    while True:
        text = choose.choice(texts)
        if choose.random() < 0.2:
            text = spliced(choose, text, texts)
        for _ in range(choose.choice((1, 1, 2, 3, 8))):
            text = choose.choice(CHANGES)(choose, text)
        yield text
        data = bytearray(text.encode("utf-8", "surrogatepass"))
        for _ in range(choose.randint(0, 4)):
            data.insert(choose.randint(0, len(data)), choose.randint(0, 255))
        yield bytes(data)


def problem(given: str | bytes, folder: Path) -> str | None:
    """What is wrong with the answer, if anything is."""
    for read in (_program, _yaml) if isinstance(given, str) else (_file,):
        started = time.process_time()
        try:
            report = read(given, folder)
        except Exception:
            return traceback.format_exc(limit=-4)
        if time.process_time() - started > SLOW:
            return f"{read.__name__}: {time.process_time() - started:.1f} s"
        for found in report.diagnostics:
            if not 0 <= found.span.start <= found.span.end <= len(found.span.source.text):
                return f"{found.code} stands nowhere: {found.span.start}–{found.span.end}"
    return None


def _program(given: str | bytes, folder: Path) -> lossdsl.CheckReport:
    assert isinstance(given, str)
    return lossdsl.check(given if "\n" in given else f"{given}\n")


def _yaml(given: str | bytes, folder: Path) -> lossdsl.CheckReport:
    assert isinstance(given, str)
    return lossdsl.check(given, format="yaml")


def _file(given: str | bytes, folder: Path) -> lossdsl.CheckReport:
    assert isinstance(given, bytes)
    file = folder / "loss.yaml"
    file.write_bytes(given)
    return lossdsl.check(file)


def main() -> None:
    minutes, seed = float(sys.argv[1]), int(sys.argv[2])
    lossdsl.check("mse(p, y)")  # what is imported at first use does not count as slow
    choose, ends, count = random.Random(seed), time.time() + 60 * minutes, 0
    with tempfile.TemporaryDirectory() as folder:
        for given in inputs(choose, corpus()):
            if time.time() > ends:
                break
            count += 1
            told = problem(given, Path(folder))
            if told is not None:
                print(repr(given), told, sep="\n", end="\n\n", flush=True)
    print(f"{count} inputs in {minutes:g} minutes")


if __name__ == "__main__":
    main()
