-- When somebody or something changed them last in a way that no other time tells: for clients that follow the lists by `updated_since`.
ALTER TABLE connection ADD COLUMN changed_at timestamptz;
ALTER TABLE alert ADD COLUMN changed_at timestamptz;
