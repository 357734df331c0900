-- What recovery, narrowed feeds, retention and near-expiry need.

-- +goose Up
ALTER TABLE log_state ADD COLUMN pruned BIGINT NOT NULL DEFAULT 0; -- records up to here are gone

-- The donation after the change, as it was, and its status before: a narrowed
-- feed chooses by them. Empty in records about accounts.
ALTER TABLE events ADD COLUMN donation TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN previous TEXT NOT NULL DEFAULT '';

-- What a live client has narrowed its feed to, so that it stays so when the
-- client comes back to another node or after a restart.
CREATE TABLE views (
    session    TEXT PRIMARY KEY,
    account_id TEXT    NOT NULL,
    view       TEXT    NOT NULL,
    at         BIGINT  NOT NULL
);
CREATE INDEX views_at ON views (at);

-- When it was announced that a donation expires soon.
ALTER TABLE donations ADD COLUMN near_expiry_at BIGINT;
CREATE INDEX donations_near_expiry ON donations (expiry_time)
    WHERE status IN ('AVAILABLE', 'CLAIMED') AND near_expiry_at IS NULL;

-- Tokens issued before that moment are refused; a deleted account stays as a
-- row that history points to, and nothing can be done with it.
ALTER TABLE accounts ADD COLUMN tokens_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN deleted BOOLEAN NOT NULL DEFAULT FALSE;
