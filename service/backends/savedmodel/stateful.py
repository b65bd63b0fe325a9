"""Operations that keep state or draw at random, found in a SavedModel's graph. Imports tensorflow."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from tensorflow.core.framework import node_def_pb2, op_def_pb2
from tensorflow.python.framework import op_def_registry

from service.backends.savedmodel.fields import contents, fields

_NODES, _LIBRARY = 1, 2
_FUNCTIONS = 1
_SIGNATURE, _FUNCTION_NODES = 1, 3
_NODES_AT_ONCE = 8
_MOMENT = 1e-5
"""In seconds: as short as a sleep can be, about 0.06 ms."""

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


class Nodes:
    """The nodes of a graph and of the functions in its library.

    Args:
        graph_def: The graph, serialised.

    Raises:
        ValueError: When it cannot be read.
    """

    def __init__(self, graph_def: memoryview) -> None:
        self._by_name: dict[str, Any] = {}
        self._functions: dict[str, memoryview] = {}
        for number, content, _ in _giving_way(fields(graph_def)):
            if number == _NODES:
                node = _parsed(content)
                self._by_name[node.name] = node
            elif number == _LIBRARY:
                for function in contents(content, _FUNCTIONS):
                    signature = op_def_pb2.OpDef.FromString(next(contents(function, _SIGNATURE)))
                    self._functions[signature.name] = function

    def stateful_operation(self, outputs: Iterable[str]) -> str:
        """Returns an operation that the outputs depend on and that keeps state or draws at random; empty for none.

        Args:
            outputs: Names of the tensors, such as ``StatefulPartitionedCall:0``.
        """
        seen: set[str] = set()
        pending = [self._needed(outputs)]
        while pending:
            for node in _giving_way(pending.pop()):
                if _is_stateful(node.op):
                    return f"the operation {node.op} ({node.name}) keeps state or draws at random"
                for name in (node.op, *_called(node)):
                    if name in self._functions and name not in seen:
                        seen.add(name)
                        pending.append(map(_parsed, contents(self._functions[name], _FUNCTION_NODES)))
        return ""

    def _needed(self, outputs: Iterable[str]) -> Iterator[Any]:
        """Yields the nodes that the outputs depend on."""
        pending, seen = [_node_of(output) for output in outputs], set()
        while pending:
            name = pending.pop()
            if name in self._by_name and name not in seen:
                seen.add(name)
                yield self._by_name[name]
                pending += map(_node_of, self._by_name[name].input)


def _giving_way(nodes: Iterable[Any]) -> Iterator[Any]:
    """Yields the nodes, and has threads that wait run between some of them: there may be tens of thousands."""
    for number, node in enumerate(nodes):
        if number % _NODES_AT_ONCE == 0:
            time.sleep(_MOMENT)
        yield node


def _parsed(node: memoryview) -> Any:
    return node_def_pb2.NodeDef.FromString(node)


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
