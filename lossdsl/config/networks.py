"""Which networks a loss calls: a generator's loss does not own the discriminator's."""

from __future__ import annotations

from lossdsl.syntax import tree


def called(program: tree.Program) -> frozenset[str]:
    """The names that the loss calls, those in the functions that it calls too. A function that it
    does not call belongs to another loss of the file."""
    functions = {s.name.id: s for s in program.statements if isinstance(s, tree.Function)}
    bound = [s.value for s in program.statements if isinstance(s, tree.Binding | tree.Term)]
    stack: list[tree.Node] = [program.result, *bound]
    names: set[str] = set()
    while stack:
        node = stack.pop()
        stack.extend(tree.children(node))
        if not isinstance(node, tree.Call) or node.callee.id in names:
            continue
        names.add(node.callee.id)
        function = functions.get(node.callee.id)
        if function is not None:
            defaults = (parameter.default for parameter in function.parameters)
            stack += [function.body, *(default for default in defaults if default is not None)]
    return frozenset(names - set(functions))
