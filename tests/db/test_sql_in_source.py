"""Rules that no catalogue can show: what the statements in the source say (docs/architecture.md, section 2)."""

from pathlib import Path

import stoa
from tests.db.sql_in_source import staging_faults, statements, time_faults

SOURCE = Path(stoa.__file__).parent


def test_statements_on_staging_tables_name_the_tenant_and_the_run() -> None:
    found = statements(SOURCE)
    assert any("stage." in one.text for one in found)
    assert staging_faults(found) == []


def test_no_statement_asks_the_server_for_the_time() -> None:
    assert time_faults(statements(SOURCE)) == []


def test_the_scan_follows_constants_and_finds_each_fault(tmp_path: Path) -> None:
    package = tmp_path / "house"
    package.mkdir()
    (package / "words.py").write_text('MINE = "tenant_id = $1"\nTIME = "now()"\n')
    (package / "room.py").write_text(
        "from house import words\n"
        "from house.words import MINE, TIME\n"
        '"""SELECT FROM stage.docstring is no statement."""\n'
        'GOOD = f"SELECT * FROM stage.t WHERE {MINE} AND run_id = $2"\n'
        'NO_RUN = f"DELETE FROM stage.t WHERE {words.MINE}"\n'
        'NO_TENANT = "UPDATE stage.t SET a = 1" + " WHERE run_id = $1"\n'
        "async def late(tx):\n"
        '    """SELECT now() is a docstring."""\n'
        '    await tx.execute(f"UPDATE t SET at = {TIME}")\n'
        '    await tx.execute("SELECT 1 FROM t WHERE d < current_date %s" % "x")\n'
    )
    found = statements(package)
    assert staging_faults(found) == ["house.room:5", "house.room:6"]
    assert time_faults(found) == ["house.room:9", "house.room:10"]
