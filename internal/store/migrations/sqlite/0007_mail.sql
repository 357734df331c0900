-- How far those have read who tell the world outside of the log, and the mails that wait.

-- +goose Up
-- A reader of the log that goes on after a restart. A row of another epoch than the
-- log's is from its former life.
CREATE TABLE sinks (
    name  TEXT PRIMARY KEY,
    epoch TEXT NOT NULL,
    seq   INTEGER NOT NULL -- everything up to here is done
);

-- A mail that is to be sent because of a record. It holds no text and no address:
-- both are looked up when it is sent.
CREATE TABLE mails (
    seq   INTEGER NOT NULL, -- of the record
    part  INTEGER NOT NULL, -- which of the mails of that record
    kind  TEXT NOT NULL,
    about TEXT NOT NULL, -- the account, ticket or donation
    tries INTEGER NOT NULL,
    due   INTEGER NOT NULL, -- not to be tried before
    PRIMARY KEY (seq, part)
);
CREATE INDEX mails_next ON mails (tries, seq, part);
