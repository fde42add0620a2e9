-- Version 1.
CREATE TABLE jobs (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of admission
    id         TEXT NOT NULL UNIQUE,
    state      TEXT NOT NULL,
    input      TEXT NOT NULL,
    output     TEXT NOT NULL,
    preset     TEXT NOT NULL,
    priority   TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    progress   TEXT, -- JSON, as are the next two
    failure    TEXT,
    report     TEXT
);
CREATE INDEX jobs_by_state ON jobs (state, seq);

-- Tasks that were admitted and are not known to lie on their lane yet. Removed after the queue has taken them.
CREATE TABLE outbox (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    job  TEXT NOT NULL UNIQUE,
    task TEXT NOT NULL -- the message
);

-- How far the queue's events were read; one row.
CREATE TABLE cursor (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    position TEXT NOT NULL
);
