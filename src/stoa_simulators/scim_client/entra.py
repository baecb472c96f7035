"""Entra ID as a SCIM client (learn.microsoft.com: "use SCIM to provision users and groups", "SCIM compatibility").

Two dialects. The default one capitalises operations, writes `active` as text and gives each attribute its own
operation. With `aadOptscim062020` on the tenant URL operations are lower-case, `active` is a boolean, and
single-valued attributes that are replaced together travel in one operation without a path, under dotted and URN keys;
filtered paths stay apart.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus

from stoa_simulators.scim_client.entra_groups import EntraGroups
from stoa_simulators.scim_client.profile import ENTERPRISE_SCHEMA, PATCH_SCHEMA, USER_SCHEMA, Profile
from stoa_simulators.scim_client.wire import Found, JsonObject, ScimWire, id_of, resources

FLAG: Final = "aadOptscim062020"
DAYS_TO_DELETION: Final = 30
_WORK_MAIL: Final = 'emails[type eq "work"].value'
_WORK_PHONE: Final = 'phoneNumbers[type eq "work"].value'
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:simulators:entra:object")

Flat = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Entra:
    """Entra's client in one of its two dialects.

    The default dialect matches users by `userName`, the flagged one by `externalId`: both are choices of the attribute
    mapping that administrators make.
    """

    flagged: bool

    @property
    def flag(self) -> str:
        """What the tenant URL ends with."""
        return FLAG if self.flagged else ""

    @property
    def links_managers(self) -> bool:
        """The manager is a reference, sent when both users exist."""
        return True

    @property
    def deletes_after_days(self) -> int | None:
        """A user that is soft-deleted in Entra is purged, and deleted in the application, 30 days later."""
        return DAYS_TO_DELETION

    @property
    def groups(self) -> EntraGroups:
        """Groups in the same dialect."""
        return EntraGroups(self.flagged)

    def headers(self, token: str) -> Mapping[str, str]:
        """Bearer token and the SCIM media type. Entra's own User-Agent is not documented."""
        return {"Accept": "application/scim+json", "Authorization": f"Bearer {token}", "User-Agent": "entra-simulator"}

    async def test_connection(self, wire: ScimWire) -> None:
        """Asks for a user that cannot exist; an empty list is the right answer."""
        await self._query(wire, "userName", str(uuid.uuid4()))

    async def find(self, wire: ScimWire, profile: Profile) -> Found | None:
        """By the matching attribute."""
        if self.flagged:
            return await self._query(wire, "externalId", object_id(profile))
        return await self._query(wire, "userName", profile.login)

    async def create(self, wire: ScimWire, profile: Profile) -> str:
        """POST with nulls for what is mapped but has no value; the manager follows later."""
        created = await wire.send("POST", "/Users", _new_user(profile))
        return id_of(created, "POST", "/Users")

    async def adopt(self, wire: ScimWire, found: Found, profile: Profile) -> bool:
        """PATCH what differs from the resource that the pre-check returned."""
        operations = self._operations(_flat_resource(found.resource), _flat(profile))
        if found.resource.get("active") is not True:
            operations.insert(0, self._activity(active=True))
        return await self._patch(wire, found.scim_id, operations)

    async def update(self, wire: ScimWire, scim_id: str, before: Profile, after: Profile) -> bool:
        """PATCH what changed; a change of manager alone sends nothing here."""
        return await self._patch(wire, scim_id, self._operations(_flat(before), _flat(after)))

    async def reactivate(self, wire: ScimWire, scim_id: str, before: Profile, after: Profile) -> None:
        """`active` and whatever changed meanwhile, in one PATCH."""
        operations = [self._activity(active=True), *self._operations(_flat(before), _flat(after))]
        await self._patch(wire, scim_id, operations)

    async def deactivate(self, wire: ScimWire, scim_id: str) -> None:
        """PATCH of `active` alone."""
        await self._patch(wire, scim_id, [self._activity(active=False)])

    async def link_manager(self, wire: ScimWire, scim_id: str, manager_scim_id: str, replaces: bool) -> None:
        """The default dialect sends a list with a reference, the flagged one the plain id."""
        value: object = manager_scim_id
        if not self.flagged:
            value = [{"$ref": f"{wire.base_url}/Users/{manager_scim_id}", "value": manager_scim_id}]
        op = self._op("Replace" if replaces else "Add", f"{ENTERPRISE_SCHEMA}:manager", value)
        await self._patch(wire, scim_id, [op])

    async def delete(self, wire: ScimWire, scim_id: str) -> None:
        """The hard delete at the end of the 30 days."""
        await wire.send("DELETE", f"/Users/{scim_id}")

    async def _query(self, wire: ScimWire, attribute: str, value: str) -> Found | None:
        text = f'{attribute} eq "{value}"'
        answer = await wire.get("/Users", f"filter={quote_plus(text)}")
        for resource in resources(answer):
            return Found(id_of(resource, "GET", "/Users"), resource)
        return None

    async def _patch(self, wire: ScimWire, scim_id: str, operations: list[JsonObject]) -> bool:
        if operations:
            await wire.send("PATCH", f"/Users/{scim_id}", {"schemas": [PATCH_SCHEMA], "Operations": operations})
        return bool(operations)

    def _op(self, name: str, path: str, value: object) -> JsonObject:
        return {"op": name.lower() if self.flagged else name, "path": path, "value": value}

    def _activity(self, *, active: bool) -> JsonObject:
        return self._op("Replace", "active", active if self.flagged else str(active))

    def _operations(self, before: Flat, after: Flat) -> list[JsonObject]:
        """The operations that lead from one set of values to the other, in the mapping's order."""
        changed = {path: value for path, value in after.items() if before.get(path) != value}
        added = [self._op("Add", p, v) for p, v in changed.items() if v is not None and before.get(p) is None]
        gone = [{"op": "remove" if self.flagged else "Remove", "path": p} for p, v in changed.items() if v is None]
        replaced = {p: v for p, v in changed.items() if v is not None and before.get(p) is not None}
        if not self.flagged:
            return [*added, *(self._op("Replace", path, value) for path, value in replaced.items()), *gone]
        filtered = [self._op("Replace", path, value) for path, value in replaced.items() if "[" in path]
        single = {path: value for path, value in replaced.items() if "[" not in path}
        return [*added, *filtered, *([{"op": "replace", "value": single}] if single else []), *gone]


def object_id(profile: Profile) -> str:
    """The user's object id in Entra, the same for a person for ever."""
    return str(uuid.uuid5(_NAMESPACE, profile.subject))


def _flat(profile: Profile) -> Flat:
    """The mapped attributes by SCIM path."""
    return {
        "userName": profile.login,
        "externalId": object_id(profile),
        "displayName": profile.display_name,
        "title": profile.title,
        _WORK_MAIL: profile.login,
        "preferredLanguage": profile.locale,
        "name.givenName": profile.given_name,
        "name.familyName": profile.family_name,
        "name.formatted": f"{profile.given_name} {profile.family_name}",
        _WORK_PHONE: profile.phone or None,
        f"{ENTERPRISE_SCHEMA}:employeeNumber": profile.employee_number,
        f"{ENTERPRISE_SCHEMA}:department": profile.department,
        f"{ENTERPRISE_SCHEMA}:costCenter": profile.cost_center,
        f"{ENTERPRISE_SCHEMA}:organization": profile.organization,
        f"{ENTERPRISE_SCHEMA}:division": profile.division,
    }


def _flat_resource(resource: JsonObject) -> Flat:
    """The same paths read from a user that the server returned; what is not there is absent."""
    flat: Flat = {key: resource.get(key) for key in ("userName", "externalId", "displayName", "title")}
    flat["preferredLanguage"] = resource.get("preferredLanguage")
    name: JsonObject = resource.get("name") or {}
    flat |= {f"name.{key}": name.get(key) for key in ("givenName", "familyName", "formatted")}
    extension: JsonObject = resource.get(ENTERPRISE_SCHEMA) or {}
    for key in ("employeeNumber", "department", "costCenter", "organization", "division"):
        flat[f"{ENTERPRISE_SCHEMA}:{key}"] = extension.get(key)
    flat[_WORK_MAIL] = _work_value(resource.get("emails"))
    flat[_WORK_PHONE] = _work_value(resource.get("phoneNumbers"))
    return flat


def _work_value(entries: list[dict[str, Any]] | None) -> str | None:
    return next((entry.get("value") for entry in entries or [] if entry.get("type") == "work"), None)


def _new_user(profile: Profile) -> JsonObject:
    phones = [{"type": "work", "value": profile.phone}] if profile.phone else None
    return {
        "schemas": [USER_SCHEMA, ENTERPRISE_SCHEMA],
        "externalId": object_id(profile),
        "userName": profile.login,
        "active": True,
        "addresses": None,
        "displayName": profile.display_name,
        "emails": [{"primary": True, "type": "work", "value": profile.login}],
        "meta": {"resourceType": "User"},
        "name": {
            "formatted": f"{profile.given_name} {profile.family_name}",
            "familyName": profile.family_name,
            "givenName": profile.given_name,
        },
        "phoneNumbers": phones,
        "preferredLanguage": profile.locale,
        "roles": [],
        "title": profile.title,
        ENTERPRISE_SCHEMA: {
            "employeeNumber": profile.employee_number,
            "department": profile.department,
            "costCenter": profile.cost_center,
            "organization": profile.organization,
            "division": profile.division,
            "manager": None,
        },
    }
