-- Indexes that hold all a search looks at, in its order.

-- +goose Up
-- Volunteers who can be proposed, from south to north.
CREATE INDEX accounts_candidates ON accounts (role, available, active, deleted, latitude, longitude, id)
    WHERE latitude IS NOT NULL;
DROP INDEX accounts_volunteers;

-- What is open, and what of that has not been announced to expire soon, by status:
-- SQLite does not go through both statuses in the order of time at once.
CREATE INDEX donations_open ON donations (status, expiry_time, id) WHERE status IN ('AVAILABLE', 'CLAIMED');
DROP INDEX donations_expiry;
CREATE INDEX donations_unannounced ON donations (status, near_expiry_at, expiry_time, id, created_at)
    WHERE status IN ('AVAILABLE', 'CLAIMED') AND near_expiry_at IS NULL;
DROP INDEX donations_near_expiry;
