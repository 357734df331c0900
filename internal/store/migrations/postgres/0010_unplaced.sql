-- Volunteers who can be proposed, and of whom no place is known.

-- +goose Up
CREATE INDEX accounts_unplaced ON accounts (role, available, active, deleted, latitude, id) WHERE latitude IS NULL;
