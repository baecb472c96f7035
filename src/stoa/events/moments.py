"""From a moment to a place in the log."""

from datetime import UTC, datetime, timedelta
from typing import Final

from stoa.db.transactions import TenantTx
from stoa.events.queries import last_seq

# Entries are numbered in the order of their commits: their moments, which are those of their transactions' beginning,
# are out of order by no more than a transaction takes.
_OUT_OF_ORDER: Final = timedelta(hours=1)
# No log has anything outside of these, and what is compared with them overflows no calendar.
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)
_MOMENT_AT: Final = """
SELECT at, first_seq FROM entry WHERE tenant_id = $1 AND first_seq <= $2 ORDER BY first_seq DESC LIMIT 1"""
_FIRST_FROM: Final = """
SELECT first_seq FROM entry WHERE tenant_id = $1 AND first_seq >= $2 AND at >= $3 ORDER BY first_seq LIMIT 1"""


def within_log(moment: datetime) -> datetime:
    """The moment, or the nearest one that a log could have: near the ends of the calendar none can be reckoned with."""
    return min(max(moment, _EARLIEST), _LATEST)


async def seq_before(tx: TenantTx, moment: datetime) -> int:
    """The number after which to read so as to miss nothing that happened at or after a moment. What happened shortly
    before may come with it.
    """
    moment = within_log(moment)
    last = await last_seq(tx)
    low, high = 1, max(last, 1)
    # Halved again and again by the index of numbers, for moments have none.
    while low < high:
        middle = (low + high) // 2
        row = await tx.fetchrow(_MOMENT_AT, tx.tenant_id, middle)
        if row is not None and row["at"] < moment - _OUT_OF_ORDER:
            low = middle + 1
        else:
            high = middle
    # The entry that holds it may begin before it.
    row = await tx.fetchrow(_MOMENT_AT, tx.tenant_id, low)
    first = await tx.fetchval(_FIRST_FROM, tx.tenant_id, 1 if row is None else row["first_seq"], moment)
    return last if first is None else first - 1
