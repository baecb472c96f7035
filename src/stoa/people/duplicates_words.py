"""What the evidence of duplicates is called: what a visitor reads of it comes from here alone."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

Gettext = Callable[[str], str]


def N_(message: str) -> str:  # noqa: N802 - the name by which Babel finds texts that are translated later
    """Marks a text that is translated where it is used."""
    return message


EVIDENCE: Final[Mapping[str, str]] = {
    "employee_id": N_("Same employee id"),
    "email": N_("Same e-mail address"),
    "address": N_("One has, or had, an e-mail address that the other has or had"),
    "user_name": N_("Same user name"),
    "name_phone": N_("Same name and phone"),
    "name_hire_date": N_("Same name and hire date"),
    "name_manager": N_("Same name and manager"),
    "name_department": N_("Same name and department"),
    "initials_phone": N_("Same family name and initial, and the same phone"),
    "initials_hire_date": N_("Same family name and initial, and the same hire date"),
    "initials_manager": N_("Same family name and initial, and the same manager"),
    "initials_department": N_("Same family name and initial, and the same department"),
    "not_employee_id": N_("Against it: their employee ids differ"),
    "not_source": N_("Against it: one source knows both, as two people"),
}
ROOMS: Final[Mapping[str, str]] = {
    "source_record.person_id": N_("Records of sources, with their groups"),
    "hold.person_id": N_("Values that wait for approval"),
    "decision.verdict_person": N_("Decisions about who somebody is"),
    "person.manager_id": N_("People whose manager this is"),
    "person_role.person_id": N_("Roles"),
    "duplicate_pair.person_a": N_("Pairs that may be duplicates"),
    "duplicate_pair.person_b": N_("Pairs that may be duplicates"),
    "duplicate_key.person_id": N_("What they are compared by"),
}
BECOMES: Final[Mapping[str, str]] = {
    "move": N_("goes to the survivor"),
    "combine": N_("is made anew of both"),
    "keep": N_("stays as it was, because it tells what happened"),
}
STAYS: Final[Mapping[str, str]] = {
    "linked_since": N_("it belongs to somebody else by now"),
    "record_is_gone": N_("it is gone"),
    "person_is_gone": N_("the person is gone"),
}


def evidence(gettext: Gettext, kinds: Iterable[str]) -> list[str]:
    """What speaks for and against a pair, in words; a kind that is not here is spelt as it is."""
    return [gettext(EVIDENCE[kind]) if kind in EVIDENCE else kind for kind in kinds]


def room(gettext: Gettext, table: str, column: str) -> str:
    """What the rows of a table are."""
    name = f"{table}.{column}"
    return gettext(ROOMS[name]) if name in ROOMS else name
