"""A call of something that does not exist: what was most likely meant."""

from __future__ import annotations

from typing import NoReturn

from lossdsl.checker.resolve import Resolver
from lossdsl.checker.suggest import DIFFERENT, SYNONYMS, closest
from lossdsl.checker.written_out import WRITTEN_OUT
from lossdsl.config.shipped import shipped_functions
from lossdsl.diagnostics.diagnostic import Advice, Fix
from lossdsl.diagnostics.meant import did_you_mean
from lossdsl.functions import record as functions
from lossdsl.functions.balancers import BALANCERS
from lossdsl.library import registry
from lossdsl.syntax import tree
from lossdsl.types.kinds import KINDS

_TORCH = frozenset({"torch", "nn", "functional", "F", "math", "special", "linalg"})
_LIBRARIES = _TORCH | {"np", "numpy", "tf", "keras", "losses", "jnp", "jax"}

# What a library is called in Python, where its dialect has another name.
_DIALECTS = {"pytorch_metric_learning": "pml", "segmentation_models_pytorch": "smp", "tf": "keras"}

_LISTED = "`lossdsl list` shows all losses"

# A name -> what to write in its place; `{x}` is the text of the first argument.
_WAYS: dict[str, str] = {
    "learnable": "`learnable` stands in `params` only: `param s = learnable(0.0)`",
    "zip": "`zip` stands behind the `in` of a comprehension only",
    "enumerate": "a list is walked itself: `for o in aux`; `zip(aux, [1, 2, 3])` numbers its items",
    "range": "a list is walked itself: `for o in aux`",
    "print": "what is to be logged is a term (`… as name`); in a file, `monitor` logs what is not "
    "in the sum",
    "len": "`size({x}, 0)` is how many entries the first axis has",
    "numel": "multiply the sizes of the axes: `size({x}, 0)*size({x}, 1)`",
    "squeeze": "an axis of size 1 goes by its index: `{x}[:, 0]`",
    "unsqueeze": "an axis of size 1 is made by `none`: `{x}[:, none]`",
    "expand": "operators broadcast axes of size 1 themselves",
    "log2": "`log({x})/log(2)`",
    "log10": "`log({x})/log(10)`",
    "exp2": "`2**{x}`",
    "bool": "a comparison makes a mask: `{x} > 0`",
    "int": "whole numbers are class indices, `labels({x})`, or counts, `count({x})`",
    "long": "whole numbers are class indices, `labels({x})`, or counts, `count({x})`",
    "item": "a loss calculates with tensors: leave it out",
    "numpy": "a loss calculates with tensors: leave it out",
    "cuda": "a loss calculates where its inputs are: leave it out",
    "cpu": "a loss calculates where its inputs are: leave it out",
    "to": "a loss calculates where its inputs are: leave it out",
    "contiguous": "how a tensor lies in memory is the compiler's affair: leave it out",
}


def refuse_call(resolver: Resolver, node: tree.Call) -> NoReturn:
    """Report a callee that is no loss, function, kind or network."""
    help, fix = _advice(resolver, node)
    resolver.refuse(
        "E202",
        f"there is no loss or function called `{node.callee.id}`",
        node.callee.span,
        help=help,
        fix=fix,
    )


def _advice(resolver: Resolver, node: tree.Call) -> tuple[Advice | str, Fix | None]:
    name = node.callee.id
    first, _, last = name.rpartition(".")
    if not first:
        shipped = shipped_functions().get(name)
        if shipped is not None and not _is_value(resolver, name):
            return shipped.to_use, None
        advice = _meant(resolver, name, node) or _almost_shipped(name) or _unlike(resolver)
        return advice, None
    library = first.split(".")[0]
    dialect = None if _is_value(resolver, library) else _of_dialect(resolver, name)
    if dialect is not None:
        return dialect, None
    if library in _LIBRARIES and not _is_value(resolver, library):
        if last in _callables(resolver):
            same = last not in DIFFERENT and (library in _TORCH or last not in ("std", "var"))
            return Advice(f"no library stands in front: write `{last}`", last, same), None
        meant = _meant(resolver, last, node)
        # The name is no slip: it exists there.
        guessed = isinstance(meant, Advice) and not meant.safe and last.lower() not in SYNONYMS
        if meant is not None and not guessed:
            return meant, None
        return f"other libraries cannot be called; {_LISTED}", None
    return _method(resolver, first, last, node)


def _of_dialect(resolver: Resolver, name: str) -> Advice | str | None:
    """The function of a dialect that was meant, if the name has the front of one."""
    there = shipped_functions()
    library, _, rest = name.partition(".")
    front = f"{_DIALECTS.get(library, library)}."
    written = front + rest.rpartition(".")[2]
    dialect = [other for other in there if other.startswith(front)]
    if not dialect:
        return None
    advice = Advice(f"write `{written}`", written)
    if written not in there:
        close = did_you_mean(written, dialect, 0.8)
        if close is None or close.replacement is None:
            return f"`lossdsl list {front}` shows what this dialect has"
        advice, written = close, close.replacement
    if written in resolver.declared.functions:
        return advice
    how = there[written].to_use
    return how if written == name else f"did you mean `{written}`? {how.capitalize()}"


def _almost_shipped(name: str) -> str | None:
    """A slip in the name of a function that a loss file could bring in."""
    there = {name: function for name, function in shipped_functions().items() if "." not in name}
    close = did_you_mean(name, there, 0.8)
    if close is None or close.replacement is None:
        return None
    return f"{close} {there[close.replacement].to_use.capitalize()}"


def _meant(resolver: Resolver, name: str, node: tree.Call) -> Advice | str | None:
    """The way out by the table, else the closest name."""
    argument = node.arguments[0].span.text if node.arguments else "x"
    if name == "float":
        return Advice(f"`real({argument})` reads whole numbers as numbers", "real")
    if name in _WAYS:
        return _WAYS[name].format(x=argument)
    if name in WRITTEN_OUT:
        return WRITTEN_OUT[name].format(x=argument)
    if _is_value(resolver, name):
        return f"`{name}` is a value, and a value is not called; {_LISTED}"
    return closest(name, (*resolver.modules, *_callables(resolver)))


def _method(
    resolver: Resolver, base: str, name: str, node: tree.Call
) -> tuple[Advice | str, Fix | None]:
    """`x.mean()`: as a call of a function."""
    function = SYNONYMS.get(name, name)
    if name in _WAYS:
        return f"there are no methods: {_WAYS[name].format(x=base)}", None
    if name == "float":
        return f"there are no methods: write `real({base})`", Fix(node.span, f"real({base})", True)
    if function not in _callables(resolver):
        return "there are no methods: a function is called with its values, `mean(x)`", None
    given = [value.span.text for value in node.arguments]
    given += [f"{SYNONYMS.get(k.name.id, k.name.id)}={k.value.span.text}" for k in node.keywords]
    call = f"{function}({', '.join((base, *given))})"
    # What stands by position may stand elsewhere here.
    fix = None if node.arguments else Fix(node.span, call, function not in DIFFERENT)
    shown = call if len(call) < 40 and "\n" not in call else f"{function}({base}, …)"
    return f"there are no methods: write `{shown}`", fix


def _unlike(resolver: Resolver) -> str:
    if resolver.modules:
        given = ", ".join(f"`{module}`" for module in sorted(resolver.modules))
        return f"the networks that were given: {given}; {_LISTED}"
    return f"{_LISTED}; a network is declared as an input, or given in `modules=`"


def _is_value(resolver: Resolver, name: str) -> bool:
    declared = resolver.declared
    tables = (resolver.local or {}, resolver.bindings, declared.params, declared.inputs)
    return any(name in table for table in (*tables, resolver.inferred))


def _callables(resolver: Resolver) -> list[str]:
    operators = {"and", "or", "not", "neg"}
    own = resolver.declared.functions
    known = (*registry.names(), *functions.functions(), *BALANCERS, *own, *KINDS)
    return [name for name in known if name.isidentifier() and name not in operators]
