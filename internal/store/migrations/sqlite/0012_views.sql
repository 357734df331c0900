-- The views that are kept of one account, by age: only the newest are.

-- +goose Up
CREATE INDEX views_account ON views (account_id, at, session);
