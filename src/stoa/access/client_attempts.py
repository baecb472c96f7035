"""The throttle of /oauth/token: who fails too often has to wait.

Secrets have 256 random bits, so nobody guesses one; the wait keeps a broken client, or somebody who tries, from costing
others. Failures count for a client from one network, so that nobody can lock a client out from elsewhere; and what is
right costs nothing, so that a fleet may ask all at once.
"""

from datetime import timedelta
from typing import Final

from stoa.access.attempts import count_failure, digest, network_of, wait_of
from stoa.db.transactions import PlatformTx

FREE_OF_CLIENT: Final = 10
FREE_OF_ADDRESS: Final = 30
# So many refusals of a client are told one by one; further ones more and more seldom, four times an hour in the end.
FREE_TELLINGS: Final = 20


async def wait_before(tx: PlatformTx, client: str, address: str) -> timedelta:
    """How long this client has to wait at this address before it may try again; zero if it may now.

    client: as it names itself, whether there is such a client or not.
    """
    return await wait_of(tx, _keys(client, address))


async def count_refusal(tx: PlatformTx, client: str, address: str) -> timedelta:
    """Counts a refusal, and gives how long the next attempt has to wait."""
    _, wait = await count_failure(tx, dict(zip(_keys(client, address), (FREE_OF_CLIENT, FREE_OF_ADDRESS), strict=True)))
    return wait


async def is_worth_telling(tx: PlatformTx, client: str) -> bool:
    """Whether the tenant's log should hold this refusal of a client of theirs: whoever knows a client's id must not be
    able to fill the log from a thousand addresses.
    """
    told, _ = await count_failure(tx, {_telling_key(client): FREE_TELLINGS})
    return told


async def forget_refusals(tx: PlatformTx, client: str, address: str) -> None:
    """Begins to count anew for a client that has shown who it is. The address keeps what others did there."""
    await tx.execute("DELETE FROM sign_in_attempt WHERE key = $1", _keys(client, address)[0])


def _telling_key(client: str) -> str:
    return f"client-told:{digest(client)}"


def _keys(client: str, address: str) -> tuple[str, str]:
    network = network_of(address)
    return f"client:{digest(f'{client} {network}')}", f"client-address:{digest(network)}"
