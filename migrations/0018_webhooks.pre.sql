-- Webhooks: each endpoint is a reader of the event log with a stored cursor; what was sent to it is kept for some weeks (stoa.analytics.webhooks).

CREATE TABLE webhook_endpoint (
  tenant_id uuid NOT NULL REFERENCES tenant,
  endpoint_id uuid NOT NULL,
  url text NOT NULL,
  description text NOT NULL DEFAULT '',
  -- In the language of filters over events; empty for all.
  filter text NOT NULL DEFAULT '',
  owner_email text,
  api_version text,
  state text COLLATE "C" NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
  disabled_reason text CHECK (disabled_reason IN ('by_hand', 'gone', 'failing')),
  disabled_at timestamptz,
  -- Raised by each change that a person makes.
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  deleted_at timestamptz,
  -- The number of the last event that is done with, and up to which number events were sent before the cursor was moved back.
  cursor bigint NOT NULL,
  replayed_to bigint NOT NULL DEFAULT 0,
  -- The delivery that waits for its next attempt, and holds up those after it, until when.
  blocked_by uuid,
  blocked_until timestamptz,
  -- When the next delivery that was asked for by hand is due.
  wake_at timestamptz,
  success_at timestamptz,
  failing_since timestamptz,
  -- Events given up since the last success.
  given_up integer NOT NULL DEFAULT 0,
  -- Counted on the real clock. Raised by each claim and each change: whoever holds the highest may write.
  lease_owner uuid,
  lease_until timestamptz,
  lease_epoch bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, endpoint_id),
  CHECK ((state = 'disabled') = (disabled_at IS NOT NULL) AND (state = 'disabled') = (disabled_reason IS NOT NULL))
) WITH (fillfactor = 50);
CREATE INDEX webhook_endpoint_live ON webhook_endpoint (tenant_id, endpoint_id) WHERE deleted_at IS NULL;
SELECT secure_tenant_table('webhook_endpoint', 'SELECT, INSERT, UPDATE');
GRANT SELECT (tenant_id, endpoint_id, state, deleted_at, cursor, blocked_until, wake_at, lease_owner, lease_until, lease_epoch)
  ON webhook_endpoint TO stoa_platform;
GRANT UPDATE (lease_owner, lease_until, lease_epoch) ON webhook_endpoint TO stoa_platform;
CREATE POLICY platform_rows ON webhook_endpoint FOR SELECT TO stoa_platform USING (true);
CREATE POLICY platform_claims ON webhook_endpoint FOR UPDATE TO stoa_platform USING (true) WITH CHECK (true);

-- Where each log ends: what an endpoint's cursor is compared with.
GRANT SELECT (tenant_id, next_seq) ON event_head TO stoa_platform;
CREATE POLICY platform_rows ON event_head FOR SELECT TO stoa_platform USING (true);

CREATE TABLE webhook_secret (
  tenant_id uuid NOT NULL,
  secret_id uuid NOT NULL,
  endpoint_id uuid NOT NULL,
  sealed bytea NOT NULL,
  created_at timestamptz NOT NULL,
  -- Set when another one takes its place: until then both sign.
  expires_at timestamptz,
  PRIMARY KEY (tenant_id, secret_id),
  FOREIGN KEY (tenant_id, endpoint_id) REFERENCES webhook_endpoint (tenant_id, endpoint_id)
);
CREATE UNIQUE INDEX webhook_secret_newest ON webhook_secret (tenant_id, endpoint_id) WHERE expires_at IS NULL;
CREATE INDEX webhook_secret_of ON webhook_secret (tenant_id, endpoint_id, secret_id);
SELECT secure_tenant_table('webhook_secret');

-- One message to one endpoint. Its body is not kept: it is rendered from the event log.
CREATE TABLE webhook_delivery (
  tenant_id uuid NOT NULL,
  delivery_id uuid NOT NULL,
  endpoint_id uuid NOT NULL,
  kind text COLLATE "C" NOT NULL CHECK (kind IN ('event', 'replayed', 'resent', 'test')),
  -- The header webhook-id: the same whenever the same event is sent to the endpoint.
  message_id text COLLATE "C" NOT NULL,
  -- The number of the event; NULL for a test, which is in no log.
  seq bigint,
  event_type text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed', 'skipped', 'kept')),
  attempts integer NOT NULL DEFAULT 0,
  status integer,
  error text COLLATE "C",
  created_at timestamptz NOT NULL,
  next_at timestamptz,
  ended_at timestamptz,
  -- Whether it failed and another delivery was asked for in its stead.
  resent boolean NOT NULL DEFAULT false,
  PRIMARY KEY (tenant_id, delivery_id),
  FOREIGN KEY (tenant_id, endpoint_id) REFERENCES webhook_endpoint (tenant_id, endpoint_id),
  CHECK ((state = 'waiting') = (next_at IS NOT NULL) AND (state = 'waiting') = (ended_at IS NULL)),
  CHECK ((kind = 'test') = (seq IS NULL))
);
CREATE INDEX webhook_delivery_of ON webhook_delivery (tenant_id, endpoint_id, delivery_id);
CREATE INDEX webhook_delivery_waiting ON webhook_delivery (tenant_id, endpoint_id, next_at) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_failed ON webhook_delivery (tenant_id, endpoint_id, delivery_id) WHERE state = 'failed' AND NOT resent;
SELECT secure_tenant_table('webhook_delivery');

CREATE TABLE webhook_attempt (
  tenant_id uuid NOT NULL,
  delivery_id uuid NOT NULL,
  number integer NOT NULL,
  at timestamptz NOT NULL,
  took_ms integer NOT NULL,
  -- What the receiver answered; NULL if it did not.
  status integer,
  error text COLLATE "C",
  detail text NOT NULL DEFAULT '',
  -- What was sent with it besides what each attempt carries: webhook-timestamp and webhook-signature.
  sent_timestamp bigint NOT NULL,
  signature text NOT NULL,
  answer_headers jsonb,
  answer bytea,
  PRIMARY KEY (tenant_id, delivery_id, number),
  FOREIGN KEY (tenant_id, delivery_id) REFERENCES webhook_delivery (tenant_id, delivery_id) ON DELETE CASCADE
);
SELECT secure_tenant_table('webhook_attempt', 'SELECT, INSERT, DELETE');
