"""The set-up's look at the machine, `make help`, and the plugin that lets nothing be skipped."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MACHINE = ROOT / "tools" / "machine.sh"
WHOLE = "echo '3.12 yes /usr/bin/python3.12'"
WITHOUT_VENV = "echo '3.13 no /usr/bin/python3.13'"
SHIM = "echo 'pyenv: python3.14: command not found' >&2; exit 127"
OLD_NODE, NEW_NODE = "exit 1", "exit 0"


def look(folder: Path, programs: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs the look on a machine that has these programs and no others; each is given by its script."""
    shell = shutil.which("sh")
    assert shell
    (folder / "id").symlink_to(shutil.which("id") or "id")
    for name, script in programs.items():
        (folder / name).write_text(f"#!{shell}\n{script}\n")
        (folder / name).chmod(0o755)
    return subprocess.run([shell, MACHINE], env={"PATH": str(folder)}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("programs", "line"),
    [
        ({}, "apt-get install -y python3 python3-venv"),
        ({"python3.14": SHIM}, "apt-get install -y python3 python3-venv"),
        ({"python3.13": WITHOUT_VENV}, "apt-get install -y python3.13-venv"),
    ],
)
def test_a_machine_that_lacks_something_is_told_the_line_to_type(
    tmp_path: Path, programs: dict[str, str], line: str
) -> None:
    seen = look(tmp_path, programs)
    assert seen.returncode == 1
    assert seen.stderr.rstrip().endswith(line)
    assert seen.stdout == ""


@pytest.mark.parametrize(
    ("programs", "told"),
    [
        ({"python3.14": SHIM, "python3.13": WITHOUT_VENV, "python3.12": WHOLE}, "python: /usr/bin/python3.12"),
        ({"uv": "exit 0"}, "python: none"),
        ({"python3": WHOLE, "node": OLD_NODE, "npm": "exit 0"}, "node: none"),
        ({"python3": WHOLE, "node": NEW_NODE}, "node: none"),
        ({"python3": WHOLE, "node": NEW_NODE, "npm": "exit 0"}, "node: /"),
    ],
)
def test_what_is_there_is_found(tmp_path: Path, programs: dict[str, str], told: str) -> None:
    seen = look(tmp_path, programs)
    assert (seen.returncode, seen.stderr) == (0, "")
    assert told in seen.stdout


def test_this_very_python_is_enough() -> None:
    ran = subprocess.run(["sh", MACHINE], capture_output=True, text=True, check=True)
    assert "python: /" in ran.stdout or "uv: /" in ran.stdout


def test_make_without_a_target_explains_itself() -> None:
    said = subprocess.run(
        ["make", "-C", ROOT, "--no-print-directory"], capture_output=True, text=True, check=True
    ).stdout
    for target in ("setup", "demo", "test", "test-all", "check", "bench", "dev", "docs"):
        assert any(line.split()[:2] == ["make", target] and len(line.split()) > 3 for line in said.splitlines()), target


TESTS = """
import pytest
def test_passes(): pass
@pytest.mark.skip(reason="marked")
def test_marked(): pass
def test_inside(): pytest.skip("inside")
@pytest.mark.xfail
def test_expected(): assert False
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_skipping_fails(tmp_path: Path, workers: str) -> None:
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "no_skips.py", tmp_path / "tests")
    (tmp_path / "tests" / "test_some.py").write_text(TESTS)
    plugins = ["-p", "tests.no_skips", "-p", "xdist", "-p", "no:cacheprovider"]
    options = ["-q", *plugins, "-n", workers, "-c", "/dev/null", "--rootdir", "."]

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", *options, "tests"]
        env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    ran = run()
    assert ran.returncode == 1
    assert "2 failed, 1 passed, 1 error" in ran.stdout
    assert "skipped" not in ran.stdout.splitlines()[-1]
    (tmp_path / "tests" / "test_some.py").write_text("def test_passes(): pass")
    assert run().returncode == 0
    (tmp_path / "tests" / "test_other.py").write_text("import pytest; pytest.importorskip('no_such_module')")
    module = run()
    assert module.returncode != 0
    assert "nothing may be" in module.stdout
