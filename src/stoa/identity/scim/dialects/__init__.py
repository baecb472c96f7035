"""What real clients send, turned into what the RFC means, before the core sees it.

Each client has a module of pure functions. All of them look at every request: a request that follows the RFC passes
unchanged, and a client that nobody wrote a module for often has the quirks of a known one.
"""

from collections.abc import Iterable
from typing import Any, Final

from stoa.identity.scim.dialects import entra, google, jumpcloud, okta, onelogin, ping, python_scim
from stoa.identity.scim.dialects.clients import KnownClient
from stoa.identity.scim.errors import ScimType, bad, invalid_syntax, invalid_value
from stoa.identity.scim.model import Operation, ResourceType, Verb
from stoa.identity.scim.validation import described, is_list, is_object
from stoa.kernel.filters import Expr

MAX_OPERATIONS: Final = 1000
# What operations that name several things at once come to together.
_MOST_MEANT: Final = 5_000
_VERBS = {verb.value: verb for verb in Verb}
# Those whose ways are known, in the order in which the guide names them.
CLIENTS: Final[tuple[KnownClient, ...]] = (
    entra.CLIENT,
    okta.CLIENT,
    onelogin.CLIENT,
    jumpcloud.CLIENT,
    google.CLIENT,
    ping.CLIENT,
)


def normalised_resource(kind: ResourceType, body: object) -> object:
    """The body of a POST or PUT as the RFC would have it."""
    if not is_object(body):
        return body
    plain = entra.normalised_resource(kind, onelogin.normalised_resource(kind, body))
    return python_scim.normalised_resource(kind, plain)


def normalised_filter(expr: Expr) -> Expr:
    """A filter over users as the RFC would have it."""
    return ping.normalised_filter(expr)


def normalised_patch(kind: ResourceType, body: object) -> list[Operation]:
    """The operations of a PATCH body (RFC 7644, 3.5.2), as the RFC would have them. Raises ScimError for a body that
    holds none.
    """
    return normalised_operations(kind, operations_of(body))


def normalised_operations(kind: ResourceType, operations: Iterable[Operation]) -> list[Operation]:
    """Operations as the RFC would have them, in their order."""
    found: list[Operation] = []
    for one in operations:
        found += _normalised(kind, one)
        if len(found) > _MOST_MEANT:
            raise invalid_value(
                f"The operations of a PATCH come to more than {_MOST_MEANT} changes. Send them in parts."
            )
    return found


def operations_of(body: object) -> list[Operation]:
    """The operations of a PATCH body as they were sent. Raises ScimError for a body that holds none."""
    if not is_object(body):
        raise invalid_syntax(f"The body must be a JSON object with Operations, not {described(body)}.")
    members = {name.lower(): value for name, value in body.items()}
    given = members.get("operations")
    if not is_list(given) or not given:
        raise invalid_syntax('The body must have "Operations", a list of at least one operation.')
    if len(given) > MAX_OPERATIONS:
        raise invalid_value(f"A PATCH takes at most {MAX_OPERATIONS} operations, not {len(given)}.")
    return [_operation(index, one) for index, one in enumerate(given)]


def _normalised(kind: ResourceType, operation: Operation) -> list[Operation]:
    spread = entra.normalised_operation(kind, python_scim.normalised_operation(kind, operation))
    return [final for one in spread for final in okta.normalised_operation(kind, one)]


def _operation(index: int, given: object) -> Operation:
    if not is_object(given):
        raise invalid_syntax(f"Operation {index + 1} must be an object, not {described(given)}.")
    members: dict[str, Any] = {name.lower(): value for name, value in given.items()}
    named, path = members.get("op"), members.get("path")
    verb = _VERBS.get(named.lower()) if isinstance(named, str) else None
    if verb is None:
        raise invalid_syntax(f'Operation {index + 1}: "op" must be add, remove or replace.')
    if path is not None and not isinstance(path, str):
        raise bad(ScimType.INVALID_PATH, f'Operation {index + 1}: "path" must be a string, not {described(path)}.')
    if verb is not Verb.REMOVE and "value" not in members:
        raise invalid_value(f'Operation {index + 1} ({verb.value}) needs a "value".')
    return Operation(index, verb, path or None, members.get("value"))
