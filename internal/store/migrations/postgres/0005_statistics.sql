-- What statistics and the leaderboard read. Most of it is answered by an index alone.

-- +goose Up
CREATE INDEX donations_donor ON donations (donor_id, created_at);
CREATE INDEX donations_carrier ON donations (volunteer_id, created_at) WHERE volunteer_id <> '';
CREATE INDEX donations_tally ON donations (unit, status, quantity);
CREATE INDEX karma_at ON karma (at, account_id, points);
