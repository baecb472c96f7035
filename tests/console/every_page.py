"""Every address of the console, made of its routes and of a company's data."""

import secrets
from asyncio import Event
from typing import Literal
from uuid import UUID

from starlette.routing import Route

from stoa.access.actions import issue_token
from stoa.access.client_credentials import issue
from stoa.access.clients import create_client, set_keys
from stoa.access.clients_rules import Terms
from stoa.access.permissions import Role
from stoa.analytics.webhooks.actions import create_endpoint
from stoa.analytics.webhooks.model import Settings as WebhookSettings
from stoa.analytics.webhooks.sending_again import send_test
from stoa.composition import Platform, base_url_of, references
from stoa.db.transactions import TenantTx
from stoa.events.actions import number_entries
from stoa.identity.scim.answering.model import Answering, Strangers
from stoa.identity.scim.answering.settings import answer_so
from stoa.identity.scim.conformance.bench import Exchange
from stoa.identity.scim.conformance.model import Result, Verdict
from stoa.identity.scim.conformance.running import CHECKS, keep
from stoa.identity.scim.errors import ScimType, error_body
from stoa.identity.scim.http import Answer, Request
from stoa.identity.scim.log.model import Arrival, Noted
from stoa.identity.scim.log.store import store
from stoa.identity.scim.log.writer import vault_of
from stoa.identity.scim.own.actions import add_attribute, add_schema
from stoa.identity.scim.own.model import OwnAttribute
from stoa.identity.scim.own.queries import own_schemas
from stoa.kernel.ids import CredentialId, SourceId, new_id
from stoa.main import api_operations, console_routes, docs_routes
from stoa.outbound.mailbox import mails
from stoa.people.decisions import note_refusal
from stoa.people.groups_actions import change_group
from stoa.people.groups_model import Delta
from stoa.people.groups_queries import group_for_change
from stoa.people.matching import Refuse
from stoa.people.merging import merge
from stoa.people.merging_model import MergeAsk
from stoa.people.model import Asserted
from stoa.people.roles_actions import add_rule
from stoa.people.roles_model import Role as RoleGiven
from stoa.tenants.actions import ensure_source
from stoa.web.visiting import Shell
from tests.access.signing import jwk_of, key_for, set_of
from tests.console.journey import Company, World
from tests.people.grouping import make_group, make_person
from tests.web.rendering import shared_pages


def routes(world: World) -> list[Route]:
    """The routes of every room, and those of the pages about the API, which are open to everybody."""
    pages = shared_pages(development=True)
    shell = Shell(pages, world.parts.database, development=True, stopping=Event())
    parts = world.parts
    operations = api_operations(parts.source_worker.planner.target, parts.sealer, parts.settings.outbound_allow)
    return [*console_routes(shell, parts), *docs_routes(shell, operations, base_url_of(parts.settings))]


async def addresses(world: World, company: Company, method: Literal["GET", "POST"]) -> dict[str, str]:
    """An address for each path, which names something that is there. A parameter that is not known here fails."""
    made = await _made(world, company)
    return {route.path: route.path.format(**made) for route in routes(world) if method in (route.methods or set())}


async def noted(tx: TenantTx, parts: Platform, source_id: SourceId, credential_id: CredentialId) -> UUID:
    """A request of an identity provider that was refused."""
    body = b'{"schemas": [], "userName": "mary@acme.example", "phoneNumbers": [{"value": "+49 30 1234"}]}'
    request = Request("POST", ("Users",), {}, {"user-agent": "Okta SCIM Client 1.0.0"}, body)
    detail = "An active user with this user name exists already. Correct it, or deactivate the other one."
    answer = Answer(409, error_body(409, detail, ScimType.UNIQUENESS))
    arrival = Arrival(tenant_id=tx.tenant_id, source_id=source_id, credential_id=credential_id, request=request)
    vault = vault_of(parts.sealer, parts.source_worker.planner.hash_key)
    await store(tx, vault, [Noted(arrival, tx.tenant_id, source_id, request, answer, 1_500)], clock=arrival.since)
    return arrival.request_id


async def _made(world: World, company: Company) -> dict[str, object]:
    await company.mail()
    async with world.parts.database.tenant(company.tenant_id) as tx:
        okta = await ensure_source(tx, "idp", "Okta")
        token = await issue_token(tx, ["scim"], "For Okta", okta.source_id)
        checked = await keep(tx, okta.source_id, _looked(), wrote=False)
        script = await issue_token(tx, ["api:read"], "Nightly export")
        name = f"Learning portal {secrets.token_hex(3)}"
        client = await create_client(tx, Terms(name, ["people:read", "people:write"], ["10.0.0.0/8"]))
        key = await issue(tx, client.client_id, "api_key", "Production", days=20)
        await issue(tx, client.client_id, "client_secret")
        described = await own_schemas(tx)
        schema = described[0] if described else await add_schema(tx, "urn:acme:1.0:User", "Acme user", "Of our own.")
        if not described:
            await add_attribute(tx, schema.schema_id, OwnAttribute(name="badge", canonical=("A", "B")))
        await set_keys(tx, client.client_id, set_of(jwk_of(key_for("ES256"))))
        settings = WebhookSettings("https://hooks.acme.example/stoa", "Directory", 'type sw "person."')
        webhook = (await create_endpoint(tx, world.parts.sealer, settings)).endpoint
        delivery = await send_test(tx, webhook.endpoint_id)
        record, _ = await make_person(tx, okta.source_id, f"member-{secrets.token_hex(3)}")
        group_id = await make_group(tx, okta.source_id, f"Course authors {secrets.token_hex(3)}", [record])
        await answer_so(tx, okta.source_id, Answering(strangers=Strangers.AWAIT))
        group = await group_for_change(tx, okta.source_id, group_id)
        assert group is not None
        await change_group(tx, group, None, Delta(frozenset({"00u1awaited"})), awaits=True)
        rule = await add_rule(tx, group_id, RoleGiven.AUTHOR)
        unknown = Asserted({"user_name": "nobody", "employee_id": "E-unknown"}, True, "00u-unknown")
        await note_refusal(tx, okta.source_id, unknown, Refuse("ambiguous_employee_id", "Two have this employee id."))
        pair_id, merge_id, twin = await _duplicates(tx, okta.source_id)
        request_id = await noted(tx, world.parts, okta.source_id, token.credential_id)
    async with world.parts.database.tenant(company.tenant_id) as tx:
        await number_entries(tx)
    kept = await mails(world.parts.settings.mailbox_path)
    await world.account(Role.PLATFORM_VIEWER)
    async with world.parts.database.platform() as tx:
        operator_id = await tx.fetchval("SELECT operator_id FROM operator ORDER BY operator_id LIMIT 1")
        line_no = await tx.fetchval("SELECT max(entry_no) FROM platform_entry")
    return {
        "tenant": company.slug,
        "run_id": company.held.run_id,
        "connection_id": company.connection.connection_id,
        "connector": company.connection.connector,
        "person_id": await company.one("SELECT person_id FROM person WHERE tenant_id = $1 ORDER BY person_id LIMIT 1"),
        "alert_id": await company.one("SELECT alert_id FROM alert WHERE tenant_id = $1 LIMIT 1"),
        "source_id": okta.source_id,
        "conformance_id": checked.conformance_id,
        "credential_id": token.credential_id,
        "client_id": client.client_id,
        "schema_id": schema.schema_id,
        "attribute": "badge",
        "secret_id": key.credential_id,
        "token_id": script.credential_id,
        "endpoint_id": webhook.endpoint_id,
        "delivery_id": delivery.delivery_id,
        "group_id": group_id,
        "rule_id": rule.rule_id,
        "request_id": request_id,
        "pair_id": pair_id,
        "other_id": twin,
        "merge_id": merge_id,
        "operator_id": operator_id,
        "line_no": line_no,
        "entry_no": await company.one("SELECT max(entry_no) FROM entry WHERE tenant_id = $1"),
        "decision_id": await company.one("SELECT decision_id FROM decision WHERE tenant_id = $1 LIMIT 1"),
        "name": kept[0].name,
        "seq": 1,
        "tag": "people",
        "code": "bad_body",
    }


async def _duplicates(tx: TenantTx, source_id: SourceId) -> tuple[UUID, UUID, UUID]:
    """An open pair, a merge, and one of the pair."""
    made = [(await make_person(tx, source_id, f"twin-{n}-{secrets.token_hex(3)}"))[1] for n in range(4)]
    done = await merge(tx, MergeAsk(made[0], made[1], note="Twins"), references())
    pair_id, (a, b) = new_id(), sorted(made[2:])
    await tx.execute(
        """INSERT INTO duplicate_pair
          (tenant_id, pair_id, person_a, person_b, score, evidence, state, found_at, updated_at)
        VALUES ($1, $2, $3, $4, 55, '{name_hire_date}', 'open', $5, $5)""",
        *(tx.tenant_id, pair_id, a, b, tx.now),
    )
    return pair_id, done.merge.run_id, b


def _looked() -> list[Result]:
    """An outcome of every kind, of every check."""
    exchange = Exchange("GET", "/Users?count=1", '{"a": 1}', 200, '{"b": 2}', 12)
    verdicts = list(Verdict)
    return [
        Result(
            *(one.code, one.expectation, one.stands_for, one.page, verdicts[i % len(verdicts)]),
            *("The status was 500.", (exchange,)),
        )
        for i, one in enumerate(CHECKS)
    ]
