-- Times are integer milliseconds since 1970 in UTC, JSON is text. The same
-- statements run on both engines; only this folder differs. Ids are ordered byte by
-- byte on both, whatever the collation of the database.

-- +goose Up
CREATE TABLE log_state (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    epoch TEXT NOT NULL
);

-- The numbers have gaps, where a transaction was undone. They become visible in
-- order because only one transaction writes at a time: see engine.lock.
CREATE TABLE events (
    seq      BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type     TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    version  BIGINT  NOT NULL,
    everyone BOOLEAN NOT NULL,
    users    TEXT    NOT NULL DEFAULT '[]',
    payload  TEXT    NOT NULL,
    at       BIGINT  NOT NULL
);
CREATE INDEX events_subject ON events (subject, seq);

CREATE TABLE accounts (
    id                TEXT COLLATE "C" PRIMARY KEY,
    email             TEXT    NOT NULL,
    email_key         TEXT    NOT NULL UNIQUE,
    password_hash     TEXT    NOT NULL,
    name              TEXT    NOT NULL,
    role              TEXT    NOT NULL,
    verified          BOOLEAN NOT NULL,
    active            BOOLEAN NOT NULL,
    organization_name TEXT    NOT NULL DEFAULT '',
    organization_type TEXT    NOT NULL DEFAULT '',
    phone             TEXT    NOT NULL DEFAULT '',
    address           TEXT    NOT NULL DEFAULT '',
    latitude          DOUBLE PRECISION,
    longitude         DOUBLE PRECISION,
    capacity          DOUBLE PRECISION,
    capacity_unit     TEXT    NOT NULL DEFAULT '',
    vehicle_type      TEXT    NOT NULL DEFAULT '',
    vehicle_number    TEXT    NOT NULL DEFAULT '',
    available         BOOLEAN NOT NULL DEFAULT FALSE,
    trust_score       DOUBLE PRECISION NOT NULL DEFAULT 0,
    created_at        BIGINT  NOT NULL,
    updated_at        BIGINT  NOT NULL
);
CREATE INDEX accounts_role ON accounts (role, verified);

CREATE TABLE donations (
    id                    TEXT COLLATE "C" PRIMARY KEY,
    name                  TEXT    NOT NULL,
    description           TEXT    NOT NULL,
    food_type             TEXT    NOT NULL,
    quantity              DOUBLE PRECISION NOT NULL,
    unit                  TEXT    NOT NULL,
    hygiene               TEXT,
    preparation_time      BIGINT  NOT NULL,
    expiry_time           BIGINT  NOT NULL,
    latitude              DOUBLE PRECISION NOT NULL,
    longitude             DOUBLE PRECISION NOT NULL,
    address               TEXT    NOT NULL,
    special_instructions  TEXT    NOT NULL,
    image_urls            TEXT    NOT NULL,
    status                TEXT    NOT NULL,
    donor_id              TEXT    NOT NULL REFERENCES accounts (id),
    donor_name            TEXT    NOT NULL,
    claimed_by_id         TEXT    NOT NULL,
    claimed_at            BIGINT,
    estimated_pickup_time BIGINT,
    assigned_volunteer_id TEXT    NOT NULL,
    volunteer_id          TEXT    NOT NULL,
    picked_up_at          BIGINT,
    picked_up_by          TEXT    NOT NULL,
    delivered_at          BIGINT,
    delivered_by          TEXT    NOT NULL,
    cancel_reason         TEXT    NOT NULL,
    version               BIGINT  NOT NULL,
    created_at            BIGINT  NOT NULL,
    updated_at            BIGINT  NOT NULL
);
CREATE INDEX donations_newest ON donations (created_at, id);
CREATE INDEX donations_status ON donations (status, created_at, id);
CREATE INDEX donations_expiry ON donations (expiry_time) WHERE status IN ('AVAILABLE', 'CLAIMED');
CREATE INDEX donations_claimer ON donations (claimed_by_id, status);

-- One row for each donation, account and reason: karma is what the rows add up to.
CREATE TABLE karma (
    donation_id TEXT    NOT NULL REFERENCES donations (id),
    account_id  TEXT    NOT NULL REFERENCES accounts (id),
    reason      TEXT    NOT NULL,
    points      INTEGER NOT NULL,
    at          BIGINT  NOT NULL,
    PRIMARY KEY (donation_id, account_id, reason)
);
CREATE INDEX karma_account ON karma (account_id, points);

-- What a command with an idempotency key was answered.
CREATE TABLE answers (
    caller      TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint TEXT    NOT NULL,
    answer      TEXT    NOT NULL,
    at          BIGINT  NOT NULL,
    PRIMARY KEY (caller, key)
);
CREATE INDEX answers_at ON answers (at);
