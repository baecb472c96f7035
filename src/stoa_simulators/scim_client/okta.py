"""Okta as a SCIM client (developer.okta.com, SCIM 2.0 protocol reference).

Catalogue (OIN) integrations send PATCH to activate and deactivate, integrations made with the App Integration Wizard
(AIW) send PUT for everything. An update reads the user first and puts it back with Okta's own attributes laid over
it. Users are never deleted.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from stoa_simulators.scim_client.okta_groups import OktaGroups
from stoa_simulators.scim_client.profile import ENTERPRISE_SCHEMA, PATCH_SCHEMA, USER_SCHEMA, Profile
from stoa_simulators.scim_client.wire import Found, JsonObject, ScimWire, id_of, resources

USER_AGENT: Final = "Okta SCIM Client 1.0.0"


class OktaMode(StrEnum):
    """How the integration was made: from the catalogue, or with the wizard."""

    OIN = "oin"
    AIW = "aiw"


@dataclass(frozen=True, slots=True)
class Okta:
    """Okta's client in one of its two modes."""

    mode: OktaMode

    @property
    def flag(self) -> str:
        """Okta adds nothing to the base URL."""
        return ""

    @property
    def links_managers(self) -> bool:
        """Managers travel inside the user, as the profile's own text, never as a SCIM id."""
        return False

    @property
    def deletes_after_days(self) -> int | None:
        """Never."""
        return None

    @property
    def groups(self) -> OktaGroups:
        """Group push, by PATCH or PUT as the mode has it."""
        return OktaGroups(whole=self.mode is OktaMode.AIW)

    def headers(self, token: str) -> Mapping[str, str]:
        """Okta's headers with a bearer token."""
        return {
            "User-Agent": USER_AGENT,
            "Accept": "application/scim+json",
            "Accept-Charset": "utf-8",
            "Authorization": f"Bearer {token}",
        }

    async def test_connection(self, wire: ScimWire) -> None:
        """A page of two users, always the same query."""
        await wire.get("/Users", "startIndex=1&count=2")

    async def find(self, wire: ScimWire, profile: Profile) -> Found | None:
        """By user name, a page of a hundred."""
        text = quote(f'userName eq "{profile.login}"', safe="")
        answer = await wire.get("/Users", f"filter={text}&startIndex=1&count=100")
        for resource in resources(answer):
            return Found(id_of(resource, "GET", "/Users"), resource)
        return None

    async def create(self, wire: ScimWire, profile: Profile) -> str:
        """POST with a placeholder password, which Okta sends even when passwords are not synchronised."""
        body: JsonObject = {**_attributes(profile), "groups": [], "password": _placeholder(profile), "active": True}
        created = await wire.send("POST", "/Users", body)
        return id_of(created, "POST", "/Users")

    async def adopt(self, wire: ScimWire, found: Found, profile: Profile) -> bool:
        """GET, then PUT with the profile laid over what is there."""
        await self._put(wire, found.scim_id, {**_attributes(profile), "active": True})
        return True

    async def update(self, wire: ScimWire, scim_id: str, before: Profile, after: Profile) -> bool:
        """The same, in both modes; nothing when no attribute that Okta sends has changed."""
        if _attributes(before) == _attributes(after):
            return False
        await self._put(wire, scim_id, {**_attributes(after), "active": True})
        return True

    async def reactivate(self, wire: ScimWire, scim_id: str, before: Profile, after: Profile) -> None:
        """OIN: PATCH, then PUT if the profile changed meanwhile. AIW: one PUT."""
        if self.mode is OktaMode.AIW:
            await self._put(wire, scim_id, {**_attributes(after), "active": True})
            return
        await wire.send("PATCH", f"/Users/{scim_id}", _activity(active=True))
        await self.update(wire, scim_id, before, after)

    async def deactivate(self, wire: ScimWire, scim_id: str) -> None:
        """OIN: PATCH. AIW: GET, then PUT of what is there with `active` false."""
        if self.mode is OktaMode.AIW:
            await self._put(wire, scim_id, {"active": False})
        else:
            await wire.send("PATCH", f"/Users/{scim_id}", _activity(active=False))

    async def link_manager(self, wire: ScimWire, scim_id: str, manager_scim_id: str, replaces: bool) -> None:
        """Not something Okta does."""
        raise NotImplementedError("Okta sends the manager inside the user")

    async def delete(self, wire: ScimWire, scim_id: str) -> None:
        """Not something Okta does."""
        raise NotImplementedError("Okta never deletes users")

    async def _put(self, wire: ScimWire, scim_id: str, attributes: JsonObject) -> None:
        path = f"/Users/{scim_id}"
        present = await wire.get(path)
        await wire.send("PUT", path, {**present, **attributes, "id": scim_id})


def external_id(profile: Profile) -> str:
    """Okta's user id: 20 letters and digits that begin with 00u, the same for a person for ever."""
    digest = hashlib.sha256(profile.subject.encode()).digest()
    return "00u" + re.sub(r"[^A-Za-z0-9]", "x", base64.b64encode(digest).decode())[:17]


def _attributes(profile: Profile) -> JsonObject:
    """What the application's attribute mappings send; the phone is left out when there is none."""
    body: JsonObject = {
        "schemas": [USER_SCHEMA, ENTERPRISE_SCHEMA],
        "userName": profile.login,
        "name": {"givenName": profile.given_name, "familyName": profile.family_name},
        "emails": [{"primary": True, "value": profile.login, "type": "work"}],
        "displayName": profile.display_name,
        "title": profile.title,
        "locale": profile.locale,
        "timezone": profile.time_zone,
        "externalId": external_id(profile),
        ENTERPRISE_SCHEMA: _enterprise(profile),
    }
    if profile.phone:
        body["phoneNumbers"] = [{"primary": True, "value": profile.phone, "type": "work"}]
    return body


def _enterprise(profile: Profile) -> JsonObject:
    """The extension. Okta's `managerId` is the profile's own text, here the employee number from HR, not a SCIM id."""
    extension: JsonObject = {
        "employeeNumber": profile.employee_number,
        "costCenter": profile.cost_center,
        "organization": profile.organization,
        "division": profile.division,
        "department": profile.department,
    }
    if profile.manager is not None:
        extension["manager"] = {"value": profile.manager, "displayName": profile.manager_name}
    return extension


def _activity(*, active: bool) -> JsonObject:
    return {"schemas": [PATCH_SCHEMA], "Operations": [{"op": "replace", "value": {"active": active}}]}


def _placeholder(profile: Profile) -> str:
    return hashlib.sha256(f"password/{profile.subject}".encode()).hexdigest()[:8]
