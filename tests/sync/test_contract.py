"""What is admitted, what is set aside, and in which words."""

import datetime
import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoa.kernel.problems import Misconfigured
from stoa.sync.contract import admit, check_mapping
from stoa.sync.model import (
    Admitted,
    Column,
    ColumnClass,
    ColumnType,
    FeedMapping,
    Joined,
    Severity,
    with_content_version,
)
from tests.sync.feed_cases import COLUMNS, FIELDS, MAPPING, TINY, Cell, codes, frame, judge, only_reason, row, values


def test_a_sound_row_is_admitted_with_typed_values() -> None:
    admitted = judge(row(7, Manager="E9", Title="x"), row(9))
    assert admitted.quarantined == ()
    assert values(admitted)[0] == {
        "external_id": "E7",
        "active": True,
        "employee_id": "E7",
        "email": "p7@example.com",
        "display_name": "Ada Byron",
        "given_name": "Ada",
        "family_name": "Byron",
        "phone": "12",
        "worker_type": "employee",
        "hire_date": datetime.date(2020, 2, 29),
        "manager_ref": "E9",
        "title": None,
    }
    assert list(admitted.frame.columns) == ["external_id", "active", *FIELDS]
    assert admitted.figures["admitted"] == 2


def test_white_space_around_a_value_is_cut_and_nothing_left_is_absent() -> None:
    (one,) = values(judge(row(1, ID=" E1\u00a0", First=" \t ", Email="", Last="von  A\r\n B ")))
    assert (one["external_id"], one["given_name"], one["email"]) == ("E1", None, None)
    assert one["family_name"] == "von  A B"


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", True), ("0", False), ("true", True), ("FALSE", False), ("Yes", True), ("No", False)],
)
def test_booleans(text: str, value: bool) -> None:
    assert values(judge(row(1, Active=text)))[0]["active"] is value


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-29",
        "2024-02-29Z",
        "2024-02-29-08:00",
        "2024-02-29T00:00:00.000-08:00",
        "2024-02-29T23:59Z",
        "2024-02-29 12:00:00",
    ],
)
def test_dates_and_the_date_of_times_as_written(text: str) -> None:
    assert values(judge(row(1, Hired=text)))[0]["hire_date"] == datetime.date(2024, 2, 29)


@pytest.mark.parametrize(
    "text",
    [
        "31/12/2024",
        "2024-02-30",
        "2024-1-1",
        "20240101",
        "0000-01-01",
        "2024-01-01T25:00:00Z",
        "2024-01-01 x",
        "+2024-01-01",
    ],
)
def test_other_dates_are_set_aside(text: str) -> None:
    reason = only_reason(judge(row(1, Hired=text)))
    assert (reason.code, reason.column) == ("not_a_date", "Hired")
    assert text in reason.detail
    assert "2024-12-31" in reason.detail


@pytest.mark.parametrize(
    ("cells", "code", "column", "words"),
    [
        ({"Last": " "}, "required_missing", "Last", "Last is empty; every row must have it."),
        ({"Active": "maybe"}, "not_a_boolean", "Active", '"maybe"'),
        ({"Type": "Robot"}, "unknown_value", "Type", "known values are Employee, Contractor."),
        ({"Email": "ada@@example.com"}, "not_an_email", "Email", "not an e-mail address"),
        ({"Email": "ada@localhost"}, "not_an_email", "Email", "not an e-mail address"),
        ({"Email": "a b@example.com"}, "not_an_email", "Email", "not an e-mail address"),
        ({"Email": "ada@example..com"}, "not_an_email", "Email", "not an e-mail address"),
        ({"Last": "x" * 11}, "too_long", "Last", "has 11 characters; at most 10 are possible"),
        ({"First": "A\0da"}, "control_character", "First", "control character"),
        ({"First": "A\x9fda"}, "control_character", "First", "control character"),
        ({"Manager": "E\n2"}, "control_character", "Manager", "control character"),
    ],
)
def test_each_way_to_be_wrong(cells: dict[str, Cell], code: str, column: str, words: str) -> None:
    admitted = judge(row(1, **cells), row(2))
    reason = only_reason(admitted)
    assert (reason.code, reason.column) == (code, column)
    assert words in reason.detail
    assert [one["external_id"] for one in values(admitted)] == ["E2"]
    assert admitted.kept_ids == {"E1"}


def test_a_control_character_in_a_message_is_made_visible() -> None:
    assert "\x1b" not in only_reason(judge(row(1, Hired="\x1b[31m"))).detail


def test_enum_values_are_compared_without_regard_to_case() -> None:
    assert values(judge(row(1, Type="CONTRACTOR")))[0]["worker_type"] == "contractor"


def test_every_reason_of_a_row_is_told_with_the_row_as_sent() -> None:
    (one,) = judge(row(3), row(1, Active="?", Hired=" x ", WID="secret", Else="unmapped")).quarantined
    assert (one.row_no, one.external_id) == (2, "E1")
    assert [reason.code for reason in one.reasons] == ["not_a_boolean", "not_a_date"]
    assert one.raw["Hired"] == " x "
    assert one.raw.keys() == row().keys() - {"Manager"}


def test_a_row_without_a_key_is_set_aside_once() -> None:
    admitted = judge(row(1, ID=" "), row(1, ID=None))
    assert codes(admitted) == {None: [("required_missing", "ID")] * 2}
    assert admitted.kept_ids == frozenset()


def test_an_unchecked_value_is_left_out_and_counted_instead() -> None:
    admitted = judge(row(1, Phone="123456789"), row(2, Phone="1\0"), row(3, Phone="12345678"))
    assert [one["phone"] for one in values(admitted)] == [None, None, "12345678"]
    assert admitted.figures["values_left_out"] == 2
    assert [(drift.code, drift.severity) for drift in admitted.drift] == [("values_left_out", Severity.WARN)]


def test_defaults_fill_what_is_empty() -> None:
    columns = tuple(column for column in COLUMNS if column.field != "active")
    columns = (*columns, Column("active", "Active", type=ColumnType.BOOLEAN), Column("display_name", "Shown"))
    defaults = {"active": True, "title": "Worker", "display_name": Joined(("given_name", "family_name"), "-")}
    mapping = FeedMapping(1, "ID", columns, defaults=defaults)
    rows = frame(row(1, Active=None, Shown="A"), row(2, Active="0", First=None, Last="Lovelacexx"))
    admitted = admit(rows, mapping, FIELDS, limits=TINY)
    picked = admitted.frame.select("active", "title", "display_name").rows()
    assert picked == [(True, "Worker", "A"), (False, "Worker", "Lovelacexx")]


def test_a_default_of_other_fields_is_cut_to_the_fields_length() -> None:
    (one,) = values(judge(row(1, First="Hieronymus", Last="Bosch")))
    assert one["display_name"] == "Hieronymus B"


def test_identical_rows_count_once() -> None:
    admitted = judge(row(1, WID="a"), row(2), row(1, WID="b", Last=" Byron "))
    assert [one["external_id"] for one in values(admitted)] == ["E1", "E2"]
    assert admitted.figures["identical_duplicates"] == 1
    assert "identical_duplicates" in {drift.code for drift in admitted.drift}


def test_rows_of_one_key_that_differ_are_all_set_aside() -> None:
    admitted = judge(row(1), row(2), row(1, First="Eve"), row(1))
    assert [(one.external_id, one.row_no) for one in admitted.quarantined] == [("E1", 1), ("E1", 3)]
    detail = admitted.quarantined[0].reasons[0].detail
    assert detail == "ID E1 is in rows 1 and 3, which differ in First."
    assert admitted.kept_ids == {"E1"}
    assert [one["external_id"] for one in values(admitted)] == ["E2"]


def test_a_key_repeated_often_is_told_shortly() -> None:
    admitted = judge(*(row(1, First=f"n{n}") for n in range(50)))
    assert "45 more, which differ in First" in admitted.quarantined[49].reasons[0].detail


def test_only_the_rows_in_a_circle_of_managers_are_set_aside() -> None:
    admitted = judge(row(1, Manager="E2"), row(2, Manager="E3"), row(3, Manager="E1"), row(4, Manager="E1"), row(5))
    assert codes(admitted) == {f"E{n}": [("manager_cycle", "Manager")] for n in (1, 2, 3)}
    assert admitted.quarantined[2].reasons[0].detail == "The managers go round in a circle: E1 → E2 → E3 → E1."
    assert [one["external_id"] for one in values(admitted)] == ["E4", "E5"]


def test_a_worker_who_is_their_own_manager_is_set_aside() -> None:
    assert only_reason(judge(row(1, Manager="E1"), row(2))).detail == "E1 is named as their own manager."


def test_a_manager_who_is_not_in_the_feed_is_a_figure_and_no_fault() -> None:
    admitted = judge(row(1, Manager="E99"), row(2, Manager="E3"), row(3, Active="?"))
    assert [one["external_id"] for one in values(admitted)] == ["E1", "E2"]
    assert admitted.figures["manager_absent"] == 1


def test_a_missing_required_column_blocks_everything_and_keeps_everybody() -> None:
    rows = frame(row(1), row(2)).drop("Active")
    admitted = admit(rows, MAPPING, FIELDS)
    assert admitted.blocked
    assert admitted.held
    assert admitted.frame.is_empty()
    assert admitted.frame.schema == judge(row(1)).frame.schema
    assert admitted.kept_ids == {"E1", "E2"}


def test_an_empty_feed_admits_nobody() -> None:
    admitted = judge()
    assert (admitted.frame.height, admitted.figures["rows"], admitted.quarantined) == (0, 0, ())


@pytest.mark.parametrize(
    "mapping",
    [
        FeedMapping(1, "ID", (*COLUMNS, Column("salary", "Salary"))),
        FeedMapping(1, "ID", (*COLUMNS, Column("email", "Mail"))),
        FeedMapping(1, "ID", (*COLUMNS, Column("external_id", "Key"))),
        FeedMapping(1, "ID", (*COLUMNS, Column("title", "T", type=ColumnType.DATE))),
        FeedMapping(1, "ID", (*COLUMNS, Column("title", "T", type=ColumnType.ENUM, values={"a": True, "b": "c"}))),
        FeedMapping(1, "ID", COLUMNS, frozenset({"Email"})),
        FeedMapping(1, "ID", COLUMNS, frozenset({"ID"})),
        FeedMapping(1, "ID", COLUMNS, defaults={"active": True}),
        FeedMapping(1, "ID", COLUMNS, defaults={"hire_date": "today"}),
        FeedMapping(1, "ID", COLUMNS, defaults={"salary": "1"}),
        FeedMapping(1, "ID", COLUMNS, defaults={"title": Joined(("hire_date",))}),
        FeedMapping(1, "ID", (Column("email", "Email"),)),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(mapping: FeedMapping) -> None:
    with pytest.raises(Misconfigured):
        check_mapping(mapping, FIELDS)


def test_a_column_cannot_contradict_itself() -> None:
    with pytest.raises(ValueError, match="both required and unchecked"):
        Column("title", "T", required=True, unchecked=True)
    with pytest.raises(ValueError, match="map of values"):
        Column("title", "T", type=ColumnType.ENUM)


def test_every_column_has_a_class() -> None:
    classes = MAPPING.classes()
    assert classes["ID"] is ColumnClass.REQUIRED
    assert classes["Email"] is ColumnClass.OPTIONAL
    assert classes["Phone"] is ColumnClass.UNCHECKED
    assert classes["WID"] is ColumnClass.IGNORED


def test_the_version_of_a_mapping_follows_its_content() -> None:
    first = with_content_version(MAPPING)
    assert first == with_content_version(MAPPING)
    others = [
        FeedMapping(1, "Email", COLUMNS, MAPPING.ignored, MAPPING.defaults),
        FeedMapping(1, "ID", COLUMNS[:-1], MAPPING.ignored, MAPPING.defaults),
        FeedMapping(1, "ID", COLUMNS, frozenset(), MAPPING.defaults),
        FeedMapping(1, "ID", COLUMNS, MAPPING.ignored),
    ]
    versions = {with_content_version(other).version for other in (MAPPING, *others)}
    assert len(versions) == 5
    assert all(0 <= version < 2**31 for version in versions)


_texts = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.sampled_from(
        ["E1", "E2", "E3", "1", "0", "yes", "2024-01-01", "0000-00-00", "a@b.c", "Employee", " ", "\0", "\x1f"]
    ),
)
_columns = st.sampled_from([*row(), "WID", "Else", "row_no", "c0", "f0", "external_id", "active"])


@st.composite
def _feeds(draw: st.DrawFn) -> pl.DataFrame:
    names = draw(st.lists(_columns, unique=True, min_size=1))
    if draw(st.booleans()):
        names = list(dict.fromkeys([*row(), *names]))
    height = draw(st.integers(0, 8))
    cells = {name: draw(st.lists(_texts, min_size=height, max_size=height)) for name in names}
    return pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String))


@settings(max_examples=300, deadline=None)
@given(_feeds())
def test_no_feed_makes_it_raise_and_nobody_is_lost(feed: pl.DataFrame) -> None:
    admitted = admit(feed, MAPPING, FIELDS)
    known = set(admitted.frame["external_id"])
    if "ID" in feed.columns:
        trimmed = {text for text in feed["ID"].str.strip_chars().drop_nulls() if text}
        assert known | admitted.kept_ids == trimmed
    assert not known & admitted.kept_ids
    assert len(known) == admitted.frame.height
    counted = admitted.frame.height + len(admitted.quarantined) + admitted.figures["identical_duplicates"]
    assert admitted.blocked or counted == feed.height
    for one in admitted.quarantined:
        assert one.reasons
        assert all(reason.detail and "\0" not in reason.detail for reason in one.reasons)


@settings(max_examples=100, deadline=None)
@given(_feeds(), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_columns_is_of_no_matter(feed: pl.DataFrame, chance: random.Random) -> None:
    places, names = list(range(feed.height)), list(feed.columns)
    chance.shuffle(places)
    chance.shuffle(names)
    once, again = admit(feed, MAPPING, FIELDS), admit(feed[places].select(names), MAPPING, FIELDS)
    assert values(once) == values(again)
    assert once.kept_ids == again.kept_ids
    assert once.figures == again.figures
    assert once.profile == again.profile
    assert codes_sorted(once) == codes_sorted(again)


@settings(max_examples=50, deadline=None)
@given(_feeds())
def test_the_same_feed_has_the_same_verdict(feed: pl.DataFrame) -> None:
    once, again = admit(feed, MAPPING, FIELDS), admit(feed, MAPPING, FIELDS)
    assert once.frame.equals(again.frame)
    assert (once.quarantined, once.drift, once.profile) == (again.quarantined, again.drift, again.profile)


def codes_sorted(admitted: Admitted) -> list[tuple[str, list[tuple[str, str]]]]:
    found = codes(admitted)
    return sorted((str(key), sorted(reasons)) for key, reasons in found.items())


def test_a_long_chain_of_managers_is_judged_whole() -> None:
    rows = 50_000
    feed = pl.DataFrame(
        {
            "ID": [f"E{n}" for n in range(rows)],
            "Active": ["1"] * rows,
            "Last": ["x"] * rows,
            "Manager": [f"E{n + 1}" for n in range(rows)],
        }
    )
    admitted = admit(feed, MAPPING, FIELDS)
    assert (admitted.frame.height, admitted.figures["manager_absent"]) == (rows, 1)
