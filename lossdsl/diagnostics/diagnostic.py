"""What a user is told, as data. Rendering lives next door."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lossdsl.diagnostics.codes import CODES, Severity
from lossdsl.source import Span


@dataclass(frozen=True, slots=True)
class Label:
    """Another place that matters, with what it has to do with the problem."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A text to stand in a place; the place may be empty. `safe` says that it can be put there
    unseen: it means what the user meant, and nothing else."""

    span: Span
    text: str
    safe: bool


@dataclass(frozen=True, slots=True)
class Advice:
    """A help line, and the text that it would put where the problem is."""

    text: str
    replacement: str | None = None
    safe: bool = True

    def __str__(self) -> str:
        return self.text

    def fix(self, span: Span) -> Fix | None:
        """What to do in that place."""
        return None if self.replacement is None else Fix(span, self.replacement, self.safe)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem: a stable code, a message that stands alone, and the smallest place at fault.

    `help` is the way out, `notes` are facts that explain. `level` is what the user made of a
    warning; else the code says how bad it is.
    """

    code: str
    message: str
    span: Span
    labels: tuple[Label, ...] = ()
    help: str | None = None
    notes: tuple[str, ...] = ()
    level: Severity | None = None
    fix: Fix | None = None

    @property
    def severity(self) -> Severity:
        return self.level or CODES[self.code].severity

    @property
    def file(self) -> str:
        return self.span.source.name

    @property
    def line(self) -> int:
        return self.span.line

    @property
    def column(self) -> int:
        return self.span.column

    @property
    def end(self) -> tuple[int, int]:
        """Line and column just behind the place, so that `end` is exclusive."""
        return self.span.stop


@dataclass
class Diagnostics:
    """Collects what the phases find. A phase reports and goes on; the driver raises at the end."""

    items: list[Diagnostic] = field(default_factory=list)
    _seen: set[Diagnostic] = field(default_factory=set)

    def add(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        labels: Iterable[tuple[Span, str]] = (),
        help: str | Advice | None = None,
        fix: Fix | None = None,
    ) -> None:
        labelled = tuple(Label(place, text) for place, text in labels)
        if isinstance(help, Advice):
            fix = fix or help.fix(span)
            help = help.text
        self.take(Diagnostic(code, message, span, labelled, help, fix=fix))

    def take(self, diagnostic: Diagnostic) -> None:
        """Add a diagnostic that was made elsewhere; the same one twice counts once."""
        if diagnostic not in self._seen:
            self._seen.add(diagnostic)
            self.items.append(diagnostic)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.sorted())

    def sorted(self) -> list[Diagnostic]:
        """Errors of the text in reading order, whatever phase found them."""
        return sorted(self.items, key=reading_order)

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return any(d.severity == "error" for d in self.items)

    @property
    def errors(self) -> list[Diagnostic]:
        return [d for d in self.sorted() if d.severity == "error"]

    @property
    def warnings(self) -> list[Diagnostic]:
        return [d for d in self.sorted() if d.severity != "error"]


def reading_order(diagnostic: Diagnostic) -> tuple[str, int, int, str]:
    """What diagnostics are sorted by."""
    span = diagnostic.span
    return diagnostic.file, span.start, span.end, diagnostic.code
