-- What donors have listed and nobody has claimed.

-- +goose Up
CREATE INDEX donations_listed ON donations (donor_id) WHERE status = 'AVAILABLE';
