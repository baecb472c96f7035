"""Every command explains itself and each of its options."""

from collections.abc import Iterator

import cyclopts
import pytest

from stoa.cli import app


def commands(group: cyclopts.App, words: tuple[str, ...] = ()) -> Iterator[tuple[str, cyclopts.App]]:
    """Every command under a group, by its words."""
    for name in group:
        if name.startswith("-"):
            continue
        found = group[name]
        if found.default_command is not None:
            yield " ".join((*words, name)), found
        yield from commands(found, (*words, name))


COMMANDS = dict(commands(app))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    found = COMMANDS[name]
    assert found.help.strip()
    options = found.assemble_argument_collection(parse_docstring=True)
    assert [option.name for option in options if option.parse and option.show and not option.parameter.help] == []
