-- Version 3. Times are seconds since 1970.
-- Words by which operators let nodes in; only their digests.
CREATE TABLE join_tokens (
    sha256     TEXT PRIMARY KEY,
    tags       TEXT NOT NULL, -- JSON
    node       TEXT,
    serial     TEXT,
    expires_at INTEGER NOT NULL,
    used_by    TEXT -- the digest of the node's public key
);

-- Nodes that were taken in.
CREATE TABLE members (
    node        TEXT PRIMARY KEY,
    tags        TEXT NOT NULL, -- JSON
    enrolled_at INTEGER NOT NULL
);

-- Every certificate that was made for a node. One that is revoked stays so, whatever becomes of the node's name.
CREATE TABLE certificates (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT, -- the order in which they were made
    sha256     TEXT NOT NULL UNIQUE,
    serial     BLOB NOT NULL,
    node       TEXT NOT NULL,
    key        TEXT NOT NULL, -- the digest of the public key
    pem        TEXT NOT NULL,
    not_after  INTEGER NOT NULL,
    revoked_at INTEGER
);
CREATE INDEX certificates_by_key ON certificates (key, seq);
CREATE INDEX certificates_by_node ON certificates (node, seq);

-- Nodes that ask to be let in without a good token.
CREATE TABLE pending (
    key      TEXT PRIMARY KEY,
    code     TEXT NOT NULL,
    node     TEXT NOT NULL,
    tags     TEXT NOT NULL, -- JSON
    serial   TEXT,
    board    TEXT,
    address  TEXT NOT NULL,
    seen     INTEGER NOT NULL,
    verdict  TEXT -- 'approved', 'replaces' or 'denied'
);
CREATE INDEX pending_by_code ON pending (code);
