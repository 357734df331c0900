-- Indexes that hold all a search looks at, in its order.

-- +goose Up
-- Ids are compared byte by byte. Columns that refer to them were compared by the
-- rules of a language, and where the two differ no index is used: each claim read all
-- donations for each volunteer around.
ALTER TABLE certificates
    ALTER COLUMN account_id TYPE TEXT COLLATE "C";
ALTER TABLE donations
    ALTER COLUMN assigned_volunteer_id TYPE TEXT COLLATE "C",
    ALTER COLUMN claimed_by_id TYPE TEXT COLLATE "C",
    ALTER COLUMN delivered_by TYPE TEXT COLLATE "C",
    ALTER COLUMN donor_id TYPE TEXT COLLATE "C",
    ALTER COLUMN picked_up_by TYPE TEXT COLLATE "C",
    ALTER COLUMN volunteer_id TYPE TEXT COLLATE "C";
ALTER TABLE feedback
    ALTER COLUMN donation_id TYPE TEXT COLLATE "C",
    ALTER COLUMN donor_id TYPE TEXT COLLATE "C",
    ALTER COLUMN ngo_id TYPE TEXT COLLATE "C";
ALTER TABLE flags
    ALTER COLUMN account_id TYPE TEXT COLLATE "C",
    ALTER COLUMN donation_id TYPE TEXT COLLATE "C";
ALTER TABLE karma
    ALTER COLUMN account_id TYPE TEXT COLLATE "C",
    ALTER COLUMN donation_id TYPE TEXT COLLATE "C";
ALTER TABLE media_refs
    ALTER COLUMN owner TYPE TEXT COLLATE "C";
ALTER TABLE notifications
    ALTER COLUMN donation_id TYPE TEXT COLLATE "C",
    ALTER COLUMN id TYPE TEXT COLLATE "C";
ALTER TABLE notifications_read
    ALTER COLUMN account_id TYPE TEXT COLLATE "C";
ALTER TABLE notifications_read_through
    ALTER COLUMN account_id TYPE TEXT COLLATE "C";
ALTER TABLE tickets
    ALTER COLUMN account_id TYPE TEXT COLLATE "C";
ALTER TABLE views
    ALTER COLUMN account_id TYPE TEXT COLLATE "C";

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
