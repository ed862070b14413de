"""The kinds of undeclared inputs, from all their uses together.

Every loss call allows some kinds in each of its slots, one list per overload. First what no use
allows is struck out, everywhere at once; then the earliest overloads in the catalogue's order
are taken. Nothing depends on the order in which the terms are written.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from lossdsl.checker import nodes
from lossdsl.checker.declarations import Declarations
from lossdsl.checker.nodes import Node
from lossdsl.checker.parts import container
from lossdsl.checker.resolve import Resolver
from lossdsl.checker.unroll import path, root
from lossdsl.functions.record import CallSite, Refused
from lossdsl.library import registry
from lossdsl.library.record import LossRecord, Overload
from lossdsl.source import Span
from lossdsl.types.kinds import CLASS_KINDS, KINDS, fit
from lossdsl.types.signature import read_signature
from lossdsl.types.solve import Solver
from lossdsl.types.values import NUMBER, Module, Tensor, Type

_ANY = frozenset(name for name, kind in KINDS.items() if kind.tensor)
_LATE = 10_000

Places = frozenset[str]
"""Undeclared inputs (and their parts) whose kind an expression has."""

Meaning = Places | str | None
"""What is known of a value's kind: that of some inputs, a kind, or nothing."""


@dataclass
class Use:
    """A call that restricts undeclared inputs: for each overload, the slots they stand in."""

    order: int
    name: str
    span: Span
    overloads: list[dict[str, tuple[str, ...]]]
    where: dict[str, Span]


@dataclass
class Inference:
    """The search for kinds. `kinds` is the outcome: a kind for each undeclared place."""

    resolver: Resolver
    uses: list[Use] = field(default_factory=list)
    meanings: dict[int, Meaning] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    places: dict[str, Span] = field(default_factory=dict)
    features: set[str] = field(default_factory=set)
    clashed: set[str] = field(default_factory=set)
    containers: dict[str, Span] = field(default_factory=dict)
    sorts: dict[str, tuple[type, Span]] = field(default_factory=dict)
    order: dict[str, int] = field(default_factory=registry.order)

    def run(self) -> None:
        for node in self.resolver.made:
            self.meanings[id(node)] = self._meaning(node)
        for place in self.containers:
            self._only_container(place)
        # A clash silences its inputs; the search goes on without them.
        while not _Search(self).run():
            pass

    def _same_container(self, base: str, node: nodes.Item) -> None:
        """An undeclared container is a list or a record, not both."""
        sort = type(node.key)
        if self.sorts.setdefault(base, (sort, node.span))[0] is not sort:
            self.resolver.found.add(
                "E308",
                f"`{base}` is used as a list and as a record",
                node.span,
                labels=[(self.sorts[base][1], "differently here")],
            )

    def _only_container(self, place: str) -> None:
        """An undeclared input is a tensor or holds tensors, not both."""
        use = next((use for use in self.uses if place in use.where), None)
        if use is not None:
            self.resolver.found.add(
                "E308",
                f"`{place}` is used as a tensor here, and as a list or record elsewhere",
                use.where[place],
                labels=[(self.containers[place], "it holds tensors here")],
            )
            self.set_aside(place)
        self.places.pop(place, None)

    def set_aside(self, place: str) -> None:
        """Forget a place whose uses contradict each other; it was reported."""
        self.clashed.add(place)
        self.places.pop(place, None)
        for use in self.uses:
            use.where.pop(place, None)
            for slots in use.overloads:
                slots.pop(place, None)
        self.uses = [use for use in self.uses if use.where]

    # --- reading the program ---

    def _meaning(self, node: Node) -> Meaning:
        match node:
            case nodes.InputRef() | nodes.Item():
                return self._place(node)
            case nodes.Label(value):
                return self.meanings[id(value)]
            case nodes.Index(base):
                return self.meanings[id(base)]
            case nodes.Cast(type):
                return type.kind
            case nodes.LossCall():
                self._loss_use(node)
                return "loss"
            case nodes.Total(operands):
                return self._union(operands) or self._kind_of(node, operands)
            case nodes.Apply():
                return self._apply(node)
            case nodes.ModuleCall(module):
                declared = self.resolver.declared.inputs.get(module)
                result = (
                    declared.type.result if declared and isinstance(declared.type, Module) else None
                )
                return result.kind if isinstance(result, Tensor) else "real"
            case nodes.Constant() | nodes.ParamRef() | nodes.Clock() | nodes.SizeOf():
                return "number"
        return None

    def _place(self, node: Node) -> Meaning:
        if root(node) in self.resolver.declared.misread:
            return None
        known = container(self.resolver, node)
        if known is not None:
            return known.kind if isinstance(known, Tensor) else None
        if isinstance(node, nodes.InputRef) and node.name in self.resolver.declared.inputs:
            return None
        place = place_of(node)
        if isinstance(node, nodes.Item):
            base = place_of(node.base)
            self.containers.setdefault(base, node.base.span)
            self._same_container(base, node)
            self.places.pop(place_of(node.base), None)
        self.places.setdefault(place, node.span)
        return frozenset((place,))

    def _union(self, operands: Iterable[Node]) -> Places | None:
        places: set[str] = set()
        for operand in operands:
            meaning = self.meanings[id(operand)]
            if isinstance(meaning, frozenset):
                places |= meaning
        return frozenset(places) or None

    def _apply(self, node: nodes.Apply) -> Meaning:
        function = node.function
        operands = node.operands
        if function.name == "where":
            self._function_use(node, operands[0], ("mask",))
            return self._union(operands[1:]) or self._kind_of(node, operands)
        if function.prefers != ("real",):
            # A condition is a condition on both sides; elsewhere the first operand is the value.
            for operand in operands if function.prefers == ("mask",) else operands[:1]:
                self._function_use(node, operand, function.prefers)
        for position, kind in function.takes.items():
            if position < len(operands):
                self._function_use(node, operands[position], (kind,))
        if function.keeps:
            union = self._union(operands)
            if union is not None:
                return union
        return self._kind_of(node, operands)

    def _kind_of(self, node: Node, operands: tuple[Node, ...]) -> str:
        """The kind that the function's rule gives, whatever the shapes are."""
        if isinstance(node, nodes.Total):
            kinds = [self._stand_in(x).kind for x in operands]
            return (
                kinds[0] if len(set(kinds)) == 1 and kinds[0] in ("logits", "positive") else "real"
            )
        assert isinstance(node, nodes.Apply)
        scratch = Solver()
        types: list[Type] = [self._stand_in(x, scratch) for x in operands]
        numbers = [x.value if isinstance(x, nodes.Constant) else None for x in operands]
        site = CallSite(node.function.name, types, numbers, dict(node.literals), scratch)
        site.texts = [""] * len(operands)
        try:
            result = node.function.rule(site)
        except (Refused, IndexError, TypeError, KeyError):
            return "real"
        return result.kind if isinstance(result, Tensor) else "real"

    def _stand_in(self, node: Node, solver: Solver | None = None) -> Tensor:
        """A tensor of the operand's kind and any shape."""
        meaning = self.meanings[id(node)]
        if meaning == "number":
            return NUMBER
        kind = meaning if isinstance(meaning, str) else "real"
        return Tensor(kind, (solver or Solver()).any_shape())

    def _function_use(self, node: nodes.Apply, operand: Node, accepted: tuple[str, ...]) -> None:
        meaning = self.meanings[id(operand)]
        if isinstance(meaning, frozenset):
            slots = dict.fromkeys(meaning, accepted)
            where = dict.fromkeys(meaning, operand.span)
            self.uses.append(Use(_LATE, node.function.name, node.span, [slots], where))

    def _loss_use(self, node: nodes.LossCall) -> None:
        overloads = []
        where: dict[str, Span] = {}
        known = known_parameters(node, self.resolver.declared)
        for overload in fitting_overloads(node.record, known):
            slots = self._slots(node, overload, where)
            if slots is not None:
                overloads.append(slots)
        if overloads and any(overloads):
            order = self.order[node.record.name]
            self.uses.append(Use(order, node.name, node.span, overloads, where))
        mask = node.keywords.get("mask")
        if isinstance(mask, nodes.NODES):
            meaning = self.meanings[id(mask)]
            if isinstance(meaning, frozenset):
                slots = dict.fromkeys(meaning, ("mask",))
                self.uses.append(
                    Use(_LATE, "mask", mask.span, [slots], dict.fromkeys(meaning, mask.span))
                )

    def _feature_lists(self, argument: Node, meaning: Meaning) -> None:
        """Undeclared inputs in a slot for feature maps are lists, not tensors. What is calculated
        from an input is none."""
        if isinstance(nodes.unlabelled(argument), nodes.InputRef | nodes.Item):
            for place in meaning if isinstance(meaning, frozenset) else ():
                self.features.add(place)
                self.containers.setdefault(place, argument.span)

    def _slots(
        self, node: nodes.LossCall, overload: Overload, where: dict[str, Span]
    ) -> dict[str, tuple[str, ...]] | None:
        """What the overload allows each undeclared place; None where it fits no known argument."""
        slots: dict[str, tuple[str, ...]] = {}
        signature = read_signature(overload.signature)
        for argument, slot in zip(node.arguments, signature.slots, strict=True):
            if argument is None:
                continue
            meaning = self.meanings[id(argument)]
            if slot.kinds == ("features",):
                self._feature_lists(argument, meaning)
                continue
            if isinstance(meaning, frozenset):
                for place in meaning:
                    before = slots.get(place)
                    slots[place] = slot.kinds if before is None else _both(before, slot.kinds)
                    where.setdefault(place, argument.span)
            elif meaning is not None and meaning != "number" and fit(meaning, slot.kinds) is None:
                return None
        return slots


def _both(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    """What two slots allow an input that stands in both."""
    shared = tuple(kind for kind in left if fit(kind, right) is not None)
    return shared or left


@cache
def _allowed(accepted: tuple[str, ...]) -> frozenset[str]:
    """Kinds that an undeclared input may get from a slot.

    Narrower than what the slot takes: a plain `real` and a kind with a class axis would each
    satisfy two uses that contradict each other, so they are inferred only from slots that ask
    for them.
    """
    fitting = {kind for kind in _ANY if fit(kind, accepted) is not None}
    if "real" in accepted:
        return frozenset(fitting)
    if not CLASS_KINDS & set(accepted):
        fitting -= CLASS_KINDS
    return frozenset(fitting - {"real"})


def place_of(node: Node) -> str:
    """The name under which an undeclared part is inferred: items of a list share theirs."""
    match node:
        case nodes.Item(base, int()):
            return f"{place_of(base)}[]"
        case nodes.Item(base, key):
            return f"{place_of(base)}.{key}"
    return path(node)


def known_parameters(node: nodes.LossCall, declared: Declarations) -> dict[str, Any]:
    """The parameters of a call as far as they are known before it: the literals, and what params
    were declared with (a list keeps its length)."""
    known: dict[str, Any] = {}
    for name, value in node.parameters.items():
        if isinstance(value, nodes.ParamRef):
            number = declared.params[value.name].value
            parameter = node.record.parameter(name)
            if isinstance(number, tuple) or parameter is None or parameter.kind != "vector":
                known[name] = number
        elif not isinstance(value, nodes.NODES):
            known[name] = value
    return known


def fitting_overloads(record: LossRecord, parameters: dict[str, Any]) -> list[Overload]:
    """The overloads that these parameters allow."""
    literal = {p.name: parameters.get(p.name, p.default) for p in record.parameters}
    return [o for o in record.overloads if o.when is None or o.when(literal)]


class _Search:
    """Strike out, then choose, with undo."""

    def __init__(self, inference: Inference) -> None:
        self.inference = inference
        self.domain = dict.fromkeys(inference.places, _ANY)
        self.open = [list(range(len(use.overloads))) for use in inference.uses]
        self.users: dict[str, list[int]] = defaultdict(list)
        for index, use in enumerate(inference.uses):
            for place in use.where:
                self.users[place].append(index)
        self.trail: list[tuple[str, Any, Any]] = []

    def run(self) -> bool:
        """Find the kinds; False where two uses clash, which is then reported and set aside."""
        inference = self.inference
        if not self._propagate(range(len(inference.uses))):
            return False
        for index in sorted(range(len(self.open)), key=lambda i: inference.uses[i].order):
            self._choose(index)
        for place in self.domain:
            inference.kinds[place] = self._pick(place)
        return True

    def _choose(self, index: int) -> None:
        for overload in list(self.open[index]):
            mark = len(self.trail)
            self._set_open(index, [overload])
            if self._propagate([index], report=False):
                return
            self._undo(mark)

    def _set_open(self, index: int, overloads: list[int]) -> None:
        self.trail.append(("open", index, self.open[index]))
        self.open[index] = overloads

    def _set_domain(self, place: str, kinds: frozenset[str]) -> None:
        self.trail.append(("domain", place, self.domain[place]))
        self.domain[place] = kinds

    def _undo(self, mark: int) -> None:
        while len(self.trail) > mark:
            what, key, before = self.trail.pop()
            if what == "open":
                self.open[key] = before
            else:
                self.domain[key] = before

    def _propagate(self, start: Iterable[int], report: bool = True) -> bool:
        """Strike out what some use forbids, until nothing changes. False on a clash."""
        queue = deque(start)
        waiting = set(queue)
        while queue:
            index = queue.popleft()
            waiting.discard(index)
            use = self.inference.uses[index]
            left = [o for o in self.open[index] if self._possible(use.overloads[o])]
            if not left:
                if report:
                    self._clash(use)
                return False
            if len(left) != len(self.open[index]):
                self._set_open(index, left)
            for place in use.where:
                allowed = frozenset().union(
                    *(_allowed(use.overloads[o].get(place, tuple(_ANY))) for o in left)
                )
                narrowed = self.domain[place] & allowed
                if narrowed != self.domain[place]:
                    self._set_domain(place, narrowed)
                    for user in self.users[place]:
                        if user not in waiting:
                            waiting.add(user)
                            queue.append(user)
        return True

    def _possible(self, slots: dict[str, tuple[str, ...]]) -> bool:
        return all(self.domain[place] & _allowed(kinds) for place, kinds in slots.items())

    def _pick(self, place: str) -> str:
        """The first kind that a slot asks for, in the catalogue's order; `real` only if none."""
        domain = self.domain[place]
        users = sorted(self.users[place], key=lambda i: self.inference.uses[i].order)
        for index in users:
            use = self.inference.uses[index]
            for kind in use.overloads[self.open[index][0]].get(place, ()):
                if kind in domain and kind != "real":
                    return kind
        return "real" if "real" in domain else next(k for k in KINDS if k in domain)

    def _clash(self, use: Use) -> None:
        """Report two uses of one input that no kind satisfies: the places in reading order, the
        words in the catalogue's."""
        place, first, second = self._pair(use)
        places = first.where[place], second.where[place]
        named = sorted((first, second), key=lambda u: (u.order, u.name, u.span.text))
        takes = [f"`{u.name}` takes {_wanted(u, place)}" for u in named]
        self.inference.resolver.found.add(
            "E302",
            f"no kind of `{place}` suits both: {', '.join(takes)}",
            places[1],
            labels=[(places[0], f"used by `{first.name}` here")],
            help="convert one of them where it is used, or use two inputs",
        )
        self.inference.set_aside(place)

    def _pair(self, use: Use) -> tuple[str, Use, Use]:
        uses = self.inference.uses
        for place in use.where:
            mine = frozenset().union(*(_allowed(o.get(place, ())) for o in use.overloads))
            for index in self.users[place]:
                other = uses[index]
                theirs = frozenset().union(*(_allowed(o.get(place, ())) for o in other.overloads))
                if not mine & theirs:
                    pair = sorted((use, other), key=lambda u: u.where[place].start)
                    return place, pair[0], pair[1]
        place = next(iter(use.where))
        other = next((uses[i] for i in self.users[place] if uses[i] is not use), use)
        pair = sorted((use, other), key=lambda u: u.where[place].start)
        return place, pair[0], pair[1]


def _wanted(use: Use, place: str) -> str:
    kinds = dict.fromkeys(kind for slots in use.overloads for kind in slots.get(place, ()))
    return " or ".join(f"`{kind}`" for kind in kinds) or "something else"
