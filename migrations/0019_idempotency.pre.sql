-- Answers of the API by the client's Idempotency-Key, kept for 24 hours, written in the transaction of the work (stoa.api.idempotency).
CREATE TABLE idempotency_key (
  tenant_id uuid NOT NULL REFERENCES tenant,
  -- The API client's id, or that of a credential without one.
  holder text COLLATE "C" NOT NULL CHECK (length(holder) BETWEEN 1 AND 100),
  key text COLLATE "C" NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
  request_digest bytea NOT NULL CHECK (length(request_digest) = 32),
  status smallint NOT NULL,
  headers jsonb NOT NULL,
  body bytea NOT NULL,
  made_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, holder, key)
);
CREATE INDEX idempotency_key_made ON idempotency_key (tenant_id, made_at);
SELECT secure_tenant_table('idempotency_key');
