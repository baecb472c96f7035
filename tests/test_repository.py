"""The rules of the house, read from the tree itself."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
SHOWN = {".css", ".html", ".js"}
PHASES = ("identity", "hris", "crm", "content", "analytics", "payments")
CONNECTORS = ("hris", "crm")
LONGEST_FILE = 400
LONGEST_FUNCTION = 50
VAGUE = {"helper", "helpers", "util", "utils", "processor", "processors", "data"}
# A person's manager is a word of the trade, so functions may speak of one; a class or a module that is one is vague.
VAGUE_THINGS = {*VAGUE, "manager"}
CLIENTS = {"aiohttp", "ftplib", "httpx", "httpx2", "imaplib", "paramiko", "poplib", "requests", "smtplib", "telnetlib"}
CLIENT_MODULES = {"http.client", "urllib.request"}
NOT_PURE = {
    "asyncio",
    "asyncpg",
    "anyio",
    "io",
    "os",
    "pathlib",
    "random",
    "secrets",
    "shutil",
    "socket",
    "subprocess",
    "time",
    "uvicorn",
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(path: Path) -> ast.Module:
    """A parsed source file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def named(path: Path) -> str:
    """A file as it is named in a failure."""
    return path.relative_to(ROOT).as_posix()


def nodes(*kinds: type[ast.AST], under: str = "") -> Iterator[tuple[Path, ast.AST]]:
    """Every node of some kinds in the sources."""
    for path in SOURCES:
        if named(path).startswith(under):
            yield from ((path, node) for node in ast.walk(tree(path)) if isinstance(node, kinds))


def imported(node: ast.AST) -> list[str]:
    """The modules that an import statement names."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), level=0, names=names):
            return [module, *(f"{module}.{alias.name}" for alias in names)]
        case _:
            return []


@cache
def tracked() -> tuple[Path, ...]:
    """The files of the repository: those that git knows or would add."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def test_the_sources_are_found() -> None:
    assert len(SOURCES) > 20
    assert any(named(path) == "src/stoa/kernel/problems.py" for path in SOURCES)


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    shown = [path for path in tracked() if path.suffix in SHOWN]
    assert len(shown) > 40
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in [*SOURCES, *shown]}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    def length(function: Function) -> int:
        first = function.body[1] if ast.get_docstring(function) and len(function.body) > 1 else function.body[0]
        return (function.end_lineno or 0) - first.lineno + 1

    long = {
        f"{named(path)}:{node.lineno} {node.name}": length(node)
        for path, node in nodes(ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, Function) and length(node) > LONGEST_FUNCTION
    }
    assert long == {}


def _is_vague(name: str, words: set[str]) -> bool:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return bool(words & set(snake.split("_")))


@pytest.mark.parametrize("name", ["TenantManager", "helpers", "data", "RowProcessor", "str_utils"])
def test_vague_names_are_recognised(name: str) -> None:
    assert _is_vague(name, VAGUE_THINGS)


@pytest.mark.parametrize("name", ["managers", "ManagersOf", "database", "utilised", "metadata"])
def test_words_of_the_trade_are_not_vague(name: str) -> None:
    assert not _is_vague(name, VAGUE_THINGS)


def test_names_say_what_things_are() -> None:
    vague = {
        named(path)
        for path in SOURCES
        if any(_is_vague(part.removesuffix(".py"), VAGUE_THINGS) for part in path.relative_to(ROOT).parts)
    }
    for path, node in nodes(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef):
        assert isinstance(node, Function | ast.ClassDef)
        if _is_vague(node.name, VAGUE_THINGS if isinstance(node, ast.ClassDef) else VAGUE):
            vague.add(f"{named(path)}:{node.lineno} {node.name}")
    assert vague == set()


def _awaits(path: Path) -> list[int]:
    kinds = ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith
    return [node.lineno for node in ast.walk(tree(path)) if isinstance(node, kinds)]


def _file_of(module: str) -> Path | None:
    """The file of one of our modules, or None."""
    path = ROOT / "src" / Path(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def test_rules_are_pure() -> None:
    found: list[str] = []
    for path in SOURCES:
        if path.name != "rules.py" and path.parent.name != "rules":
            continue
        found += [f"{named(path)}:{line} awaits" for line in _awaits(path)]
        for module in (module for node in ast.walk(tree(path)) for module in imported(node)):
            if module.split(".")[0] in NOT_PURE:
                found.append(f"{named(path)}: imports {module}")
            elif (file := _file_of(module)) and _awaits(file):
                found.append(f"{named(path)}: imports {module}, which awaits")
    assert found == []


def test_imports_stand_at_the_head_of_a_file() -> None:
    inside = [
        f"{named(path)}:{inner.lineno}"
        for path, function in nodes(ast.FunctionDef, ast.AsyncFunctionDef)
        for inner in ast.walk(function)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert inside == []


def test_only_outbound_speaks_to_other_machines() -> None:
    found = [
        f"{named(path)}: {module}"
        for path, node in nodes(ast.Import, ast.ImportFrom, under="src/stoa/")
        for module in imported(node)
        if module.split(".")[0] in CLIENTS or module in CLIENT_MODULES
        if not named(path).startswith("src/stoa/outbound/")
    ]
    assert found == []


def test_folders_of_one_phase_do_not_know_each_other() -> None:
    found: list[str] = []
    for path, node in nodes(ast.Import, ast.ImportFrom, under="src/stoa/"):
        here = path.relative_to(ROOT / "src" / "stoa").parts
        for module in imported(node):
            there = module.split(".")[1:]
            if len(here) < 3 or len(there) < 2 or here[0] not in PHASES or here[0] != there[0] or here[1] == there[1]:
                continue
            if (ROOT / "src" / "stoa" / there[0] / there[1]).is_dir():
                found.append(f"{named(path)}: {module}")
    assert found == []


def test_rooms_below_the_edges_have_no_routes_or_pages_of_their_own() -> None:
    edges = {"api", "web", "changes", "sync", "people", "console", "rollout", "maturity", "learning", "lrs", *PHASES}
    found = {
        named(path)
        for path in (ROOT / "src" / "stoa").glob("*/*.py")
        if path.name in {"routes.py", "pages.py"} and path.parent.name not in edges
    }
    assert found == set()


def test_nothing_is_silenced_without_a_reason() -> None:
    silent = re.compile(r"#\s*(type:\s*ignore|pyright:\s*ignore)(\[[\w,\s]+\])?\s*(?P<reason>-\s+\S+)?")
    noqa = re.compile(r"#\s*noqa(?P<codes>:\s*[A-Z]+[0-9]+)?")
    found: list[str] = []
    for path in SOURCES:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if (ignored := silent.search(line)) and not (ignored["reason"] and ignored[2]):
                found.append(f"{named(path)}:{number} gives no rule or no reason: # pyright: ignore[rule] - because")
            if (suppressed := noqa.search(line)) and not suppressed["codes"]:
                found.append(f"{named(path)}:{number} silences every rule")
    assert found == []


def test_nothing_is_left_for_later() -> None:
    later = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    found = [named(path) for path in SOURCES if later.search(path.read_text(encoding="utf-8"))]
    assert found == []


def test_public_definitions_of_stoa_have_a_docstring() -> None:
    missing: list[str] = []
    for path in SOURCES:
        module = tree(path)
        if ast.get_docstring(module) is None and module.body:
            missing.append(named(path))
        missing += [
            f"{named(path)}:{node.lineno} {node.name}"
            for node in module.body
            if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
            if ast.get_docstring(node) is None
        ]
    assert missing == []


def test_every_connector_says_what_it_is() -> None:
    folders = [
        path for room in CONNECTORS for path in (ROOT / "src" / "stoa" / room).glob("*/") if list(path.glob("*.py"))
    ]
    assert [named(path) for path in folders if not (path / "README.md").is_file()] == []


def test_lock_files_name_no_host_and_pin_by_hash() -> None:
    locks = sorted((ROOT / "requirements").glob("*.lock"))
    assert {path.stem for path in locks} == {"run", "dev", "bench", "node"}
    for path in [*locks, ROOT / "package-lock.json"]:
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"\w+://\S+|--(?:extra-)?index-url.*|--find-links.*", text) == [], named(path)
    for path in locks:
        entries = re.split(r"\n(?=[a-z0-9])", path.read_text(encoding="utf-8"))
        assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == [], named(path)


def _pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize(("smaller", "larger"), [("run", "dev"), ("dev", "bench")])
def test_a_larger_lock_contains_the_smaller_one(smaller: str, larger: str) -> None:
    assert _pins(smaller).items() <= _pins(larger).items()


def test_the_locks_follow_the_project_file() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for lock, pattern in (
        ("run", r"^dependencies = \[(.*?)^\]"),
        ("dev", r"^dev = \[(.*?)^\]"),
        ("bench", r"^bench = \[(.*?)^\]"),
    ):
        section = re.search(pattern, text, re.MULTILINE | re.DOTALL)
        assert section, f"no section for {lock}"
        wanted = {name.lower() for name in re.findall(r'^\s*"([A-Za-z0-9._-]+)', section[1], re.MULTILINE)}
        assert wanted - set(_pins(lock)) == set(), "renew the locks with: make lock"


def test_no_path_of_a_machine_is_in_the_repository() -> None:
    # Homebrew's folder is the same on every machine. Put together here, so that this file does not match itself.
    names = "|".join(("root", "work", "home"))
    folders = re.compile(rf"(?<![\w.~}}$)>*-])/(?:{names})/(?!linuxbrew)[\w.]")
    found: list[str] = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{named(path)}: {match[0]}" for match in folders.finditer(text)]
    assert found == []
