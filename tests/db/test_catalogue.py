"""The rules for every table (docs/architecture.md, section 2), read from the catalogue of the migrated database."""

import importlib
import pkgutil

import asyncpg

import stoa
from stoa.db.roles import LOGINS, OWNER
from tests.db import expected
from tests.db.expected import PLATFORM, REFERENCE, STAGING, TENANTED, Policy

OURS = "c.relnamespace IN ('public'::regnamespace, 'stage'::regnamespace)"
TABLES = f"SELECT c.oid, c.relname AS name, c.relnamespace::regnamespace::text AS space FROM pg_class c WHERE {OURS}"


async def _tables(root: asyncpg.Connection, space: str) -> set[str]:
    return {row["name"] for row in await root.fetch(f"{TABLES} AND c.relkind = 'r'") if row["space"] == space}


async def _columns(root: asyncpg.Connection, table: str) -> list[str]:
    rows = await root.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped",
        table,
    )
    return [row["attname"] for row in rows]


async def test_every_table_is_a_tenants_or_a_known_one_of_no_tenant(root: asyncpg.Connection) -> None:
    assert await _tables(root, "public") == {*TENANTED, *REFERENCE, *PLATFORM}
    assert await _tables(root, "stage") == STAGING


async def test_there_are_tables_indexes_and_the_known_sequences_alone(root: asyncpg.Connection) -> None:
    # A view would run with its owner's rights and so pass the boundary; a rule or a partition would need more tests.
    kinds = await root.fetch(f"SELECT c.relkind::text AS kind, c.relname AS name FROM pg_class c WHERE {OURS}")
    assert {row["name"] for row in kinds if row["kind"] not in "ri"} == expected.SEQUENCES
    assert {row["kind"] for row in kinds} == {"r", "i", "S"}
    assert (
        await root.fetchval(f"SELECT count(*) FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE {OURS}")
        == 0
    )
    assert (
        await root.fetchval(f"SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE {OURS}")
        == 0
    )


async def test_everything_belongs_to_the_owner(root: asyncpg.Connection) -> None:
    strangers = await root.fetch(
        f"""SELECT c.relname, pg_get_userbyid(c.relowner) FROM pg_class c
            WHERE {OURS} AND pg_get_userbyid(c.relowner) <> $1
            UNION ALL SELECT nspname, pg_get_userbyid(nspowner) FROM pg_namespace
            WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND pg_get_userbyid(nspowner) <> $1
            UNION ALL SELECT c.proname, pg_get_userbyid(c.proowner) FROM pg_proc c
            WHERE c.pronamespace IN ('public'::regnamespace, 'stage'::regnamespace)
              AND pg_get_userbyid(c.proowner) <> $1""",
        OWNER,
    )
    assert [tuple(row) for row in strangers] == []


async def test_tenant_tables_force_row_level_security_and_no_other_table_has_it(root: asyncpg.Connection) -> None:
    rows = await root.fetch(
        f"SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity FROM pg_class c WHERE {OURS} AND c.relkind = 'r'"
    )
    secured = {row["relname"]: (row["relrowsecurity"], row["relforcerowsecurity"]) for row in rows}
    assert {name for name, (enabled, _) in secured.items() if enabled} == {*TENANTED}
    assert {name for name, (_, forced) in secured.items() if forced} == {*TENANTED}


async def test_the_policies_are_those_listed(root: asyncpg.Connection) -> None:
    found: dict[str, dict[str, Policy]] = {}
    for row in await root.fetch("SELECT * FROM pg_policies"):
        assert row["schemaname"] == "public"
        assert row["permissive"] == "PERMISSIVE"
        policy = Policy(frozenset(row["roles"]), row["cmd"], row["qual"], row["with_check"])
        found.setdefault(row["tablename"], {})[row["policyname"]] = policy
    assert found == {table: tenanted.policies for table, tenanted in TENANTED.items()}


async def test_the_grants_on_tables_are_those_listed(root: asyncpg.Connection) -> None:
    rows = await root.fetch(
        f"""SELECT c.relnamespace::regnamespace::text || '.' || c.relname AS name, g.grantee::regrole::text AS role,
              g.privilege_type AS privilege, g.is_grantable
            FROM pg_class c, aclexplode(c.relacl) AS g
            WHERE {OURS} AND c.relkind = 'r' AND g.grantee <> c.relowner"""
    )
    assert {(row["name"], row["role"], row["privilege"]) for row in rows} == expected.table_grants()
    assert not any(row["is_grantable"] for row in rows)


async def test_the_grants_on_columns_are_those_listed(root: asyncpg.Connection) -> None:
    rows = await root.fetch(
        f"""SELECT c.relname AS name, a.attname, g.grantee::regrole::text AS role, g.privilege_type AS privilege
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) AS g WHERE {OURS}"""
    )
    found = {(row["name"], row["attname"], row["role"], row["privilege"]) for row in rows}
    assert found == expected.column_grants()


async def test_the_grants_on_sequences_and_schemas_are_those_listed(root: asyncpg.Connection) -> None:
    rows = await root.fetch(
        f"""SELECT c.relname AS name, g.grantee::regrole::text AS role, g.privilege_type AS privilege
            FROM pg_class c, aclexplode(c.relacl) AS g WHERE {OURS} AND c.relkind = 'S' AND g.grantee <> c.relowner"""
    )
    for name in expected.SEQUENCES:
        assert {(row["role"], row["privilege"]) for row in rows if row["name"] == name} == expected.SEQUENCE_GRANTS
    rows = await root.fetch(
        """SELECT n.nspname AS name, g.grantee::regrole::text AS role, g.privilege_type AS privilege
           FROM pg_namespace n, aclexplode(n.nspacl) AS g
           WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND g.grantee <> n.nspowner"""
    )
    found: dict[str, set[tuple[str, str]]] = {}
    for row in rows:
        found.setdefault(row["name"], set()).add((row["role"], row["privilege"]))
    assert found == expected.SCHEMAS


async def test_nothing_is_granted_to_things_yet_to_be_made(root: asyncpg.Connection) -> None:
    assert await root.fetch("SELECT * FROM pg_default_acl") == []


async def test_functions_run_as_their_caller_and_are_called_by_those_listed(root: asyncpg.Connection) -> None:
    rows = await root.fetch(
        """SELECT p.proname AS name, p.prosecdef AS definer, g.grantee, pg_get_userbyid(g.grantee) AS role,
             g.grantee = p.proowner AS own
           FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS g
           WHERE p.pronamespace IN ('public'::regnamespace, 'stage'::regnamespace)"""
    )
    assert {row["name"] for row in rows if row["definer"]} == expected.SECURITY_DEFINERS
    # Grantee 0 is PUBLIC: whoever can log in.
    assert {row["name"] for row in rows if row["grantee"] == 0} == set()
    callers: dict[str, set[str]] = {row["name"]: set() for row in rows}
    for row in rows:
        if not row["own"]:
            callers[row["name"]].add(row["role"])
    assert callers == expected.FUNCTIONS


async def test_the_roles_have_no_attribute_beyond_their_login(root: asyncpg.Connection) -> None:
    rows = await root.fetch("SELECT * FROM pg_roles WHERE rolname = any($1::text[])", [OWNER, *LOGINS])
    assert {row["rolname"] for row in rows} == {OWNER, *LOGINS}
    for row in rows:
        for right in ("rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb", "rolreplication"):
            assert not row[right], (row["rolname"], right)
        assert row["rolcanlogin"] == (row["rolname"] in LOGINS), row["rolname"]
    members = await root.fetch(
        """SELECT m.member::regrole::text AS member, m.roleid::regrole::text AS role FROM pg_auth_members m
           WHERE m.member::regrole::text LIKE 'stoa\\_%' AND m.member::regrole::text <> current_user"""
    )
    assert [tuple(row) for row in members] == [("stoa_migrator", OWNER)]


async def test_tenant_id_comes_first_in_every_key(root: asyncpg.Connection) -> None:
    for table in TENANTED:
        rows = await root.fetch(
            """SELECT i.indexrelid::regclass::text AS name, i.indisprimary,
                 (SELECT attname FROM pg_attribute WHERE attrelid = i.indrelid AND attnum = i.indkey[0]) AS first
               FROM pg_index i WHERE i.indrelid = $1::text::regclass AND (i.indisunique OR i.indisexclusion)""",
            table,
        )
        assert sum(row["indisprimary"] for row in rows) == 1, table
        assert {row["name"]: row["first"] for row in rows if row["first"] != "tenant_id"} == {}
        kind = await root.fetchrow(
            """SELECT format_type(atttypid, atttypmod) AS type, attnotnull FROM pg_attribute
               WHERE attrelid = $1::text::regclass AND attname = 'tenant_id'""",
            table,
        )
        assert kind is not None
        assert tuple(kind) == ("uuid", True), table


async def test_foreign_keys_stay_within_the_tenant(root: asyncpg.Connection) -> None:
    rows = await root.fetch(
        """SELECT k.conname AS name, k.conrelid::regclass::text AS source, k.confrelid::regclass::text AS target,
             (SELECT attname FROM pg_attribute WHERE attrelid = k.conrelid AND attnum = k.conkey[1]) AS here,
             (SELECT attname FROM pg_attribute WHERE attrelid = k.confrelid AND attnum = k.confkey[1]) AS there
           FROM pg_constraint k WHERE k.contype = 'f'"""
    )
    assert rows
    for row in rows:
        assert (row["here"], row["there"]) == ("tenant_id", "tenant_id"), row["name"]
        # To or from a table of no tenant there is none: the store could not be sharded.
        assert row["source"] in TENANTED, row["name"]
        assert row["target"] in TENANTED, row["name"]


async def test_no_table_counts_by_itself_or_acts_by_itself(root: asyncpg.Connection) -> None:
    owned = await root.fetch(
        "SELECT objid::regclass::text FROM pg_depend WHERE classid = 'pg_class'::regclass AND deptype IN ('a', 'i')"
        " AND objid IN (SELECT oid FROM pg_class WHERE relkind = 'S')"
    )
    assert owned == []
    triggers = await root.fetch(
        f"SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE {OURS} AND NOT t.tgisinternal"
    )
    assert triggers == []
    assert await root.fetch("SELECT evtname FROM pg_event_trigger") == []


async def test_a_tenants_time_comes_from_its_clock_and_never_from_the_server(root: asyncpg.Connection) -> None:
    rows = await root.fetch(
        f"""SELECT c.relname AS name, pg_get_expr(d.adbin, d.adrelid) AS text FROM pg_attrdef d
            JOIN pg_class c ON c.oid = d.adrelid WHERE {OURS}
            UNION ALL SELECT p.proname, p.prosrc FROM pg_proc p
            WHERE p.pronamespace IN ('public'::regnamespace, 'stage'::regnamespace)"""
    )
    told = ("now()", "current_", "clock_timestamp", "localtime", "statement_timestamp", "transaction_timestamp")
    timed = {
        row["name"] for row in rows if any(word in row["text"].lower().replace("current_setting", "") for word in told)
    }
    assert timed == {"schema_migration"}


async def test_staging_tables_are_keyed_by_tenant_and_run_and_logged(root: asyncpg.Connection) -> None:
    for table in STAGING:
        key = await root.fetchval(
            """SELECT array_agg(a.attname ORDER BY k.ord)::text[] FROM pg_index i,
                 unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, ord)
               JOIN pg_attribute a ON a.attnum = k.attnum
               WHERE i.indrelid = $1::text::regclass AND i.indisprimary AND a.attrelid = i.indrelid""",
            f"stage.{table}",
        )
        assert key[:2] == ["tenant_id", "run_id"], table
    unlogged = await root.fetch(
        f"SELECT c.relname FROM pg_class c WHERE {OURS} AND c.relpersistence <> 'p' AND c.relkind = 'r'"
    )
    assert {row["relname"] for row in unlogged} == expected.UNLOGGED


async def test_keys_compare_by_code_point_whatever_the_databases_locale(root: asyncpg.Connection) -> None:
    rows = await root.fetch(
        f"""SELECT c.relname AS name, a.attname, l.collname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            LEFT JOIN pg_collation l ON l.oid = a.attcollation
            WHERE {OURS} AND c.relkind = 'r' AND a.atttypid = 'text'::regtype
              AND (a.attname = 'key' OR a.attname LIKE '%\\_key')"""
    )
    assert {(row["name"], row["attname"]) for row in rows} >= {("person", "email_key"), ("person_record", "email_key")}
    assert [tuple(row) for row in rows if row["collname"] != "C"] == []


async def test_every_reference_to_a_person_is_declared(root: asyncpg.Connection) -> None:
    rows = await root.fetch(
        """SELECT k.conrelid::regclass::text AS name, a.attname FROM pg_constraint k
           JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = any(k.conkey)
           WHERE k.contype = 'f' AND k.confrelid = 'person'::regclass AND a.attname <> 'tenant_id'
           UNION SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
           WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attname = 'person_id'
             AND c.relname <> 'person'"""
    )
    modules = [found.name for found in pkgutil.walk_packages(stoa.__path__, "stoa.") if found.name.endswith(".refs")]
    declared = {(ref.table, ref.column) for name in modules for ref in importlib.import_module(name).REFERENCES}
    assert {tuple(row) for row in rows} - declared == set()
    for table, column in declared:
        assert column in await _columns(root, table), f"{table}.{column} is declared and is not there"
