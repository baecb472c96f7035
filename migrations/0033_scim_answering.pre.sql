-- How an identity provider's requests about groups are answered, where its tenant has chosen (docs/adr/0027); what stands in
-- stoa.identity.scim.answering.model where there is no row.
CREATE TABLE scim_answering (
  tenant_id uuid NOT NULL,
  source_id uuid NOT NULL,
  -- How a PATCH of a group is answered.
  group_patch text COLLATE "C" NOT NULL CHECK (group_patch IN ('no_content', 'group')),
  -- What becomes of members who are no users of the source.
  strangers text COLLATE "C" NOT NULL CHECK (strangers IN ('refuse', 'await')),
  PRIMARY KEY (tenant_id, source_id),
  FOREIGN KEY (tenant_id, source_id) REFERENCES source (tenant_id, source_id)
);
SELECT secure_tenant_table('scim_answering', 'SELECT, INSERT, UPDATE');

-- Members that a source names and that are not here yet: nobody, until a user of the source comes who has such an id.
CREATE TABLE group_awaited (
  tenant_id uuid NOT NULL,
  group_id uuid NOT NULL,
  -- What is compared: an id in lower case, anything else as it was sent.
  value_key text COLLATE "C" NOT NULL,
  value text COLLATE "C" NOT NULL CHECK (length(value) BETWEEN 1 AND 500),
  source_id uuid NOT NULL,
  since timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, group_id, value_key),
  FOREIGN KEY (tenant_id, group_id) REFERENCES person_group (tenant_id, group_id) ON DELETE CASCADE,
  FOREIGN KEY (tenant_id, source_id) REFERENCES source (tenant_id, source_id)
);
CREATE INDEX group_awaited_value ON group_awaited (tenant_id, source_id, value_key, group_id);
SELECT secure_tenant_table('group_awaited', 'SELECT, INSERT, DELETE');
ALTER TABLE person_group ADD COLUMN awaited_count integer NOT NULL DEFAULT 0;
