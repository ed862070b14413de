"""`use:`, the functions and params that other files bring in.

A path is relative to the file that names it. Whatever it is called, and wherever a link points,
the file lies in the folder of the file that was opened, or below; `lossdsl:NAME` is a file that
came with the package. A file that several others use is read once.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path

from lossdsl.config import shipped
from lossdsl.config.entries import describe
from lossdsl.config.header import read_header
from lossdsl.config.opening import open_source
from lossdsl.config.sections import SHIPPED_KEYS, USED_KEYS, Parts, check_keys, read_parts
from lossdsl.config.shipped import namespace, shipped_names
from lossdsl.config.yaml_reader import Entry, Mapping, Sequence, read_yaml
from lossdsl.config.yaml_scalar import Scalar
from lossdsl.diagnostics.diagnostic import Diagnostics
from lossdsl.source import Source, Span
from lossdsl.syntax import limits, tree

_SHIPPED = re.compile(r"lossdsl:(.*)", re.S)


@dataclass(frozen=True, slots=True)
class Home:
    """Where a file is: its real path, the folder it may not leave, how a user calls that folder."""

    path: Path
    root: Path
    prefix: str

    @classmethod
    def of(cls, path: Path) -> Home:
        """The home of a file that a user opened: its folder is the root."""
        real = path.resolve()
        return cls(real, real.parent, "" if path.parent == Path() else f"{path.parent.as_posix()}/")

    def beside(self, path: Path) -> Home:
        return Home(path, self.root, self.prefix)

    @property
    def shown(self) -> str:
        return self.prefix + self.path.relative_to(self.root).as_posix()


@dataclass
class UsedFiles:
    """Collects what `use` brings in, for one file that was opened."""

    found: Diagnostics
    params: list[tree.Param] = field(default_factory=list)
    functions: list[tree.Function] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    _done: set[Path] = field(default_factory=set)
    _open: list[Home] = field(default_factory=list)

    def read(self, entry: Entry, home: Home | None) -> None:
        """Bring in the files of one `use:` entry. `home` is None for a text in memory."""
        self._open = [] if home is None else [home]
        self._all(entry, home)

    def _all(self, entry: Entry, home: Home | None) -> None:
        value = entry.value
        if isinstance(value, Scalar) and value.is_null:
            return
        for name in value.items if isinstance(value, Sequence) else (value,):
            if isinstance(name, Scalar) and not name.is_null:
                self._one(name, home)
            else:
                message = f"`use` takes files, not {describe(name)}"
                help = "write `use: [./common.yaml]`"
                self.found.add("E504", message, entry.key.span, help=help)

    def _one(self, name: Scalar, home: Home | None) -> None:
        match = _SHIPPED.fullmatch(name.text)
        target = self._shipped(match[1], name.span) if match else self._beside(name, home)
        if target is None:
            return
        if any(target.path == above.path for above in self._open):
            chain = " → ".join(f"`{above.shown}`" for above in (*self._open, target))
            self.found.add("E507", f"a cycle of files: {chain}", name.span, help="remove one `use`")
            return
        if target.path in self._done:
            return
        if len(self.sources) >= limits.FILES:
            self.found.add("E701", limits.message("FILES"), name.span)
            return
        self._done.add(target.path)
        source = open_source(target.path, target.shown, self.found, name.span)
        if source is not None:
            self.sources.append(source)
            self._open.append(target)
            self._contents(source, target)
            self._open.pop()

    def _shipped(self, name: str, span: Span) -> Home | None:
        there = shipped_names()
        if name in there:
            return Home(shipped.FOLDER / f"{name}.yaml", shipped.FOLDER, shipped.PREFIX)
        close = difflib.get_close_matches(name, there, n=1)
        listed = ", ".join(f"`lossdsl:{other}`" for other in there)
        self.found.add(
            "E506",
            f"no file called `{name}` comes with lossdsl",
            span,
            help=f"did you mean `lossdsl:{close[0]}`?" if close else f"there are: {listed}",
        )
        return None

    def _beside(self, name: Scalar, home: Home | None) -> Home | None:
        if home is None:
            self.found.add(
                "E506",
                "a text that is no file has no folder to find this in",
                name.span,
                help="load the loss file by its path",
            )
            return None
        try:
            real = (home.path.parent / name.text).resolve()
        except (OSError, ValueError, RuntimeError) as error:
            self.found.add("E506", f"this is no path: {error}", name.span)
            return None
        if not real.is_relative_to(home.root):
            self.found.add(
                "E507",
                f"`{name.text}` is outside the folder of the file that was opened",
                name.span,
                help="move it there, or open a file higher up",
            )
            return None
        if real.suffix.lower() not in (".yaml", ".yml"):
            self.found.add(
                "E504",
                "`use` brings in loss files in YAML",
                name.span,
                help="put the functions into a `.yaml` file under `functions:`",
            )
            return None
        return home.beside(real)

    def _contents(self, source: Source, home: Home) -> None:
        root = read_yaml(source, self.found)
        if root is None:
            return
        if not isinstance(root, Mapping):
            message = f"a file with `functions` or `params` is needed, not {describe(root)}"
            self.found.add("E504", message, root.span)
            return
        keys = SHIPPED_KEYS if home.root == shipped.FOLDER else USED_KEYS
        check_keys(root, keys, "in a file that others use", self.found)
        read_header(root, self.found)
        for entry in root.entries:
            if entry.key.text == "use":
                self._all(entry, home)
        allowed = tuple(entry for entry in root.entries if entry.key.text in USED_KEYS)
        parts = read_parts(Mapping(allowed, root.in_flow, root.span), self.found)
        space = namespace(root) if keys is SHIPPED_KEYS else None
        self.params += parts.params
        self.functions += (_within(space, function) for function in parts.functions)


def _within(space: str | None, function: tree.Function) -> tree.Function:
    """A function of a dialect, which has the library's name in front."""
    if space is None:
        return function
    name = tree.Name(f"{space}.{function.name.id}", function.name.span)
    return dataclasses.replace(function, name=name)


def check_clashes(levels: list[Parts], found: Diagnostics) -> None:
    """No two files, and no file and one of its losses, may give one name two meanings."""
    for what in ("params", "functions"):
        first: dict[str, Span] = {}
        for parts in levels:
            for statement in getattr(parts, what):
                name = statement.name
                if (other := first.setdefault(name.id, name.span)) is not name.span:
                    found.add(
                        "E203",
                        f"`{name.id}` is bound twice",
                        name.span,
                        labels=[(other, "first here")],
                        help="rename one of them",
                    )
