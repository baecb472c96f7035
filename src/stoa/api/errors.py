"""What the API refuses by itself, before or after the work of a room."""

from stoa.kernel.problems import BadInput, Conflict, NotFound, Problem


class NotAuthenticated(Problem):
    """The request shows no token that opens anything.

    Send `Authorization: Bearer TOKEN` with an API key, an access token or a token that is neither expired nor revoked.
    """

    code = "not_authenticated"
    status = 401


class InsufficientScope(Problem):
    """The credential is known, but it lacks the scope that this operation needs.

    Somebody who may change API clients in the console can give the client that scope.
    """

    code = "insufficient_scope"
    status = 403


class AddressNotAllowed(Problem):
    """The credential may not be used from the address that the request came from.

    The client's page in the console lists the address ranges from which it may call.
    """

    code = "address_not_allowed"
    status = 403


class NoSuchOperation(NotFound):
    """There is nothing at this address.

    The OpenAPI document at /v1/openapi.json lists the addresses that there are.
    """

    code = "no_such_operation"


class MethodNotAllowed(Problem):
    """The address exists, but not with this method. The Allow header lists those that it has."""

    code = "method_not_allowed"
    status = 405


class BadQuery(BadInput):
    """A query parameter is unknown, repeated, or has a value that it cannot have.

    `parameter` names it, and the reference lists the parameters that the operation has.
    """

    code = "bad_query"


class BadBody(BadInput):
    """The body is not JSON, or a member of it is missing, unknown or of the wrong kind.

    `field` names it, and the reference shows the body that the operation takes.
    """

    code = "bad_body"


class BadHeader(BadInput):
    """A header has a value that it cannot have. `header` names it. Mend it as the reference has it."""

    code = "bad_header"


class BodyTooLarge(Problem):
    """The body is larger than this operation takes.

    `limit` is the most, in bytes. Send less at a time: a bulk operation can be asked several times.
    """

    code = "body_too_large"
    status = 413


class UnsupportedMediaType(Problem):
    """The body is not of a media type that this operation reads; `Content-Type` must say application/json.

    Set the header, and send JSON in UTF-8.
    """

    code = "unsupported_media_type"
    status = 415


class UnknownVersion(BadInput):
    """The Stoa-Version header names a version of the API that there is not. /v1/changelog lists them."""

    code = "unknown_version"


class RateLimited(Problem):
    """The client's or the tenant's budget of requests is used up for this minute.

    The Retry-After header says in how many seconds there is more. Nothing was done; the same request can be repeated.
    """

    code = "rate_limited"
    status = 429


class IdempotencyKeyMissing(BadInput):
    """This operation needs an Idempotency-Key header, so that a repeated request does not do the work twice.

    Make a fresh text, such as a UUID, for each piece of work, and send the same one with each repetition of it.
    """

    code = "idempotency_key_missing"


class IdempotencyKeyReused(Problem):
    """The Idempotency-Key was used within the last 24 hours for a request with another address or body.

    Nothing was done. A new piece of work takes a new key.
    """

    code = "idempotency_key_reused"
    status = 422


class IdempotencyInFlight(Conflict):
    """A request with this Idempotency-Key is being worked on at this moment. Repeat it in a second."""

    code = "idempotency_in_flight"


class PreconditionRequired(Problem):
    """This operation needs an If-Match header with the ETag of what is to be changed, so that no change of somebody
    else is overwritten unseen.

    Read it first: the ETag header of that answer is what If-Match takes.
    """

    code = "precondition_required"
    status = 428


class PreconditionFailed(Problem):
    """What is to be changed has changed since: its ETag is not the one in If-Match. Read it again, then decide."""

    code = "precondition_failed"
    status = 412


class ServiceUnavailable(Problem):
    """The database is busy or away. Repeat the request after the seconds in Retry-After."""

    code = "service_unavailable"
    status = 503


class TooSlow(Problem):
    """The question costs more than one request may: nothing but reading everything would have answered it.

    Add a condition on an id, a time or a name, or ask for another order.
    """

    code = "too_slow"
    status = 422


class InternalError(Problem):
    """The server failed at something that it did not foresee.

    The operator of the server finds the reason in its log under the trace id.
    """

    code = "internal_error"
    status = 500
