"""The passes, in the order in which they run. One idea a file."""

from __future__ import annotations

from lossdsl.ir.graph import Graph
from lossdsl.ir.passes.drop_zero_terms import DropZeroTerms
from lossdsl.ir.passes.share_softmax import ShareSoftmax
from lossdsl.ir.passes.stable_forms import StableForms

PIPELINE = (StableForms(), DropZeroTerms(), ShareSoftmax())


def optimise(graph: Graph) -> Graph:
    """Run all passes."""
    for step in PIPELINE:
        graph = step.apply(graph)
    return graph
