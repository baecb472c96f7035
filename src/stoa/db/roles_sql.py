"""The statements of `stoa.db.roles`, and how names and passwords stand in them."""

import base64
import hashlib
import hmac
import secrets
from typing import Final

_ITERATIONS: Final = 4096  # PostgreSQL's own number (scram_iterations); the passwords are 256 random bits

ADMIN: Final = """
select rolname as name, rolsuper, rolcreaterole, rolcreatedb, current_setting('server_version_num')::int / 10000 as
major from pg_catalog.pg_roles where rolname = current_user
"""

ROLES: Final = """
select r.rolname as name, r.rolcanlogin, r.rolinherit,
       r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb or r.rolreplication as privileged,
       coalesce(s.setconfig, '{}') as settings
from pg_catalog.pg_roles r
left join pg_catalog.pg_db_role_setting s on s.setrole = r.oid and s.setdatabase = 0
where r.rolname = any($1::text[])
"""

# to_jsonb, because inherit_option and set_option came with PostgreSQL 16.
MEMBERSHIPS: Final = """
select r.rolname as role, m.rolname as member, g.rolname as grantor, a.admin_option,
       coalesce((to_jsonb(a) ->> 'inherit_option')::bool, m.rolinherit) as inherits,
       coalesce((to_jsonb(a) ->> 'set_option')::bool, true) as sets
from pg_catalog.pg_auth_members a
join pg_catalog.pg_roles r on r.oid = a.roleid
join pg_catalog.pg_roles m on m.oid = a.member
left join pg_catalog.pg_roles g on g.oid = a.grantor
where m.rolname = any($1::text[]) or r.rolname = $2
"""

DATABASE: Final = """
select pg_get_userbyid(d.datdba) as owner, pg_encoding_to_char(d.encoding) as encoding,
       has_database_privilege('public', d.oid, 'CONNECT') or has_database_privilege('public', d.oid, 'TEMP') as open,
       has_database_privilege(d.oid, 'CONNECT') as reachable,
       array(select l from unnest($2::text[]) l where not has_database_privilege(l, d.oid, 'CONNECT')) as shut_out
from pg_catalog.pg_database d where d.datname = $1
"""

SCHEMA: Final = """
select pg_get_userbyid(n.nspowner) as owner,
       has_schema_privilege('public', n.oid, 'USAGE') or has_schema_privilege('public', n.oid, 'CREATE') as open,
       array(select l from unnest($1::text[]) l where not has_schema_privilege(l, n.oid, 'USAGE')) as shut_out
from pg_catalog.pg_namespace n where n.nspname = 'public'
"""


def identifier(name: str) -> str:
    """The name as a quoted identifier."""
    if "\0" in name:
        raise ValueError("a name has no NUL character")
    return '"' + name.replace('"', '""') + '"'


def create_role(role: str, *, login: bool, password: str | None) -> str:
    """Only what is not the default is said: to a role without superuser rights even `NOBYPASSRLS` may be refused."""
    secret = f" PASSWORD '{scram_verifier(password)}'" if password is not None else ""
    return f"CREATE ROLE {identifier(role)} {_attributes(login=login)}{secret}"


def alter_role(role: str, *, login: bool) -> str:
    """Sets the two attributes that may be set right."""
    return f"ALTER ROLE {identifier(role)} {_attributes(login=login)}"


def _attributes(*, login: bool) -> str:
    # The owner inherits: as the database's owner it is in pg_database_owner, which owns schema public at first.
    return "LOGIN NOINHERIT" if login else "NOLOGIN INHERIT"


def set_password(role: str, password: str) -> str:
    """Replaces the password; the server and its log see the verifier alone."""
    return f"ALTER ROLE {identifier(role)} PASSWORD '{scram_verifier(password)}'"


def set_setting(role: str, name: str, value: str) -> str:
    """A setting that each session of the role starts with."""
    return f"ALTER ROLE {identifier(role)} SET {identifier(name)} = '{value}'"


def grant_membership(role: str, member: str, major: int) -> str:
    """Lets `member` SET ROLE, and no more. Before 16 its own NOINHERIT sees to the second half."""
    options = " WITH INHERIT FALSE, SET TRUE" if major >= 16 else ""
    return f"GRANT {identifier(role)} TO {member if member == 'CURRENT_USER' else identifier(member)}{options}"


def create_database(database: str, owner: str) -> str:
    """Order by code point ("C") on every machine and major version; words are folded by `stoa.kernel.fold`."""
    return (
        f"CREATE DATABASE {identifier(database)} OWNER {identifier(owner)} "
        "TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER libc"
    )


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """What PostgreSQL stores instead of the password (RFC 5803 as `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`;
    RFC 5802, section 3).

    The password is ASCII, so SASLprep leaves it as it is.
    """
    salt = secrets.token_bytes(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}"
