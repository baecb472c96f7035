"""Each client's story over HTTP against PostgreSQL: joiner, mover, leaver, rehire, rename, group push, clear, re-push,
unassign and the deletion after 30 days, with the exact state it leaves; and the same state when everything comes twice.
"""

import pytest

from stoa.db.database import Database
from stoa.identity.scim.dialects import CLIENTS
from tests.identity.conftest import Scim
from tests.identity.scim.conversations.telling import FOLDER, STEPS, Told, names, read


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("name", names())
async def test_a_story_leaves_its_state_and_its_journal_however_often_each_request_comes(
    name: str, twice: bool, scim: Scim, database: Database
) -> None:
    told = Told(scim, read(name))
    await told.tell(twice=twice)
    assert await told.state(database) == told.conversation.state


def test_every_story_is_whole() -> None:
    assert names() == [
        *("entra_default", "entra_flagged", "google", "jumpcloud", "okta_patch", "okta_put", "onelogin", "ping")
    ]
    for name in names():
        conversation = read(name)
        steps = list(dict.fromkeys(line["step"] for line in conversation.lines))
        assert steps == [step for step in STEPS if step not in conversation.head.get("without", ())], name
        assert all(page.startswith("https://") for page in conversation.head["pages"])


def test_the_guide_names_every_client() -> None:
    guide = (FOLDER.parents[3] / "docs" / "guides" / "identity-scim.md").read_text("utf-8")
    assert [client.name for client in CLIENTS if f"| {client.name}" not in guide] == []
