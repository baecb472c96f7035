"""Which source wins which field, over the public API: read, try, change."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from stoa.api.operations import Answer, Call, Operation
from stoa.api.serving import check_match
from stoa.kernel.ids import SourceId
from stoa.kernel.problems import BadInput
from stoa.people.authority import AuthorityChanged, authority, changed_fields, ranked_of
from stoa.people.fields import AUTHORITY_FIELDS
from stoa.people.ranking import change_ranking
from stoa.people.ranking_preview import SAMPLE, Preview, preview_ranking

_PATH: Final = "/v1/authority"
_RANKING: Final = Meta(
    description="Fields to the ids of sources, strongest first; a source left out comes after those. Of `active` the "
    "sources whose word counts: all of them must say yes. A field left out keeps the default."
)


class RankedField(msgspec.Struct, frozen=True):
    """Who wins one field."""

    sources: Annotated[list[UUID], Meta(description="Strongest first; of `active`, whose word counts, none for all.")]
    own: Annotated[bool, Meta(description="Whether the tenant ranks it itself; else the default holds.")]


class AuthorityShown(msgspec.Struct, frozen=True):
    """Which source wins which field."""

    version: Annotated[int, Meta(description="0 is the default, which follows from the kinds of the sources.")]
    fields: dict[str, RankedField]


class AuthorityInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that the tenant ranks itself."""

    ranking: Annotated[dict[str, list[UUID]], _RANKING]


class AuthorityQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to change it."""

    preview: Annotated[bool, Meta(description="Only say what it would change.")] = False


class ReorderedField(msgspec.Struct, frozen=True):
    """A field that is ranked anew."""

    before: list[UUID]
    after: list[UUID]
    people: Annotated[int | None, Meta(description="Whom it would change in this field; null once it is in force.")]


class PersonReordered(msgspec.Struct, frozen=True):
    """Somebody whom it would change: the fields, as they are and as they would be."""

    id: UUID
    name: str | None
    before: dict[str, Any]
    after: dict[str, Any]


class AuthorityChange(msgspec.Struct, frozen=True):
    """What a change would do, or has begun to do."""

    version: Annotated[int, Meta(description="In force now.")]
    fields: dict[str, ReorderedField]
    people: Annotated[int | None, Meta(description="Whom it would change; null once it is in force.")]
    loses_access: int | None
    gets_access: int | None
    sample: Annotated[list[PersonReordered], Meta(description=f"At most {SAMPLE} of them.")]
    run_id: Annotated[UUID | None, Meta(description="The run that brings people up to date; null for a preview.")]


def operations() -> tuple[Operation, ...]:
    """Reading it, and changing it."""
    return (
        Operation(
            id="getAuthority", method="GET", path=_PATH, tag="Authority", summary="Get which source wins which field",
            scope="people:read", handler=_get, answers={200: AuthorityShown},
        ),
        Operation(
            id="putAuthority", method="PUT", path=_PATH, tag="Authority", summary="Change which source wins",
            description="Another version is in force at once, and a run brings everybody up to date with it. With "
            "`preview=true` nothing is changed, and the answer says whom it would change. Send the ETag that you read "
            "in If-Match, so that nobody's change is lost.",
            scope="people:write", handler=_put, query=AuthorityQuery, body=AuthorityInput, match="optional",
            body_example={"ranking": {"email": ["01980f5e-6f2a-7c3e-9a51-0d6f4b1c2a10"]}},
            answers={200: AuthorityChange, 202: AuthorityChange}, problems=(BadInput, AuthorityChanged),
        ),
    )  # fmt: skip


async def _get(call: Call[Any, None]) -> Answer:
    standing = await authority(call.tx)
    own = await ranked_of(call.tx, standing.version)
    fields = {
        name: RankedField([UUID(str(one)) for one in standing.ranking.get(name, ())], name in own)
        for name in AUTHORITY_FIELDS
    }
    return Answer(content=AuthorityShown(standing.version, fields), etag=str(standing.version))


async def _put(call: Call[AuthorityQuery, AuthorityInput]) -> Answer:
    before = await authority(call.tx)
    check_match(call, str(before.version))
    wanted: Mapping[str, Sequence[SourceId]] = {
        name: [SourceId(one) for one in order] for name, order in call.body.ranking.items()
    }
    if call.query.preview:
        told = await preview_ranking(call.tx, wanted)
        return Answer(content=_previewed(told), etag=str(told.version))
    run = await change_ranking(call.tx, wanted, expected=before.version)
    now = await authority(call.tx)
    fields = {
        name: ReorderedField(list(pair[0]), list(pair[1]), None)
        for name, pair in changed_fields(before.ranking, now.ranking).items()
    }
    content = AuthorityChange(now.version, fields, None, None, None, [], run.run_id)
    place = (("location", call.url(f"/v1/runs/{run.run_id}")),)
    return Answer(202, content, headers=place, etag=str(now.version))


def _previewed(told: Preview) -> AuthorityChange:
    fields = {
        name: ReorderedField(list(pair[0]), list(pair[1]), told.by_field[name]) for name, pair in told.fields.items()
    }
    sample = [PersonReordered(one.person_id, one.name, dict(one.before), dict(one.after)) for one in told.sample]
    return AuthorityChange(told.version, fields, told.people, told.loses, told.gains, sample, None)
