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


async def wait_before(tx: PlatformTx, client: str, address: str) -> timedelta:
    """How long this client has to wait at this address before it may try again; zero if it may now.

    client: as it names itself, whether there is such a client or not.
    """
    return await wait_of(tx, _keys(client, address))


async def count_refusal(tx: PlatformTx, client: str, address: str) -> timedelta:
    """Counts a refusal, and gives how long the next attempt has to wait."""
    _, wait = await count_failure(tx, dict(zip(_keys(client, address), (FREE_OF_CLIENT, FREE_OF_ADDRESS), strict=True)))
    return wait


async def forget_refusals(tx: PlatformTx, client: str, address: str) -> None:
    """Begins to count anew for a client that has shown who it is. The address keeps what others did there."""
    await tx.execute("DELETE FROM sign_in_attempt WHERE key = $1", _keys(client, address)[0])


def _keys(client: str, address: str) -> tuple[str, str]:
    network = network_of(address)
    return f"client:{digest(f'{client} {network}')}", f"client-address:{digest(network)}"
