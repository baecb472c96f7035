"""Who signs in: the one resolver asked in the middle of a sign-in, before there is a session.

Somebody is known again by the issuer and the subject of their sign-in, within the source that the connection belongs
to, and by nothing else (OpenID Connect Core 1.0, section 2, `sub`; SAML 2.0 core, 8.3.7). Who comes for the first time
is told as over SCIM: by employee id, by an e-mail address that the provider has verified in a proven domain, or by the
source's claim rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import PersonId, SourceId
from stoa.kernel.problems import BadInput
from stoa.people import actions, matching
from stoa.people.decisions import end_decision, note_refusal
from stoa.people.fields import PERSON_FIELDS, Value
from stoa.people.identity_locks import lock_identifiers
from stoa.people.model import Asserted, Record, Refused
from stoa.people.queries import RECORD, record_of
from stoa.people.recognising import identifiers_of, recognise

NO_ACCESS: Final = "no_access"
NOT_PROVISIONED: Final = "not_provisioned"
# What a record's key can hold.
_LONGEST_KEY: Final = 1_000


@dataclass(frozen=True, slots=True)
class Arriving:
    """What a verified sign-in says of somebody. All of it has been checked: signature, audience, time, replay.

    Attributes:
        issuer: who vouches: an OpenID provider's issuer or a SAML entity id.
        subject: what the issuer calls the person for ever: `sub`, or a persistent NameID.
        email_verified: whether the issuer says that the address is the person's own. One that is not verified is kept
            with the record, but is neither asserted nor used to tell who it is.
        values: further fields of the person (`fields.PERSON_FIELDS`), as the connection maps them.
    """

    issuer: str
    subject: str
    user_name: str | None = None
    email: str | None = None
    email_verified: bool = False
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])


@dataclass(frozen=True, slots=True)
class SignIn:
    """Somebody who was here before."""

    person_id: PersonId
    record: Record


@dataclass(frozen=True, slots=True)
class Provision:
    """Somebody who signs in for the first time. made: a person was made for it; else one was linked, by `rule`."""

    person_id: PersonId
    record: Record
    rule: str
    made: bool


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nobody is let in.

    Attributes:
        rule: of the resolver; or `no_access`: the person is known and inactive; or `not_provisioned`: nobody matches,
            and the connection makes nobody.
        candidates: who may be meant, for an admin. Never to be shown to whoever signs in.
    """

    rule: str
    detail: str
    candidates: tuple[PersonId, ...] = ()


async def arrive(
    tx: TenantTx, source_id: SourceId, arriving: Arriving, *, makes_people: bool = True
) -> SignIn | Provision | Refuse:
    """Who signs in, whose record of the source is brought up to date with what the sign-in says, in the caller's
    transaction. A refusal by the resolver is noted for the admins, so the caller commits in either case.

    makes_people: whether somebody whom nobody knows is made (just-in-time provisioning); else they are refused.

    Raises:
        BadInput: the issuer or the subject is empty, too long, or the issuer has white space in it.
    """
    key, asserted = _key(arriving), _asserted(arriving)
    record = await _record(tx, source_id, key)
    if record is None:
        # Whoever signs in twice at one moment, or is pushed over SCIM meanwhile, is told after the other.
        said = identifiers_of(asserted)
        await lock_identifiers(tx, {*said.all_keys, f"{source_id} {key}"})
        record = await _record(tx, source_id, key)
    if record is not None:
        return await _again(tx, record, asserted)
    verdict = await recognise(tx, source_id, asserted)
    if isinstance(verdict, matching.CreateNew) and not makes_people:
        detail = "Nobody matches, and this way of signing in makes nobody."
        verdict = matching.Refuse(NOT_PROVISIONED, detail)
    if isinstance(verdict, matching.Refuse):
        await note_refusal(tx, source_id, asserted, verdict)
        return Refuse(verdict.rule, verdict.detail, verdict.candidates)
    return await _first(tx, source_id, key, asserted, verdict)


async def _first(
    tx: TenantTx, source_id: SourceId, key: str, asserted: Asserted, verdict: matching.LinkTo | matching.CreateNew
) -> Provision | Refuse:
    made = await actions.make_record(tx, source_id, asserted, verdict, key=key)
    if made is None:
        taken = matching.Refuse("external_id_taken", "The subject belongs to somebody of another issuer here.")
        await note_refusal(tx, source_id, asserted, taken)
        return Refuse(taken.rule, taken.detail)
    await end_decision(tx, verdict)
    person_id = made.record.person_id
    return await _barred(tx, person_id) or Provision(person_id, made.record, verdict.rule, made=not made.linked)


async def _again(tx: TenantTx, record: Record, asserted: Asserted) -> SignIn | Refuse:
    told = await actions.assert_record(tx, record, asserted)
    if isinstance(told, Refused):
        # Only names that another record of the source bears are refused; the person is the same all the same.
        return await _barred(tx, record.person_id) or SignIn(record.person_id, record)
    return await _barred(tx, record.person_id) or SignIn(record.person_id, told.record)


async def _barred(tx: TenantTx, person_id: PersonId) -> Refuse | None:
    active: bool | None = await tx.fetchval(
        "SELECT active FROM person WHERE tenant_id = $1 AND person_id = $2", tx.tenant_id, person_id
    )
    if active:
        return None
    return Refuse(NO_ACCESS, "The person is known, and has no access.", (person_id,))


async def _record(tx: TenantTx, source_id: SourceId, key: str) -> Record | None:
    row = await tx.fetchrow(
        f"""SELECT {RECORD} FROM source_record r
        WHERE r.tenant_id = $1 AND r.source_id = $2 AND r.external_id = $3 FOR UPDATE""",  # noqa: S608 - code alone
        *(tx.tenant_id, source_id, key),
    )
    return None if row is None else record_of(row)


def _key(arriving: Arriving) -> str:
    key = f"{arriving.issuer} {arriving.subject}"
    if not arriving.issuer or not arriving.subject or len(key) > _LONGEST_KEY:
        raise BadInput("A sign-in needs an issuer and a subject that can be kept.", hint="Ask the identity provider.")
    if any(c.isspace() for c in arriving.issuer):
        raise BadInput("An issuer is an address without white space.", hint="Correct it in the connection.")
    return key


def _asserted(arriving: Arriving) -> Asserted:
    values: dict[str, Value] = {name: value for name, value in arriving.values.items() if name in PERSON_FIELDS}
    values |= {"user_name": arriving.user_name, "email": arriving.email if arriving.email_verified else None}
    raw: dict[str, Any] = {"issuer": arriving.issuer, "subject": arriving.subject}
    if arriving.email is not None:
        raw |= {"email": arriving.email, "email_verified": arriving.email_verified}
    # A provider's own id of a user is what it sends over SCIM as externalId too, so that claims by it can be made.
    return Asserted(values, True, arriving.subject, raw)
