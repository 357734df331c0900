-- Which files there are, who refers to them, and the certificates of NGOs.

-- +goose Up
-- A file that was kept under a name that no other file ever gets. While it has its
-- content, another upload of the same content is given the same name; without it
-- the file is on its way out.
CREATE TABLE media (
    name    TEXT PRIMARY KEY,
    content TEXT UNIQUE,
    at      INTEGER NOT NULL -- when it was last wanted
);
CREATE INDEX media_at ON media (at);

-- Who refers to a file: a donation, or an account. Such a file stays.
CREATE TABLE media_refs (
    name  TEXT NOT NULL REFERENCES media (name),
    owner TEXT NOT NULL,
    PRIMARY KEY (name, owner)
);
CREATE INDEX media_refs_owner ON media_refs (owner);

-- A certificate is a file that was sent or an address that was given.
CREATE TABLE certificates (
    account_id TEXT PRIMARY KEY REFERENCES accounts (id),
    file       TEXT NOT NULL,
    url        TEXT NOT NULL,
    at         INTEGER NOT NULL
);
