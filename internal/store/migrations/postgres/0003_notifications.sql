-- Notifications, records for roles, and what a proposed volunteer needs.

-- +goose Up
-- Roles whose accounts may see a record: those that have the role when they look.
ALTER TABLE events ADD COLUMN roles TEXT NOT NULL DEFAULT '[]';

-- One row for each audience of a notification: an account's id, or a role, so
-- that what a thousand accounts are told is one row and not a thousand. The number
-- orders them as they were committed.
CREATE TABLE notifications (
    seq         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          TEXT   NOT NULL,
    audience    TEXT   NOT NULL,
    type        TEXT   NOT NULL,
    title       TEXT   NOT NULL,
    message     TEXT   NOT NULL,
    donation_id TEXT   NOT NULL DEFAULT '',
    created_at  BIGINT NOT NULL,
    UNIQUE (id, audience)
);
CREATE INDEX notifications_newest ON notifications (audience, created_at, seq);

-- What an account has read: all up to a number, and single ones beyond it.
CREATE TABLE notifications_read_through (
    account_id TEXT PRIMARY KEY,
    through    BIGINT NOT NULL
);
CREATE TABLE notifications_read (
    account_id TEXT   NOT NULL,
    seq        BIGINT NOT NULL,
    PRIMARY KEY (account_id, seq)
);
CREATE INDEX notifications_read_seq ON notifications_read (seq);

-- Volunteers who can be proposed, from south to north, and running trips by who
-- is proposed and who carries.
CREATE INDEX accounts_volunteers ON accounts (role, available, active, deleted, latitude) WHERE latitude IS NOT NULL;
CREATE INDEX donations_proposed ON donations (assigned_volunteer_id) WHERE status = 'CLAIMED';
CREATE INDEX donations_carried ON donations (picked_up_by) WHERE status = 'PICKED_UP';
