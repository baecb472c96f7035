"""The documentation is part of the program: what it names exists, and what exists is named in it."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cyclopts
import pytest

from stoa.cli import app
from stoa.settings import Settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md"), *(ROOT / "src").rglob("README.md")])
ADRS = sorted((DOCS / "adr").glob("*.md"))
REFERENCE = DOCS / "reference"
# What a reader may be told to type besides make and stoa.
PROGRAMS = {
    "apt-get",
    "cd",
    "chmod",
    "curl",
    "export",
    "git",
    "jq",
    "kill",
    "pg_dump",
    "pg_restore",
    "psql",
    "source",
    "sudo",
    "sh",
    ".ci/run",
}
# A page of a decision holds what fits on one page of paper.
LONGEST_ADR = 60


def name_of(path: Path) -> str:
    """A page as it is named in a failure."""
    return path.relative_to(ROOT).as_posix()


def without_code(text: str) -> str:
    """A page's prose."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(path: Path) -> set[str]:
    """The anchors that a page's headings have, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def shell_lines() -> Iterator[tuple[str, str]]:
    """Every command in a fenced `sh` block of every page, with continued lines joined."""
    for path in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                command = line.split(" #")[0].strip()
                if command and not command.startswith("#"):
                    yield name_of(path), command


@cache
def make_targets() -> dict[str, str]:
    """Target to what `make help` says of it."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z][a-z-]*):.*?## (.+)$", makefile, re.MULTILINE))


def commands(group: cyclopts.App, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], cyclopts.App]]:
    """Every command under a group: its words and itself."""
    for name in group:
        if name.startswith("-"):
            continue
        found = group[name]
        if found.default_command is not None:
            yield (*words, name), found
        yield from commands(found, (*words, name))


COMMANDS = dict(commands(app))


@cache
def reference() -> dict[str, str]:
    """Command ("tenant create") to its section of the reference."""
    text = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    sections = re.split(r"^#+ ", text, flags=re.MULTILINE)
    return {match[1]: section for section in sections if (match := re.match(r"`stoa ([a-z -]+?)`", section))}


def test_there_is_documentation() -> None:
    assert {"README.md", "docs/getting-started.md", "docs/architecture.md", "docs/operations.md"} <= {
        *map(name_of, PAGES)
    }
    assert len(COMMANDS) >= 10
    assert len(list(shell_lines())) > 20


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    broken: list[str] = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(path.read_text(encoding="utf-8"))):
        if re.match(r"https?://|mailto:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        for target in re.findall(r"\]\(([^)\s#]+\.md)", path.read_text(encoding="utf-8")):
            there = (path.parent / target).resolve()
            if there.is_file():
                waiting.append(there)
    assert {name_of(path) for path in PAGES if DOCS in path.parents} - {name_of(path) for path in reached} == set()


def test_commands_in_the_documentation_exist() -> None:
    unknown: list[str] = []
    for page, line in shell_lines():
        words = shlex.split(line)
        program = words[0].removeprefix(".venv/bin/")
        if program == "make":
            unknown += [f"{page}: {line}" for word in words[1:] if "=" not in word and word not in make_targets()]
        elif program == "stoa":
            if not any(tuple(words[1 : len(path) + 1]) == path for path in COMMANDS):
                unknown.append(f"{page}: {line}")
        elif program != "stoa-simulators" and program not in PROGRAMS:
            unknown.append(f"{page}: {line}")
    assert unknown == []


def test_options_in_the_documentation_exist() -> None:
    unknown: list[str] = []
    for page, line in shell_lines():
        words = shlex.split(line)
        if words[0].removeprefix(".venv/bin/") != "stoa":
            continue
        path = max((path for path in COMMANDS if tuple(words[1 : len(path) + 1]) == path), key=len, default=None)
        known = options(COMMANDS[path]) if path else set[str]()
        unknown += [
            f"{page}: {word} in {line}" for word in words if word.startswith("--") and word.split("=")[0] not in known
        ]
    assert unknown == []


def options(command: cyclopts.App) -> set[str]:
    """The options of a command, both names of a switch."""
    return {
        name for argument in command.assemble_argument_collection() for name in argument.names if name.startswith("--")
    }


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_is_documented(path: tuple[str, ...]) -> None:
    section = reference().get(" ".join(path))
    assert section is not None, f"docs/reference/cli.md has no section for: stoa {' '.join(path)}"
    positive = {name for name in options(COMMANDS[path]) if not name.startswith(("--no-", "--empty-"))}
    told = section + (REFERENCE / "cli.md").read_text(encoding="utf-8").split("\n## ")[1]
    missing = {name for name in positive if name not in told and name.removeprefix("--").upper() not in told}
    assert missing == set()


def test_every_section_of_the_reference_is_a_command() -> None:
    assert set(reference()) - {" ".join(path) for path in COMMANDS} == set()


@pytest.mark.parametrize("field", sorted(Settings.model_fields))
def test_every_setting_is_documented(field: str) -> None:
    name = f"STOA_{field.upper()}"
    assert f"`{name}`" in (REFERENCE / "settings.md").read_text(encoding="utf-8")


def test_every_documented_setting_exists() -> None:
    known = {f"STOA_{field.upper()}" for field in Settings.model_fields}
    named = {
        (name_of(path), name) for path in PAGES for name in re.findall(r"\bSTOA_[A-Z_]+\b", path.read_text("utf-8"))
    }
    assert {(page, name) for page, name in named if name not in known} == set()


def test_the_make_targets_that_the_readers_need_are_there_and_explained() -> None:
    assert {"setup", "demo", "test", "test-all", "check", "bench", "dev", "docs"} <= set(make_targets())
    text = (DOCS / "getting-started.md").read_text(encoding="utf-8")
    assert [target for target in make_targets() if f"make {target}" not in text] == []


@pytest.mark.parametrize("path", ADRS, ids=name_of)
def test_a_decision_is_told_on_a_page(path: Path) -> None:
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", path.name)
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Choice", "Consequences"]
    assert re.match(rf"# {int(path.name[:4])}\. \S", text)
    assert len(text.splitlines()) <= LONGEST_ADR


def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    assert [int(path.name[:4]) for path in ADRS] == list(range(1, len(ADRS) + 1))
    listed = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert [path.name for path in ADRS if f"adr/{path.name}" not in listed] == []


def test_the_rooms_of_the_ladder_are_those_of_the_documentation() -> None:
    ladder = re.search(
        r"^layers =\n(.*?)\n\n", (ROOT / ".importlinter").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert ladder
    rooms = set(re.findall(r"[a-z]+", ladder[1]))
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert {room for room in rooms if not re.search(rf"^\s*`?{room}\b|[| `]{room}\b", text, re.MULTILINE)} == set()
