"""The tree as text again."""

import json
from decimal import Decimal
from typing import assert_never

from .syntax import And, Compare, Expr, Literal, Not, Or, Present, ValuePath


def render(expr: Expr) -> str:
    """One filter text for `expr`, with no more brackets than needed: parse(render(expr)) == expr for whatever `parse`
    returns.
    """
    match expr:
        case Compare(path, op, value):
            return f"{path.text} {op.value} {render_literal(value)}"
        case Present(path):
            return f"{path.text} pr"
        case ValuePath(path, inner):
            return f"{path.text}[{render(inner)}]"
        case Not(term):
            return f"not ({render(term)})"
        case And(terms):
            return " and ".join(f"({render(term)})" if isinstance(term, Or | And) else render(term) for term in terms)
        case Or(terms):
            return " or ".join(f"({render(term)})" if isinstance(term, Or) else render(term) for term in terms)
        case _:
            assert_never(expr)


def render_literal(value: Literal) -> str:
    """A JSON literal; use it to put a value into a filter text safely."""
    match value:
        case Decimal():
            return str(value)
        case None | bool() | int() | str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            assert_never(value)
