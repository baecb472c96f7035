-- Which identity provider a source is, as whoever connected it said: its pages show the steps of that one.
CREATE TABLE scim_walk (
  tenant_id uuid NOT NULL,
  source_id uuid NOT NULL,
  -- One of stoa.identity.scim.walks.WALKS.
  walk text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, source_id),
  FOREIGN KEY (tenant_id, source_id) REFERENCES source (tenant_id, source_id)
);
SELECT secure_tenant_table('scim_walk', 'SELECT, INSERT, UPDATE');
