"""Roles in the words of a visitor's language."""

from collections.abc import Callable, Mapping

from stoa.people.roles_model import Role


def role_names(gettext: Callable[[str], str]) -> Mapping[Role, str]:
    """What each role is called."""
    _ = gettext
    return {
        Role.ADMIN: _("Admin"),
        Role.AUTHOR: _("Author"),
        Role.INSTRUCTOR: _("Instructor"),
        Role.MANAGER: _("Manager"),
        Role.REPORTER: _("Reporter"),
    }


def role_meanings(gettext: Callable[[str], str]) -> Mapping[Role, str]:
    """What each role is for, in a sentence."""
    _ = gettext
    return {
        Role.ADMIN: _("Runs the learning of the whole company."),
        Role.AUTHOR: _("Makes courses and changes them."),
        Role.INSTRUCTOR: _("Teaches, and sees who takes part."),
        Role.MANAGER: _("Sees and assigns the learning of those who report to them."),
        Role.REPORTER: _("Sees the figures of everybody, and changes nothing."),
    }
