"""Temporary folders end with their processes, or with the next one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stoa.sync.scratch import scratch_folder

PROGRAM = """
import time
from stoa.sync.scratch import scratch_folder
with scratch_folder("stoa-scratch-test-") as folder:
    (folder / "report").write_text("personal")
    print(folder, flush=True)
    time.sleep(60)
"""


def test_a_folder_goes_with_its_block() -> None:
    with scratch_folder("stoa-scratch-gone-") as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "report").write_text("personal")
    assert not folder.exists()


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "running"])
def test_a_folder_is_removed_only_when_its_process_is_gone(killed: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        if killed:
            os.kill(process.pid, signal.SIGKILL)
            process.wait(10)
        with scratch_folder("stoa-scratch-test-") as mine:
            assert mine != left
            assert (left / "report").exists() is not killed
        process.kill()
    with scratch_folder("stoa-scratch-test-"):
        assert not left.exists()
