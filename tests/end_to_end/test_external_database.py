"""An installation on a PostgreSQL of one's own: an administrator who is no superuser, then web and worker."""

import json
import signal
import socket

import asyncpg
import httpx2
import pytest

from stoa.db import embedded
from stoa.db.roles import LOGINS, OWNER
from tests.end_to_end.conftest import Place, begin_simulators, eventually

ADMIN, PASSWORD = "house_admin", "p@ss"


async def without_stoa(server: embedded.Server) -> str:
    """Makes the server one that never heard of Stoa; the URL of an administrator who may create roles and databases."""
    superuser = await asyncpg.connect(server.admin_dsn)
    await superuser.execute("DROP DATABASE stoa WITH (FORCE)")
    for role in (*LOGINS, OWNER):
        await superuser.execute(f"DROP ROLE {role}")
    await superuser.execute(f"CREATE ROLE {ADMIN} LOGIN CREATEROLE CREATEDB PASSWORD '{PASSWORD}'")
    await superuser.close()
    return f"postgresql://{ADMIN}:p%40ss@/postgres?host={server.socket_dir}"


def answers(base_url: str) -> bool:
    try:
        return httpx2.get(f"{base_url}/readyz").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.all
async def test_init_migrate_web_and_worker_on_an_external_database(place: Place) -> None:
    async with embedded.running(embedded.EmbeddedConfig()) as server:
        admin_url = await without_stoa(server)
        place.env["STOA_DATABASE_URL"] = server.url
        assert "db init" in place.run("tenant", "list", code=1).err
        made = place.run("db", "init", "--admin-url", admin_url)
        assert "p@ss" not in made.out + made.err
        place.run("db", "init", "--admin-url", admin_url)
        place.run("db", "migrate")
        assert "Nothing to apply" in place.run("db", "migrate").out
        simulators, simulated = begin_simulators(place, companies=1, people=60)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        base_url = f"http://127.0.0.1:{port}"
        place.env |= {"STOA_OUTBOUND_ALLOW": simulated.address, "STOA_BASE_URL": base_url}
        web = place.start("web", "--port", str(port), log="web.log")
        worker = place.start("worker", log="worker.log")
        assert eventually(lambda: answers(base_url)), place.log("web.log")
        slug = simulated.companies()[0]["slug"]
        tenant = place.json("tenant", "create", slug, "--name", "Acme")
        assert tenant["base_url"] == f"{base_url}/t/{slug}"
        token = place.json("token", "create", slug, "--scope", "scim")["token"]
        assert simulated.push(slug, tenant["scim_base_url"], token)["failed"] == 0
        config = place.folder / "workday.json"
        config.write_text(json.dumps(simulated.config(slug)))
        place.run("connection", "create", slug, "workday", "--config", str(config))
        assert place.json("sync", "run", slug, "workday")["state"] == "applied"
        assert "run_step" in place.log("worker.log")
        for process in (web, worker, simulators):
            process.send_signal(signal.SIGTERM)
        # uvicorn ends in order, then by the signal that it was sent.
        assert web.wait(30) in {0, -signal.SIGTERM}
        assert worker.wait(30) == 0
        assert all('"event": "stopped"' in place.log(name).replace('":"', '": "') for name in ("web.log", "worker.log"))
        simulators.wait(10)
        simulated.client.close()
