"""From a written type to a `Type`: what `input p: logits[B, 1, H, W]` declares."""

from __future__ import annotations

from dataclasses import dataclass, field

from lossdsl.diagnostics.diagnostic import Advice, Diagnostics, Fix
from lossdsl.diagnostics.meant import did_you_mean
from lossdsl.syntax import tree
from lossdsl.types.dims import ONE, Dim, Symbol
from lossdsl.types.kinds import BOX_FORMATS, CLASS_KINDS, KINDS
from lossdsl.types.renew import renewed
from lossdsl.types.shapes import Row, RowSymbol, Shape
from lossdsl.types.solve import Solver
from lossdsl.types.values import DEFAULT_IGNORE, Listing, Module, Record, Tensor, Type

MOST_ITEMS = 10_000
"""Each item of a list has its own place in the graph."""


@dataclass
class TypeReader:
    """Reads written types. In a declaration names are rigid symbols; in a signature they are
    unknowns, the same for the whole signature and new for each call."""

    solver: Solver
    found: Diagnostics
    rigid: bool = True
    names: dict[str, Dim] = field(default_factory=dict)
    rests: dict[str, Row] = field(default_factory=dict)

    def read(self, node: tree.TypeExpression) -> Type:
        """The type, with problems reported; a wrong part reads as `real` of any shape."""
        match node:
            case tree.KindType():
                return self.tensor(node)
            case tree.ListType():
                return self._list(node)
            case tree.RecordType(fields):
                return Record(tuple((f.name.id, self.read(f.type)) for f in fields))
            case tree.ModuleType(arguments, result, frozen):
                return Module(tuple(map(self.read, arguments)), self.read(result), frozen)

    def _list(self, node: tree.ListType, too_long: bool = False) -> Listing:
        """Items share the names in their type, and nothing else: a `_` is new in each."""
        size = _tensors(node)
        if size > MOST_ITEMS and not too_long:
            too_long = True
            self.found.add(
                "E111",
                f"a list of {size:,} tensors: an input holds at most {MOST_ITEMS:,}",
                node.span,
                help="leave the length away (`list[real[B]]`), or stack what the list holds",
            )
        inner = node.item
        item = self._list(inner, too_long) if isinstance(inner, tree.ListType) else self.read(inner)
        if node.length is None or too_long:
            return Listing(None, item)
        items = tuple(renewed(self.solver, item) for _ in range(node.length))
        return Listing(items, item)

    def tensor(self, node: tree.KindType) -> Type:
        name = node.kinds[-1]
        shape = self.shape(node)
        if name.id not in KINDS:
            self.found.add("E311", f"there is no kind `{name.id}`", name.span, help=_kind(name.id))
            return Tensor("real", shape)
        if name.id == "complex":
            self.found.add(
                "E311",
                "a spectrum is made by `fft`, `rfft` or `stft`, and is no input",
                name.span,
                help="give its real and imaginary parts as two inputs",
            )
            return Tensor("real", shape)
        if len(node.kinds) > 1 and self.rigid:
            self.found.add("E111", "an input has one kind", node.span, help="keep one of them")
        if name.id == "features":
            return Listing(None, Tensor("real", self.solver.any_shape("_")))
        return self._arguments(Tensor(name.id, shape), node)

    # --- shapes ---

    def shape(self, node: tree.KindType) -> Shape:
        if node.shape is None:
            return self.solver.any_shape("_")
        before: list[Dim] = []
        after: list[Dim] = []
        rest: Row | None = None
        for dimension in node.shape:
            if isinstance(dimension, tree.DimRest):
                if rest is not None:
                    self.found.add(
                        "E111", "a type has at most one `*S`", dimension.span, help="keep one"
                    )
                rest = self._rest(dimension)
            else:
                (before if rest is None else after).append(self.dim(dimension))
        return Shape(tuple(before), rest, tuple(after))

    def _rest(self, node: tree.DimRest) -> Row:
        if node.name == "_":
            return self.solver.row("_")
        if node.name not in self.rests:
            fresh: Row = RowSymbol(node.name) if self.rigid else self.solver.row(node.name)
            self.rests[node.name] = fresh
        return self.rests[node.name]

    def dim(self, node: tree.Dimension) -> Dim:
        match node:
            case tree.DimNumber(value):
                return Dim.of(value)
            case tree.DimName("_"):
                return self.solver.unknown("_")
            case tree.DimName(name):
                if name not in self.names:
                    fresh = Dim.of(Symbol(name)) if self.rigid else self.solver.unknown(name)
                    self.names[name] = fresh
                return self.names[name]
            case tree.DimArithmetic(left, operator, right):
                return self._arithmetic(self.dim(left), operator, self.dim(right), node)
            case tree.DimRest():
                return self.solver.unknown()

    def _arithmetic(self, left: Dim, operator: str, right: Dim, node: tree.DimArithmetic) -> Dim:
        if operator == "+":
            return left + right
        if operator == "-":
            return left - right
        if operator == "*":
            return left * right
        divisor = right.number
        if divisor is None or divisor < 1:
            self.found.add("E111", "a size is divided by a whole number above 0", node.span)
            return left
        return left // divisor

    # --- what stands between the parentheses of a kind ---

    def _arguments(self, plain: Tensor, node: tree.KindType) -> Tensor:
        arguments = node.arguments
        kind = plain.kind
        if self._misnamed(kind, arguments):
            return plain
        if kind in CLASS_KINDS and len(arguments) < 2:
            return self._class_axis(plain, node)
        if not arguments:
            return plain
        numbers = [a.value for a in arguments if not isinstance(a.value, str)]
        words = [a.value for a in arguments if isinstance(a.value, str)]
        if kind == "labels" and len(numbers) == 1 and not words and numbers[0] == int(numbers[0]):
            return Tensor(kind, plain.shape, ignore=int(numbers[0]))
        if kind == "image" and len(numbers) == 2 and not words and numbers[0] < numbers[1]:
            return Tensor(kind, plain.shape, range=(float(numbers[0]), float(numbers[1])))
        if kind == "boxes" and len(words) == 1 and words[0] in BOX_FORMATS and not numbers:
            return Tensor(kind, plain.shape, format=words[0])
        forms = {
            "labels": f"`labels` or `labels(ignore=255)`; without it {DEFAULT_IGNORE} is ignored",
            "image": "`image(lo, hi)`: `image(0, 1)`, `image(-1, 1)`, `image(0, 255)`",
            "boxes": f"`boxes(format)` with one of {', '.join(BOX_FORMATS)}",
        }
        span = arguments[0].span.to(arguments[-1].span)
        if node.shape is None and len(arguments) > 1 and words and words[0].isupper():
            axes = f"{kind}[{span.source.text[span.start : span.end]}]"
            self.found.add(
                "E111",
                "axes stand in square brackets",
                span,
                help=f"write `{axes}`",
                fix=Fix(node.span, axes, True),
            )
            return plain
        self.found.add(
            "E111",
            f"`{kind}` does not take this",
            span,
            help=f"write {forms[kind]}" if kind in forms else f"`{kind}` takes nothing in brackets",
        )
        return plain

    def _misnamed(self, kind: str, arguments: tuple[tree.KindArgument, ...]) -> bool:
        """Report a name that the kind does not know."""
        known = _NAMED.get(kind, ())
        name = next((a.name for a in arguments if a.name and a.name.id not in known), None)
        if name is None:
            return False
        advice = did_you_mean(name.id, known)
        self.found.add(
            "E111",
            f"`{kind}` has no `{name.id}`",
            name.span,
            help=advice
            or (
                f"write `{kind}({known[0]}=…)`" if known else "leave the name away: `image(0, 255)`"
            ),
        )
        return True

    def _class_axis(self, plain: Tensor, node: tree.KindType) -> Tensor:
        """Find the class axis: by the name in the kind, by `C`, or as the last resort axis 1."""
        shape = plain.shape
        if node.shape is None:
            return plain
        wanted = Dim.of(Symbol("C")) if self.rigid else self.names.get("C")
        if node.arguments:
            value = node.arguments[0].value
            wanted = (
                self.names.get(value, Dim.of(Symbol(value)))
                if isinstance(value, str)
                else Dim.of(int(value))
            )
        axis = _find(shape, wanted)
        if axis is None and node.arguments:
            self.found.add(
                "E306",
                f"the class axis `{node.arguments[0].span.text}` is not one of the axes",
                node.arguments[0].span,
                help=f"the axes are {', '.join(map(str, shape.dims))}"
                if shape.rank is not None
                else None,
            )
        elif axis is None and shape.rest is None and len(shape.before) == 2:
            axis = 1
        elif axis is None and shape.rest is None and len(shape.before) == 1:
            axis = 0
        elif axis is None and shape.before[1:2] == (ONE,):
            # One class where the classes mostly stand: whoever takes a softmax of it says so.
            axis = 1
        elif axis is None:
            self.found.add(
                "E306",
                f"which axis of `{node.span.text}` holds the classes?",
                node.span,
                help=_which_axis(shape, node),
            )
        if axis is None:
            # One mistake gives one message: nothing more is said about this input.
            return Tensor(plain.kind, self.solver.any_shape(), axis=1)
        return Tensor(plain.kind, shape, axis=axis)


_NAMED: dict[str, tuple[str, ...]] = {"labels": ("ignore",)}
"""What stands by name between the parentheses of a kind."""

_DTYPES: dict[str, str] = {
    "float": "real",
    "float32": "real",
    "float64": "real",
    "float16": "real",
    "half": "real",
    "double": "real",
    "tensor": "real",
    "bool": "mask",
    "int": "labels",
    "int64": "labels",
    "long": "labels",
}
"""What the values of a dtype most likely mean."""


def _kind(name: str) -> Advice | str:
    """The way out of an unknown kind."""
    meant = _DTYPES.get(name.lower())
    if meant is not None:
        others = ", whole numbers `count`" if meant == "labels" else ""
        text = f"a type says what the numbers mean: `{meant}` is {KINDS[meant].meaning}{others}"
        return Advice(text, meant, safe=meant == "real")
    return did_you_mean(name, KINDS) or f"the kinds are {', '.join(KINDS)}"


def _which_axis(shape: Shape, node: tree.KindType) -> Advice:
    """How the class axis is said: a number is most likely how many classes there are."""
    kind = node.kinds[-1].id
    numbers = [dim.number for dim in (*shape.before, *shape.after) if dim.number is not None]
    written = node.span.text[len(node.kinds[-1].span.text) :]
    if len(numbers) == 1:
        call = f"{kind}({numbers[0]}){written}"
        return Advice(f"say it in the kind: `{call}`", call, safe=False)
    return Advice(f"call it `C`, or name it in the kind: `{kind}(V)[B, T, V]`")


def _tensors(node: tree.TypeExpression) -> int:
    """How many tensors an input of this type holds; an open list counts as one."""
    match node:
        case tree.ListType(item, length):
            return _tensors(item) * (1 if length is None else length)
        case tree.RecordType(fields):
            return sum(_tensors(field.type) for field in fields)
    return 1


def _find(shape: Shape, wanted: Dim | None) -> int | None:
    for index, dim in enumerate(shape.before):
        if dim == wanted:
            return index
    for index, dim in enumerate(shape.after):
        if dim == wanted:
            return index - len(shape.after)
    return None
