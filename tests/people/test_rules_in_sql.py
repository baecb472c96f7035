"""What the rules say, said in SQL."""

from datetime import date
from itertools import product

from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.people.fields import FIELDS
from stoa.people.rules import UPDATE_REASONS, describe, in_force
from stoa.people.rules_sql import ACTION, REASON
from stoa.people.rules_sql import in_force as in_force_sql

DAYS = (None, date(1999, 12, 31), date(2026, 3, 9), date(2026, 3, 10), date(2026, 3, 11), date.max)


async def test_in_force(database: Database, tenant_id: TenantId) -> None:
    cases = list(product((True, False), DAYS, DAYS))
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch(
            f"""SELECT {in_force_sql("x", "$4")} AS active
            FROM unnest($1::bool[], $2::date[], $3::date[]) WITH ORDINALITY
              AS x(asserted_active, hire_date, termination_date, n) ORDER BY n""",
            *([case[i] for case in cases] for i in range(3)),
            date(2026, 3, 10),
        )
    wanted = [in_force(a, {"hire_date": h, "termination_date": t}, date(2026, 3, 10)) for a, h, t in cases]
    assert [row["active"] for row in rows] == wanted


async def test_action_and_reason(database: Database, tenant_id: TenantId) -> None:
    reasons = [fields for _, fields in UPDATE_REASONS]
    touched = [
        set[str](),
        {"present"},
        {"asserted_active"},
        {"termination_date"},
        {"asserted_active", "termination_date"},
    ]
    touched += [{f.name} for f in FIELDS] + [{min(a), max(b)} for a, b in product(reasons, reasons)]
    cases = list(product((True, False), (True, False), touched))
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch(
            f"""SELECT {ACTION} AS action, {REASON} AS reason
            FROM unnest($1::bool[], $2::bool[], $3::jsonb[]) WITH ORDINALITY AS x(was, will, changed, n)
            CROSS JOIN LATERAL (SELECT x.changed AS after) AS d ORDER BY n""",
            [was for was, _, _ in cases],
            [will for _, will, _ in cases],
            [dict.fromkeys(changed, 1) for _, _, changed in cases],
        )
    assert [(row["action"], row["reason"]) for row in rows] == [describe(*case) for case in cases]
