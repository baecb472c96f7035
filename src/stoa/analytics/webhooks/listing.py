"""Lists of endpoints and of deliveries: what can be asked of them, and by which columns."""

from typing import Final

from stoa.analytics.webhooks.queries import DELIVERY_COLUMNS
from stoa.api.tables import MOMENT, Table, with_change_column, with_change_time
from stoa.kernel.cursors import id_mark
from stoa.kernel.filters import Attribute, AttrType, Binding, Catalogue, Column, Operator

_WORD: Final = frozenset({Operator.EQ, Operator.NE})

ENDPOINTS: Final = with_change_time(
    Catalogue((Attribute("state", case_exact=True, operators=_WORD), Attribute("url", case_exact=True)))
)
_ENDPOINT_BINDING: Final[Binding] = {"state": Column("e.state"), "url": Column("e.url", 'e.url COLLATE "C"')}
ENDPOINT_TABLE: Final = Table(
    select="SELECT e.*, e.endpoint_id AS id FROM webhook_endpoint e WHERE e.tenant_id = $1",
    key="e.endpoint_id",
    binding=with_change_column(_ENDPOINT_BINDING, "e.updated_at"),
    sorts={"created_at": ("e.created_at", MOMENT), "updated_at": ("e.updated_at", MOMENT)},
)

DELIVERIES: Final = Catalogue(
    (
        Attribute("state", case_exact=True, operators=_WORD),
        Attribute("kind", case_exact=True, operators=_WORD),
        Attribute("event_type", case_exact=True),
        Attribute("seq", AttrType.INTEGER),
        Attribute("status", AttrType.INTEGER),
        Attribute("error", case_exact=True),
        Attribute("attempts", AttrType.INTEGER),
        Attribute("created_at", AttrType.DATETIME),
    )
)
_DELIVERY_BINDING: Final[Binding] = {
    name: Column(f"d.{name}")
    for name in ("state", "kind", "event_type", "seq", "status", "error", "attempts", "created_at")
}
# Ids begin with the time, so their order is that of the deliveries' making (index webhook_delivery_of).
DELIVERY_TABLE: Final = Table(
    select=(
        f"SELECT {DELIVERY_COLUMNS}, d.delivery_id AS id, d.delivery_id AS made_key "  # noqa: S608 - names are code
        "FROM webhook_delivery d WHERE d.tenant_id = $1 AND d.endpoint_id = $2"
    ),
    key="d.delivery_id",
    binding=_DELIVERY_BINDING,
    sorts={"made": ("d.delivery_id", id_mark)},
)
