"""Recursive descent over the tokens: precedence is not, then and, then or (RFC 7644, section 3.4.2.2)."""

from .errors import FilterError, PathError
from .lexing import Token, attribute_path, is_name, number_value, quoted, string_value, tokenise
from .syntax import (
    AttrPath,
    Compare,
    Expr,
    Literal,
    Not,
    Operator,
    Path,
    Present,
    ValuePath,
    conjunction,
    disjunction,
)

MAX_DEPTH = 50
"""How deep brackets of any kind may nest."""

MAX_TERMS = 200
"""How many comparisons one filter may hold."""

_OPERATORS = {op.value: op for op in Operator}
_CONSTANTS: dict[str, Literal] = {"true": True, "false": False, "null": None}
_RESERVED = frozenset({"and", "or", "not"})
_MEANT = {
    "eq": ("=", "==", "equals", "is"),
    "ne": ("!=", "<>", "neq"),
    "gt": (">",),
    "ge": (">=", "gte"),
    "lt": ("<",),
    "le": ("<=", "lte"),
    "co": ("contains", "like"),
    "sw": ("startswith",),
    "ew": ("endswith",),
    "pr": ("present", "exists"),
}
_MEANT_BY = {habit: op for op, habits in _MEANT.items() for habit in habits}


def parse(text: str) -> Expr:
    """The tree of one filter. Attribute names and schemas stay as written; nothing is known about them yet.

    `emails[type eq "work"].value eq "x"`, which Entra sends although the RFC's grammar has it for PATCH paths only,
    becomes `emails[type eq "work" and value eq "x"]`. With `ne` it becomes the exact opposite, as `emails.value ne
    "x"` is the opposite of `emails.value eq "x"`.

    Raises FilterError with the position of what is wrong, for any text that is not a filter or exceeds MAX_LENGTH,
    MAX_DEPTH or MAX_TERMS.
    """
    parser = _Parser(text)
    expr = parser.disjunction()
    parser.end('"and", "or" or the end of the filter')
    return expr


def parse_path(text: str) -> Path:
    """The target of a PATCH operation: attribute, attribute[filter] or attribute[filter].sub (RFC 7644, section
    3.5.2, figure 7).

    Raises PathError, or FilterError for what stands in the brackets.
    """
    try:
        parser = _Parser(text)
        token = parser.take()
        if token.kind != "word":
            raise parser.unexpected("an attribute name", token)
        attribute = attribute_path(token)
    except FilterError as error:
        raise PathError(error.sentence, position=error.position, hint=error.hint) from None
    value_filter = parser.brackets(attribute) if parser.peek().text == "[" else None
    try:
        sub = attribute.sub if value_filter is None else parser.sub_attribute()
        parser.end("the end of the path")
    except FilterError as error:
        raise PathError(error.sentence, position=error.position, hint=error.hint) from None
    return Path(AttrPath(attribute.name, None, attribute.urn, attribute.position), value_filter, sub)


class _Parser:
    """A cursor over the tokens of one text, with the counters of its limits."""

    def __init__(self, text: str) -> None:
        self.tokens = tokenise(text)
        self.index = 0
        self.depth = 0
        self.terms = 0
        self.in_brackets = False

    def peek(self) -> Token:
        return self.tokens[self.index]

    def take(self) -> Token:
        token = self.tokens[self.index]
        if token.kind != "end":
            self.index += 1
        return token

    def unexpected(self, wanted: str, token: Token, hint: str | None = None) -> FilterError:
        found = "the text ends" if token.kind == "end" else f"found {quoted(token.text)}"
        return FilterError(f"Expected {wanted}, but {found}", position=token.start, hint=hint)

    def end(self, what: str) -> None:
        token = self.peek()
        if token.kind == "end":
            return
        if token.text in {")", "]"}:
            opening = "(" if token.text == ")" else "["
            raise FilterError(f"There is no {opening} for this {token.text}", position=token.start)
        raise self.unexpected(what, token, "Text stands in double quotes." if self.terms else None)

    def keyword(self, word: str) -> bool:
        """Step over `word` if it comes next."""
        token = self.tokens[self.index]
        if token.kind == "word" and token.text.lower() == word:
            self.index += 1
            return True
        return False

    def disjunction(self) -> Expr:
        terms = [self.conjunction()]
        while self.keyword("or"):
            terms.append(self.conjunction())
        return disjunction(terms)

    def conjunction(self) -> Expr:
        terms = [self.term()]
        while self.keyword("and"):
            terms.append(self.term())
        return conjunction(terms)

    def term(self) -> Expr:
        token = self.take()
        if token.text == "(" and token.kind == "mark":
            return self.group(token)
        if token.kind != "word":
            raise self.unexpected('an attribute name, "not" or "("', token)
        lowered = token.text.lower()
        if lowered in _RESERVED:
            if lowered == "not":
                opening = self.take()
                if opening.text != "(":
                    raise self.unexpected('"(" after "not"', opening, 'As in not (title eq "x").')
                return Not(self.group(opening))
            raise self.unexpected('an attribute name, "not" or "("', token)
        return self.comparison(attribute_path(token))

    def group(self, opening: Token) -> Expr:
        self.descend(opening)
        inner = self.disjunction()
        self.close(opening, ")")
        return inner

    def descend(self, opening: Token) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise FilterError(f"Brackets nest deeper than {MAX_DEPTH}", position=opening.start)

    def close(self, opening: Token, mark: str) -> None:
        token = self.take()
        if token.kind != "mark" or token.text != mark:
            what = f'"and", "or" or {mark} for the {opening.text} at position {opening.start}'
            hint = "Text stands in double quotes." if token.kind == "word" else None
            raise self.unexpected(what, token, hint)
        self.depth -= 1

    def comparison(self, path: AttrPath) -> Expr:
        if self.peek().text == "[":
            inner = self.brackets(path)
            sub = self.peek()
            if sub.kind != "word" or not sub.text.startswith("."):
                return ValuePath(path, inner)
            return self.within_elements(path, inner)
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise FilterError(f"The filter has more than {MAX_TERMS} comparisons", position=path.position)
        token = self.take()
        op = _OPERATORS.get(token.text.lower()) if token.kind == "word" else None
        if op is None:
            meant = _MEANT_BY.get(token.text.lower())
            hint = None if meant is None else f'Write "{meant}".'
            raise self.unexpected(f"an operator ({', '.join(_OPERATORS)}) after {quoted(path.text)}", token, hint)
        if op is Operator.PR:
            return Present(path, token.start)
        value = self.take()
        return Compare(path, op, self.literal(op, value), token.start, value.start)

    def literal(self, op: Operator, token: Token) -> Literal:
        if token.kind == "string":
            return string_value(token)
        if token.kind == "word":
            lowered = token.text.lower()
            if lowered in _CONSTANTS:
                return _CONSTANTS[lowered]
            number = number_value(token)
            if number is not None:
                return number
        hint = "Text stands in double quotes." if token.kind == "word" else None
        raise self.unexpected(f'a value after "{op.value}" (a string, a number, true, false or null)', token, hint)

    def brackets(self, path: AttrPath) -> Expr:
        """The filter in the square brackets after `path`."""
        opening = self.take()
        if self.in_brackets:
            raise FilterError("A filter in square brackets cannot hold another one", position=opening.start)
        if path.sub is not None:
            raise FilterError(
                f"A filter in square brackets cannot follow the sub-attribute {quoted(path.sub)}",
                position=opening.start,
                hint=f"Write {path.text.removesuffix('.' + path.sub)}[...].{path.sub}.",
            )
        self.descend(opening)
        self.in_brackets = True
        inner = self.disjunction()
        self.in_brackets = False
        self.close(opening, "]")
        return inner

    def sub_attribute(self) -> str | None:
        """The `.name` right after a closing bracket, if there is one."""
        token = self.peek()
        if token.kind != "word":
            return None
        if token.start != self.tokens[self.index - 1].stop or token.text[0] != "." or not is_name(token.text[1:]):
            raise self.unexpected('a sub-attribute such as ".value" right after "]"', token)
        self.index += 1
        return token.text[1:]

    def within_elements(self, path: AttrPath, inner: Expr) -> Expr:
        """`path[filter].sub op value`, said by one value path."""
        start = self.peek().start + 1
        sub = self.sub_attribute()
        if self.peek().text == "[":
            raise FilterError("A filter in square brackets cannot follow a sub-attribute", position=self.peek().start)
        test = self.comparison(AttrPath(sub or "", None, None, start))
        match test:
            case Compare(op=Operator.EQ, value=None):
                opposite: Expr | None = Present(test.path, test.op_position)
            case Compare(op=Operator.NE, value=None):
                opposite, test = None, Present(test.path, test.op_position)
            case Compare(op=Operator.NE):
                opposite = Compare(test.path, Operator.EQ, test.value, test.op_position, test.value_position)
            case _:
                opposite = None
        if opposite is not None:
            return Not(ValuePath(path, conjunction((inner, opposite))))
        return ValuePath(path, conjunction((inner, test)))
