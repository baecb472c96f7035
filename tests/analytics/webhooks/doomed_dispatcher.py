"""A process that dispatches webhooks until it is killed; its argument is the receiver's host:port."""

import asyncio
import sys

from stoa.analytics.webhooks.dispatcher import SLOTS, SLOTS_EACH, Dispatcher
from stoa.analytics.webhooks.line import Desk
from stoa.analytics.webhooks.sending import Way
from stoa.analytics.webhooks.slots import Slots
from stoa.cli.children import die_with_parent
from stoa.composition import Store
from stoa.db.database import open_database
from stoa.db.keyring import KeyRing
from stoa.events.sequencer import Sequencer
from stoa.outbound.http import HttpClient
from stoa.settings import Settings
from stoa.tenants.sealing import Sealer


async def main() -> None:
    """Never ends by itself."""
    settings = Settings()
    store = Store(str(settings.database_url), settings.key_ring_path)
    database = await open_database(store.connect_args)
    sealer = Sealer(KeyRing.load(store.key_ring).sealing_keys)
    async with HttpClient() as client:
        way = Way(client, frozenset({sys.argv[1]}))
        desk = Desk(database, sealer, way, Slots(SLOTS, SLOTS_EACH), "https://stoa.example")
        async with asyncio.TaskGroup() as group:
            dispatcher, stop = Dispatcher(desk), asyncio.Event()
            group.create_task(Sequencer(database, on_numbered=dispatcher.numbered).run(stop))
            group.create_task(dispatcher.run(stop))


if __name__ == "__main__":
    die_with_parent()
    asyncio.run(main())
