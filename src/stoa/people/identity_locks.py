"""Locks that keep two writers from making the same person at the same moment.

A single request locks the identifiers by which it looks for a person; a bulk batch locks the tenant's identifiers as a
whole.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import TenantId

_ALL_LOCKED: Final = "people.identifiers_locked"


def _number(tenant_id: TenantId, name: str) -> int:
    return int.from_bytes(blake2b(f"{tenant_id}:{name}".encode(), digest_size=8).digest(), "big", signed=True)


async def lock_identifiers(tx: TenantTx, keys: Iterable[str]) -> None:
    """Waits for whoever looks for one of the same identifiers, until the end of the transaction.

    keys: the identifiers' folded values, of whatever kind. A value that stands for two of them is one lock.
    """
    whole, numbers = lock_numbers(tx, keys)
    if numbers:
        await tx.execute(
            """SELECT pg_advisory_xact_lock_shared($1::bigint),
            (SELECT count(pg_advisory_xact_lock(key)) FROM unnest($2::bigint[]) AS key)""",
            *(whole, numbers),
        )


def lock_numbers(tx: TenantTx, keys: Iterable[str]) -> tuple[int, list[int]]:
    """For a statement that locks identifiers as `lock_identifiers` does, before it does something else: the number of
    the shared lock upon the tenant's identifiers, and those of the identifiers' own locks, in order.
    """
    held = tx.memo.get(_ALL_LOCKED, False)
    return _number(tx.tenant_id, "people"), [] if held else _numbers(tx.tenant_id, keys)


def _numbers(tenant_id: TenantId, keys: Iterable[str]) -> list[int]:
    return sorted({_number(tenant_id, f"identifier:{key}") for key in keys})


def locking_identifiers(tenant_id: TenantId, keys: Iterable[str]) -> str:
    """A statement that locks identifiers as `lock_identifiers` does, for the round trip that begins a transaction
    (`Database.tenant`, `first`).
    """
    whole = _number(tenant_id, "people")
    own = "".join(f", pg_advisory_xact_lock({number:d})" for number in _numbers(tenant_id, keys))
    return f"SELECT pg_advisory_xact_lock_shared({whole:d}){own}"


async def lock_all_identifiers(tx: TenantTx) -> None:
    """Waits for every single request that looks for identifiers in this tenant, and has new ones wait. This transaction
    then locks none by itself.
    """
    tx.memo[_ALL_LOCKED] = True
    await tx.execute("SELECT pg_advisory_xact_lock($1::bigint)", _number(tx.tenant_id, "people"))


async def lock_admins(tx: TenantTx) -> None:
    """Waits for whoever else looks whether an admin is left in this tenant, until the end of the transaction."""
    await tx.execute("SELECT pg_advisory_xact_lock($1::bigint)", _number(tx.tenant_id, "admins"))
