"""The one filter language: SCIM's grammar (RFC 7644, section 3.4.2.2) for SCIM, audiences, role maps, lists and
webhooks.

expr = parse('department eq "Sales" and title sw "Manager"')     FilterError with the position typed = check(expr,
CATALOGUE)                                   FilterError: unknown attribute, operator or type condition = sql(typed,
BINDING, first_param=2)                   for a WHERE member = evaluate(typed, {"department": "Sales"})
for one thing at hand attributes = reads(typed)                                        whose change can change the
answer

Pure: no I/O, no clock. See `check` for what a filter means where the RFC leaves it open.
"""

from .binding import Binding, Column, Exists, JsonPath, json_elements, require_bound
from .catalogue import Attribute, AttrType, Catalogue, Cost
from .checking import check
from .compiling import Sql, sql, successor
from .errors import BindingError, FilterError, PathError
from .evaluating import evaluate
from .lexing import MAX_LENGTH
from .parsing import MAX_DEPTH, MAX_TERMS, parse, parse_path
from .rendering import render, render_literal
from .syntax import And, AttrPath, Compare, Expr, Literal, Not, Operator, Or, Path, Present, ValuePath
from .typed import Relative, Typed, reads, resolve_date

__all__ = [
    "MAX_DEPTH",
    "MAX_LENGTH",
    "MAX_TERMS",
    "And",
    "AttrPath",
    "AttrType",
    "Attribute",
    "Binding",
    "BindingError",
    "Catalogue",
    "Column",
    "Compare",
    "Cost",
    "Exists",
    "Expr",
    "FilterError",
    "JsonPath",
    "Literal",
    "Not",
    "Operator",
    "Or",
    "Path",
    "PathError",
    "Present",
    "Relative",
    "Sql",
    "Typed",
    "ValuePath",
    "check",
    "evaluate",
    "json_elements",
    "parse",
    "parse_path",
    "reads",
    "render",
    "render_literal",
    "require_bound",
    "resolve_date",
    "sql",
    "successor",
]
