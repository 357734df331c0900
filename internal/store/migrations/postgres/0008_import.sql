-- Karma that an account brought along from another system: a row without a donation,
-- at most one for each account and reason.

-- +goose Up
ALTER TABLE karma DROP CONSTRAINT karma_pkey;
ALTER TABLE karma ALTER COLUMN donation_id DROP NOT NULL;
ALTER TABLE karma ADD CONSTRAINT karma_once UNIQUE (donation_id, account_id, reason);
CREATE UNIQUE INDEX karma_imported ON karma (account_id, reason) WHERE donation_id IS NULL;
