"""From a method and a path to an operation. Paths are split before they are decoded: a value may hold a slash."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from stoa.api.errors import MethodNotAllowed, NoSuchOperation
from stoa.api.operations import Operation


@dataclass(frozen=True, slots=True)
class Found:
    """An operation, and the values of its path's parameters."""

    operation: Operation
    path: Mapping[str, str]


@dataclass(slots=True)
class _Node:
    children: dict[str, "_Node"] = field(default_factory=dict[str, "_Node"])
    any: "_Node | None" = None
    operations: dict[str, Operation] = field(default_factory=dict[str, Operation])


class Router:
    """Finds operations. A part of a path that is spelt out comes before a parameter."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        """Raises ValueError for two operations of one method and path, or of one id."""
        self._root = _Node()
        self.operations: tuple[Operation, ...] = tuple(operations)
        seen: set[str] = set()
        for operation in self.operations:
            node = self._root
            for part in operation.path.strip("/").split("/"):
                if part.startswith("{"):
                    node.any = node.any or _Node()
                    node = node.any
                else:
                    node = node.children.setdefault(part, _Node())
            if operation.method in node.operations or operation.id in seen:
                raise ValueError(f"{operation.id}: {operation.method} {operation.path} is declared twice")
            seen.add(operation.id)
            node.operations[operation.method] = operation

    def find(self, method: str, raw_path: str) -> Found:
        """The operation. HEAD is a GET whose body is not sent.

        raw_path: percent-encoded.

        Raises:
            NoSuchOperation, MethodNotAllowed (whose extra `allow` lists what the address has).
        """
        parts = raw_path.strip("/").split("/")
        node, values = self._walk(self._root, parts, ())
        if node is None:
            raise NoSuchOperation(
                "There is nothing at this address.", hint="/v1/openapi.json lists the addresses that there are."
            )
        operation = node.operations.get("GET" if method == "HEAD" else method)
        if operation is None:
            allow = sorted({*node.operations, "OPTIONS", *({"HEAD"} if "GET" in node.operations else ())})
            raise MethodNotAllowed(f"{method[:20]} is not possible here.", allow=allow)
        names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
        return Found(operation, dict(zip(names, values, strict=True)))

    def _walk(self, node: _Node, parts: list[str], values: tuple[str, ...]) -> tuple[_Node | None, tuple[str, ...]]:
        if not parts:
            return (node if node.operations else None), values
        exact = node.children.get(parts[0])
        if exact is not None:
            found = self._walk(exact, parts[1:], values)
            if found[0] is not None:
                return found
        if node.any is None or not parts[0]:
            return None, values
        return self._walk(node.any, parts[1:], (*values, unquote(parts[0], errors="replace")))
