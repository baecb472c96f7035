-- Accounts of the people who run Stoa and its tenants. They span tenants, so they are the platform's own: stoa_app and
-- stoa_sync see nothing of them (docs/architecture.md, section 2). No foreign keys: these tables are of no tenant.

CREATE TABLE operator (
  operator_id uuid PRIMARY KEY,
  email text NOT NULL CHECK (length(email) BETWEEN 3 AND 320),
  email_key text COLLATE "C" NOT NULL UNIQUE,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  name_key text COLLATE "C" NOT NULL,
  password_hash text NOT NULL,
  must_change_password boolean NOT NULL,
  platform_role text CHECK (platform_role IN ('platform_admin', 'platform_viewer')),
  -- Raised by whatever must end the sessions; a session of an earlier epoch opens nothing.
  access_epoch bigint NOT NULL DEFAULT 0,
  disabled_at timestamptz,
  created_at timestamptz NOT NULL,
  last_sign_in_at timestamptz,
  password_changed_at timestamptz NOT NULL
);
CREATE INDEX operator_name ON operator (name_key, operator_id);
GRANT SELECT, INSERT, UPDATE ON operator TO stoa_platform;
GRANT SELECT ON operator TO stoa_backup;

CREATE TABLE operator_grant (
  operator_id uuid NOT NULL,
  tenant_id uuid NOT NULL,
  role text NOT NULL CHECK (role IN ('tenant_admin', 'tenant_viewer')),
  PRIMARY KEY (operator_id, tenant_id)
);
GRANT SELECT, INSERT, DELETE ON operator_grant TO stoa_platform;
GRANT SELECT ON operator_grant TO stoa_backup;

CREATE TABLE operator_session (
  session_id uuid PRIMARY KEY,
  token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
  operator_id uuid NOT NULL,
  access_epoch bigint NOT NULL,
  created_at timestamptz NOT NULL,
  last_seen_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  user_agent text NOT NULL CHECK (length(user_agent) <= 400),
  address text NOT NULL CHECK (length(address) <= 100)
);
CREATE INDEX operator_session_operator ON operator_session (operator_id);
GRANT SELECT, INSERT, UPDATE, DELETE ON operator_session TO stoa_platform;
GRANT SELECT ON operator_session TO stoa_backup;

-- Attempts to sign in that have not succeeded, by a digest of the account's address or of the sender's.
CREATE TABLE sign_in_attempt (
  key text COLLATE "C" PRIMARY KEY,
  failures integer NOT NULL CHECK (failures >= 0),
  last_at timestamptz NOT NULL,
  locked_until timestamptz
);
CREATE INDEX sign_in_attempt_last ON sign_in_attempt (last_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON sign_in_attempt TO stoa_platform;
GRANT SELECT ON sign_in_attempt TO stoa_backup;
