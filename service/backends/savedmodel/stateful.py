"""Operations that keep state or draw at random, found in a SavedModel's graph. Imports tensorflow."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tensorflow.python.framework import op_def_registry

_HARMLESS = frozenset(
    {
        "Assert",
        "Case",
        "HashTable",
        "HashTableV2",
        "If",
        "LookupTableFindV2",
        "LookupTableSizeV2",
        "Print",
        "PrintV2",
        "ReadVariableOp",
        "ResourceGather",
        "ResourceGatherNd",
        "StatefulPartitionedCall",
        "VarHandleOp",
        "VarIsInitializedOp",
        "Variable",
        "VariableV2",
        "While",
    }
)
"""Operations that TensorFlow calls stateful, and that only read, or only call functions, which are looked at too."""


def stateful_operation(graph_def: Any, outputs: Iterable[str]) -> str:
    """Returns an operation that the outputs depend on and that keeps state or draws at random; empty for none.

    Args:
        graph_def: The graph, with its library of functions.
        outputs: Names of the tensors, such as ``StatefulPartitionedCall:0``.
    """
    functions = {function.signature.name: function for function in graph_def.library.function}
    seen: set[str] = set()
    pending = list(_needed(graph_def.node, outputs))
    while pending:
        node = pending.pop()
        if _is_stateful(node.op):
            return f"the operation {node.op} ({node.name}) keeps state or draws at random"
        for name in (node.op, *_called(node)):
            if name in functions and name not in seen:
                seen.add(name)
                pending += functions[name].node_def
    return ""


def _needed(nodes: Iterable[Any], outputs: Iterable[str]) -> Iterator[Any]:
    """Yields the nodes that the outputs depend on."""
    by_name: Mapping[str, Any] = {node.name: node for node in nodes}
    pending, seen = [_node_of(output) for output in outputs], set()
    while pending:
        name = pending.pop()
        if name in by_name and name not in seen:
            seen.add(name)
            yield by_name[name]
            pending += map(_node_of, by_name[name].input)


def _node_of(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]


def _called(node: Any) -> Iterator[str]:
    """Yields the names of the functions that a node calls."""
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        for function in value.list.func:
            yield function.name


def _is_stateful(operation: str) -> bool:
    if operation in _HARMLESS:
        return False
    definition = op_def_registry.get(operation)
    return definition is not None and definition.is_stateful
