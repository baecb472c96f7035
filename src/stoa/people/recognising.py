"""Who a new record is about, for one record at a time: what `matching.resolve` asks for, fetched in two round trips, or
three where the source may claim people of others.

`resolving` does the same for many at once; a property test holds the two together.
"""

# ruff: noqa: S608 - the text is code; every value is a bound parameter

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from stoa.db.transactions import Row, TenantTx
from stoa.kernel.fold import fold
from stoa.kernel.ids import PersonId, SourceId
from stoa.people.fields import key_of
from stoa.people.identity_locks import lock_identifiers
from stoa.people.matching import Candidate, ClaimBy, Identifiers, Standing, Verdict, Word, domain_of, resolve
from stoa.people.model import Asserted

# More people than this with one identifier are told as so many.
_MOST: Final = 50

_LINKED: Final = """EXISTS (SELECT FROM source_record l
  WHERE l.tenant_id = $1 AND l.person_id = p.person_id AND l.source_id = $2 AND l.present)"""
# $1 tenant, $2 source, $3 employee id, $4 e-mail, $5 its domain, $6 subject. Each part goes by an index of its own,
# whatever the statistics say: a range in its order is what no other index gives.
_ASKED: Final = f"""
SELECT
  ARRAY(SELECT (p.person_id, p.employee_id_key, p.email_key, {_LINKED}) FROM (
      (SELECT person_id, employee_id_key, email_key FROM person
      WHERE tenant_id = $1 AND employee_id_key BETWEEN $3 AND $3 AND merged_into IS NULL
      ORDER BY employee_id_key LIMIT {_MOST})
      UNION
      (SELECT person_id, employee_id_key, email_key FROM person
      WHERE tenant_id = $1 AND email_key BETWEEN $4 AND $4 AND merged_into IS NULL
      ORDER BY email_key LIMIT {_MOST})) AS p
    ORDER BY p.person_id LIMIT {_MOST}) AS people,
  EXISTS (SELECT FROM domain WHERE tenant_id = $1 AND domain = $5) AS proven,
  (SELECT (d.decision_id, d.verdict, (SELECT p.person_id FROM person p
      WHERE p.tenant_id = $1 AND p.person_id = d.verdict_person AND p.merged_into IS NULL)) FROM decision d
    WHERE d.tenant_id = $1 AND d.source_id = $2 AND d.subject_key = $6 AND d.resolved_at IS NULL) AS standing,
  EXISTS (SELECT FROM claim_rule WHERE tenant_id = $1 AND source_id = $2) AS claims"""
# Asked only where the source has rules. $3 e-mail, $4 user name, $5 external id.
_CLAIMED: Final = f"""
SELECT p.person_id, p.employee_id_key, p.email_key, {_LINKED} AS linked, c.matched_by
FROM claim_rule c CROSS JOIN LATERAL (
  SELECT r.person_id FROM source_record r
  WHERE c.matched_by = 'user_name' AND r.tenant_id = $1 AND r.source_id = c.of_source AND r.user_name_key = $4
    AND r.present
  UNION ALL
  SELECT r.person_id FROM source_record r
  WHERE c.matched_by = 'email' AND r.tenant_id = $1 AND r.source_id = c.of_source AND r.email_key = $3 AND r.present
  UNION ALL
  SELECT r.person_id FROM source_record r
  WHERE c.matched_by = 'external_id' AND r.tenant_id = $1 AND r.source_id = c.of_source
    AND r.scim_external_id = $5 AND r.present
  UNION ALL
  SELECT r.person_id FROM source_record r
  WHERE c.matched_by = 'external_id' AND r.tenant_id = $1 AND r.source_id = c.of_source AND r.external_id = $5
    AND r.present
) AS r JOIN person p ON p.tenant_id = $1 AND p.person_id = r.person_id AND p.merged_into IS NULL
WHERE c.tenant_id = $1 AND c.source_id = $2 LIMIT {_MOST}"""


def identifiers_of(asserted: Asserted) -> Identifiers:
    """By what a source's word of somebody tells who they are."""
    values = asserted.values
    return Identifiers(
        key_of(values.get("employee_id")),
        key_of(values.get("email")),
        key_of(values.get("user_name")),
        asserted.scim_external_id,
    )


def subject_of(asserted: Asserted) -> tuple[str, str]:
    """What a source calls somebody by, to be read, and the key under which a decision about them stands."""
    if asserted.scim_external_id is not None:
        return asserted.scim_external_id, key_of_subject(asserted.scim_external_id)
    for kind, name in (("name", "user_name"), ("employee", "employee_id"), ("email", "email")):
        value = asserted.values.get(name)
        if isinstance(value, str) and value:
            return value, f"{kind}:{fold(value)}"
    return "", "nobody:"


def key_of_subject(external_id: str) -> str:
    """The key under which a decision stands about whom a source calls by an id: the client's own, or a report's key."""
    return f"id:{external_id}"


async def recognise(tx: TenantTx, source_id: SourceId, asserted: Asserted, *, locked: bool = False) -> Verdict:
    """Who a record is about that the source has not yet. Whoever looks for one of the same identifiers waits until the
    end of the transaction.

    locked: whether an earlier statement has locked them already.
    """
    said = identifiers_of(asserted)
    _, subject_key = subject_of(asserted)
    if not locked:
        await lock_identifiers(tx, said.all_keys)
    row = await tx.fetchrow(
        _ASKED,
        # Nobody has an empty key; NULL would have the planner make a plan of its own for each request.
        *(tx.tenant_id, source_id, said.employee_id_key or "", said.email_key or "", domain_of(said.email_key) or ""),
        subject_key,
    )
    assert row is not None
    claimed: list[Row] = []
    if row["claims"]:
        names = (said.email_key, said.user_name_key, said.external_id)
        claimed = await tx.fetch(_CLAIMED, tx.tenant_id, source_id, *names)
    return resolve(said, row["proven"], _candidates(row["people"], claimed), _standing(row["standing"]))


def _candidates(people: Sequence[Row], claimed: Sequence[Row]) -> list[Candidate]:
    found: dict[PersonId, Candidate] = {}
    for person_id, employee_id, email, linked in people:
        found[person_id] = Candidate(person_id, employee_id, email, linked)
    for person_id, employee_id, email, linked, matched_by in claimed:
        known = found.get(person_id) or Candidate(person_id, employee_id, email, linked)
        found[person_id] = replace(known, claimed_by=known.claimed_by | {ClaimBy(matched_by)})
    return [candidate for _, candidate in sorted(found.items())]


def _standing(row: Any) -> Standing | None:
    if row is None:
        return None
    decision_id, verdict, person_id = row
    return Standing(decision_id, None if verdict is None else Word(verdict), person_id)
