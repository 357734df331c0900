-- Karma that an account brought along from another system: a row without a donation,
-- at most one for each account and reason. SQLite can't drop NOT NULL in place, so
-- the table is written anew.

-- +goose Up
CREATE TABLE karma_new (
    donation_id TEXT    REFERENCES donations (id),
    account_id  TEXT    NOT NULL REFERENCES accounts (id),
    reason      TEXT    NOT NULL,
    points      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    UNIQUE (donation_id, account_id, reason)
);
-- While the old table is there: a second process that begins this step as well fails
-- here, and finds that it is done.
CREATE UNIQUE INDEX karma_imported ON karma_new (account_id, reason) WHERE donation_id IS NULL;
INSERT INTO karma_new SELECT donation_id, account_id, reason, points, at FROM karma;
DROP TABLE karma;
ALTER TABLE karma_new RENAME TO karma;
CREATE INDEX karma_account ON karma (account_id, points);
CREATE INDEX karma_at ON karma (at, account_id, points);
