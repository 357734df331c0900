-- Feedback, flags and support tickets. Who said it is an id: name and e-mail are
-- read from the account, so that a deleted one says nothing about anybody.
--
-- A donor's trust score is the mean over the rows of feedback. accounts.trust_score
-- is no longer read or written; it stays for nodes of the version before, which may
-- still run while this one starts.

-- +goose Up
CREATE TABLE feedback (
    id          TEXT    PRIMARY KEY,
    donation_id TEXT    NOT NULL UNIQUE REFERENCES donations (id),
    donor_id    TEXT    NOT NULL REFERENCES accounts (id),
    ngo_id      TEXT    NOT NULL REFERENCES accounts (id),
    rating      INTEGER NOT NULL,
    comment     TEXT    NOT NULL,
    created_at  INTEGER NOT NULL
);
CREATE INDEX feedback_donor ON feedback (donor_id, rating);
CREATE INDEX feedback_ngo ON feedback (ngo_id, created_at);

CREATE TABLE flags (
    id          TEXT    PRIMARY KEY,
    donation_id TEXT    NOT NULL REFERENCES donations (id),
    account_id  TEXT    NOT NULL REFERENCES accounts (id),
    reason      TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    note        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
);
CREATE UNIQUE INDEX flags_open ON flags (donation_id, account_id) WHERE status IN ('FLAGGED', 'ESCALATED');
CREATE INDEX flags_newest ON flags (created_at, id);
CREATE INDEX flags_account ON flags (account_id, created_at);

CREATE TABLE tickets (
    id          TEXT    PRIMARY KEY,
    account_id  TEXT    NOT NULL REFERENCES accounts (id),
    subject     TEXT    NOT NULL,
    description TEXT    NOT NULL,
    priority    TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    note        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
);
CREATE INDEX tickets_newest ON tickets (created_at, id);
CREATE INDEX tickets_account ON tickets (account_id, created_at, id);
CREATE INDEX tickets_open ON tickets (created_at) WHERE status = 'OPEN';
