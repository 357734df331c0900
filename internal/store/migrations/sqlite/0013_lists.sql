-- What a list of donations looks at, in its order: with a place in it, too, so that
-- what lies elsewhere is passed over without being read.

-- +goose Up
CREATE INDEX donations_board ON donations (status, created_at, id, latitude, longitude);
DROP INDEX donations_status;

-- All accounts in the order of their list.
CREATE INDEX accounts_newest ON accounts (created_at, id);
