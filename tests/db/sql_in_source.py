"""The SQL that stands in Python source, read without running it.

A statement may be put together from constants: implicit and explicit concatenation, f-strings and names of constants of
the same or another of our modules are followed. What is known only at run time stays as a question mark.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_STATEMENT = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|TRUNCATE|COPY)\b")
_UNKNOWN = "?"
_SERVER_TIME = re.compile(
    r"\bnow\s*\(|\b(clock|statement|transaction)_timestamp\b|\bcurrent_(date|time|timestamp)\b|\blocaltime(stamp)?\b"
    r"|'(now|today|tomorrow|yesterday)'::|\b(date|timestamp|timestamptz)\s*'(now|today|tomorrow|yesterday)'",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and where it stands, as "stoa.people.plan:49"."""

    text: str
    where: str


def statements(root: Path) -> list[Statement]:
    """All SQL in the package at `root` (the folder named as the package is)."""
    trees = {_module(path, root): ast.parse(path.read_text("utf-8")) for path in sorted(root.rglob("*.py"))}
    constants = {name: _constants(tree) for name, tree in trees.items()}
    return [found for name, tree in trees.items() for found in _of_module(name, tree, constants)]


def staging_faults(found: list[Statement]) -> list[str]:
    """Where a statement on a staging table does not name both the tenant and the run."""
    return [
        one.where
        for one in found
        if re.search(r"\bstage\.[a-z]", one.text) and not all(f"{name}" in one.text for name in ("tenant_id", "run_id"))
    ]


def time_faults(found: list[Statement]) -> list[str]:
    """Where a statement asks the server for the time, whose tenants have clocks of their own."""
    return [one.where for one in found if _SERVER_TIME.search(one.text) and "schema_migration" not in one.text]


def _module(path: Path, root: Path) -> str:
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


Constants = Mapping[str, ast.expr | tuple[str, str]]


def _constants(tree: ast.Module) -> dict[str, ast.expr | tuple[str, str]]:
    """Names of a module: the expression they are bound to, or the module and name they are imported from."""
    names: dict[str, ast.expr | tuple[str, str]] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                names[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                names[name] = value
            case ast.ImportFrom(module=str(module), names=imported):
                names |= {alias.asname or alias.name: (module, alias.name) for alias in imported}
            case _:
                pass
    return names


def _text(node: ast.expr, module: str, constants: Mapping[str, Constants]) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, module, constants) for part in parts)
        case ast.FormattedValue(value=value):
            return _text(value, module, constants)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, module, constants) + _text(right, module, constants)
        case ast.BinOp(left=left, op=ast.Mod()):
            return _text(left, module, constants)
        case ast.Name(id=name):
            return _named(name, module, constants)
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            found = constants.get(module, {}).get(owner)
            return _named(name, ".".join(found), constants) if isinstance(found, tuple) else _UNKNOWN
        case _:
            return _UNKNOWN


def _named(name: str, module: str, constants: Mapping[str, Constants]) -> str:
    match constants.get(module, {}).get(name):
        case None:
            return _UNKNOWN
        case (str(other), str(there)):
            return _named(there, other, constants)
        case expression:
            assert isinstance(expression, ast.expr)
            return _text(expression, module, constants)


def _of_module(module: str, tree: ast.Module, constants: Mapping[str, Constants]) -> Iterator[Statement]:
    inner = {id(part) for node in ast.walk(tree) for part in _parts(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp) and id(node) not in inner:
            text = _text(node, module, constants)
            if _STATEMENT.search(text):
                yield Statement(text, f"{module}:{node.lineno}")


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """What is read as part of something larger, or is no text of the program at all."""
    match node:
        case ast.JoinedStr(values=values):
            yield from values
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod(), right=right):
            yield from (left, right)
        case ast.Module() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            for statement in node.body:
                if isinstance(statement, ast.Expr):
                    yield statement.value
        case _:
            pass
