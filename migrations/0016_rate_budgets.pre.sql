-- How much of the public API a tenant and its clients may use (docs/adr/0016-rate-budgets-are-leased.md).

-- What a tenant may do where it is not what every tenant may. Requests a minute: of the whole tenant, and of each client that has no number of its own.
CREATE TABLE tenant_limit (
  tenant_id uuid PRIMARY KEY REFERENCES tenant,
  api_per_minute integer CHECK (api_per_minute BETWEEN 1 AND 10000000),
  client_per_minute integer CHECK (client_per_minute BETWEEN 1 AND 10000000)
);
SELECT secure_tenant_table('tenant_limit', 'SELECT, INSERT, UPDATE');

-- What the processes have taken of a window's quota; holder '' is the tenant as a whole. Unlogged: a crash of the server begins a window anew, which is all that is lost.
CREATE UNLOGGED TABLE rate_budget (
  tenant_id uuid NOT NULL,
  holder text COLLATE "C" NOT NULL,
  window_no bigint NOT NULL,
  quota integer NOT NULL,
  leased integer NOT NULL CHECK (leased >= 0),
  -- How much of it the last lease took.
  granted integer NOT NULL CHECK (granted >= 0),
  PRIMARY KEY (tenant_id, holder)
) WITH (fillfactor = 50);
SELECT secure_tenant_table('rate_budget', 'SELECT, INSERT, UPDATE');
