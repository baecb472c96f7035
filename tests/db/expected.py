"""The tenant boundary as data: every table, every policy and every grant that there may be, and no other.

A migration that makes a table adds its line here; that is where a reviewer reads who may do what.
"""

from dataclasses import dataclass
from typing import Final

TENANT: Final = "(tenant_id = (NULLIF(current_setting('stoa.tenant'::text, true), ''::text))::uuid)"


@dataclass(frozen=True, slots=True)
class Policy:
    """One row of pg_policies; each of ours is permissive."""

    roles: frozenset[str]
    command: str
    using: str | None
    check: str | None


# Those that every tenant table has.
USUAL: Final = {
    "tenant_rows": Policy(frozenset({"stoa_app", "stoa_sync"}), "ALL", TENANT, TENANT),
    "owner_rows": Policy(frozenset({"stoa_owner"}), "ALL", "true", "true"),
    "backup_rows": Policy(frozenset({"stoa_backup"}), "SELECT", "true", None),
}
SEEN_BY_PLATFORM: Final = {"platform_rows": Policy(frozenset({"stoa_platform"}), "SELECT", "true", None)}
CLAIMED_BY_PLATFORM: Final = {"platform_claims": Policy(frozenset({"stoa_platform"}), "UPDATE", "true", "true")}


@dataclass(frozen=True, slots=True)
class Tenanted:
    """A tenant table.

    Attributes:
        verbs: of stoa_app and stoa_sync on the whole table: letters of SELECT, INSERT, UPDATE, DELETE.
        updates: columns that stoa_app and stoa_sync may update where they may not update the table.
        seen: columns that stoa_platform may read.
        claimed: columns that stoa_platform may update.
    """

    verbs: str = "SIUD"
    updates: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    claimed: tuple[str, ...] = ()

    @property
    def policies(self) -> dict[str, Policy]:
        """By name."""
        return USUAL | (SEEN_BY_PLATFORM if self.seen else {}) | (CLAIMED_BY_PLATFORM if self.claimed else {})


TENANTED: Final = {
    "access_token": Tenanted(seen=("tenant_id", "token_hash")),
    "alert": Tenanted("SIU"),
    "alert_note": Tenanted("SI"),
    "api_client": Tenanted("SIU", seen=("tenant_id", "client_id")),
    "api_job": Tenanted(),
    "api_job_input": Tenanted(),
    "api_job_result": Tenanted(),
    "authority": Tenanted("SI"),
    "authority_version": Tenanted("SI"),
    "chain_check": Tenanted("SIU"),
    "change": Tenanted(),
    "claim_rule": Tenanted(),
    "client_assertion": Tenanted(),
    "connection": Tenanted("SIU"),
    "credential": Tenanted("SIU", seen=("tenant_id", "credential_id", "token_hash")),
    "decision": Tenanted("SIU"),
    "domain": Tenanted("SID"),
    "due_change": Tenanted(),
    "duplicate_common": Tenanted(),
    "duplicate_key": Tenanted(),
    "duplicate_pair": Tenanted(),
    "duplicate_search": Tenanted("SIU"),
    "effect": Tenanted(),
    "entry": Tenanted("SI", updates=("first_seq", "chain"), seen=("tenant_id", "entry_no", "first_seq")),
    "event": Tenanted("SI"),
    "event_head": Tenanted("SIU", seen=("tenant_id", "next_seq")),
    "freshness": Tenanted("SIU"),
    "group_awaited": Tenanted("SID"),
    "group_member": Tenanted(),
    "guard_passed": Tenanted(),
    "guard_threshold": Tenanted(),
    "hold": Tenanted("SIU"),
    "idempotency_key": Tenanted(),
    "job": Tenanted(
        seen=(
            *("tenant_id", "job_id", "kind", "key", "due_at", "wanted", "again_at", "dead_at"),
            *("seen", "lease_until", "lease_epoch", "attempts"),
        ),
        claimed=("seen", "lease_until", "lease_epoch", "attempts"),
    ),
    "merge_bar": Tenanted(),
    "person": Tenanted(),
    "person_group": Tenanted(),
    "person_merge": Tenanted("SIU"),
    "person_merge_row": Tenanted("SID"),
    "person_role": Tenanted(),
    "quarantine": Tenanted(),
    "rate_budget": Tenanted("SIU"),
    "removed_person": Tenanted("SIU"),
    "role_rule": Tenanted("SID"),
    "run": Tenanted("SIU"),
    "schedule": Tenanted(seen=("tenant_id", "schedule_id", "next_at", "paused_reason")),
    "scim_answering": Tenanted("SIU"),
    "scim_hour": Tenanted(),
    "scim_log_setting": Tenanted("SIU"),
    "scim_conformance": Tenanted("SID"),
    "scim_schema": Tenanted("SIU"),
    "scim_schema_set": Tenanted("SIU"),
    "scim_walk": Tenanted("SIU"),
    "scim_request": Tenanted(),
    "source": Tenanted("SIU"),
    "source_record": Tenanted(),
    "tenant": Tenanted(
        "SIU",
        seen=(
            *("tenant_id", "slug", "name", "time_zone", "sandbox", "clock_offset", "created_at"),
            *("accent", "name_key"),
        ),
    ),
    "tenant_limit": Tenanted("SIU"),
    "tenant_status": Tenanted(
        "SIU",
        seen=(
            *("tenant_id", "phases", "states", "worst", "late_from", "oldest_success_at", "open_alerts"),
            *("critical_alerts", "people", "active_people", "people_at", "updated_at"),
        ),
    ),
    "webhook_attempt": Tenanted("SID"),
    "webhook_delivery": Tenanted(),
    "webhook_endpoint": Tenanted(
        "SIU",
        seen=(
            *("tenant_id", "endpoint_id", "state", "deleted_at", "cursor", "blocked_until", "wake_at"),
            *("lease_owner", "lease_until", "lease_epoch"),
        ),
        claimed=("lease_owner", "lease_until", "lease_epoch"),
    ),
    "webhook_secret": Tenanted(),
}

# Tables of no tenant: few and small, and nothing in them that a tenant must not know. Role to letters.
REFERENCE: Final = {
    "schema_migration": {"stoa_app": "S", "stoa_sync": "S", "stoa_platform": "S", "stoa_backup": "S"},
    "tenant_slug": {"stoa_platform": "S", "stoa_app": "I", "stoa_backup": "S"},
}

# Tables of no tenant that no tenant's work may reach: the accounts that span tenants. Role to letters.
PLATFORM: Final = {
    "operator": {"stoa_platform": "SIU", "stoa_backup": "S"},
    "operator_grant": {"stoa_platform": "SID", "stoa_backup": "S"},
    "operator_session": {"stoa_platform": "SIUD", "stoa_backup": "S"},
    "platform_entry": {"stoa_platform": "SI", "stoa_backup": "S"},
    "platform_head": {"stoa_platform": "SU", "stoa_backup": "S"},
    "sign_in_attempt": {"stoa_platform": "SIUD", "stoa_backup": "S"},
}

# What a crash of the server may empty: nothing that anybody would miss a minute later.
UNLOGGED: Final = frozenset({"rate_budget"})

STAGING: Final = frozenset({"person_record", "person_gone"})
STAGING_GRANTS: Final = {"stoa_sync": "SIUD"}

SEQUENCES: Final = frozenset({"entry_no_seq", "change_ord_seq"})
SEQUENCE_GRANTS: Final = {
    ("stoa_app", "USAGE"),
    ("stoa_sync", "USAGE"),
    ("stoa_backup", "SELECT"),
}

# Function to the roles that may call it. SECURITY DEFINER ones would pass the boundary: each needs a review, none is.
FUNCTIONS: Final[dict[str, frozenset[str]]] = {
    "secure_tenant_table": frozenset(),
    "write_entry": frozenset({"stoa_app", "stoa_sync"}),
    **dict.fromkeys(
        ("access_token_unchanged", "credential_unchanged", "scim_schemas_unchanged"),
        frozenset({"stoa_app", "stoa_sync"}),
    ),
}
SECURITY_DEFINERS: Final[frozenset[str]] = frozenset()

SCHEMAS: Final = {
    "public": {("stoa_app", "USAGE"), ("stoa_sync", "USAGE"), ("stoa_platform", "USAGE"), ("stoa_backup", "USAGE")},
    "stage": {("stoa_sync", "USAGE")},
}

VERBS: Final = {"S": "SELECT", "I": "INSERT", "U": "UPDATE", "D": "DELETE"}


def table_grants() -> set[tuple[str, str, str]]:
    """(schema.table, role, privilege) of every grant on a whole table."""
    found: set[tuple[str, str, str]] = set()
    for table, expected in TENANTED.items():
        by_role = {"stoa_app": expected.verbs, "stoa_sync": expected.verbs, "stoa_backup": "S"}
        found |= {(f"public.{table}", role, VERBS[verb]) for role, verbs in by_role.items() for verb in verbs}
    for table, by_role in (*REFERENCE.items(), *PLATFORM.items()):
        found |= {(f"public.{table}", role, VERBS[verb]) for role, verbs in by_role.items() for verb in verbs}
    for table in STAGING:
        found |= {(f"stage.{table}", role, VERBS[verb]) for role, verbs in STAGING_GRANTS.items() for verb in verbs}
    return found


def column_grants() -> set[tuple[str, str, str, str]]:
    """(table, column, role, privilege) of every grant on a single column."""
    found: set[tuple[str, str, str, str]] = set()
    for table, expected in TENANTED.items():
        for role in ("stoa_app", "stoa_sync"):
            found |= {(table, column, role, "UPDATE") for column in expected.updates}
        found |= {(table, column, "stoa_platform", "SELECT") for column in expected.seen}
        found |= {(table, column, "stoa_platform", "UPDATE") for column in expected.claimed}
    return found
