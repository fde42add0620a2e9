-- Version 2 of the queue's file; `user_version` says which one a file has. Times are Unix milliseconds.

-- What is on a lane: ready (visible_at has passed), delayed (no nonce) or leased (a nonce, until visible_at).
CREATE TABLE messages (
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  id           TEXT    NOT NULL UNIQUE,
  lane         TEXT    NOT NULL,
  priority     INTEGER NOT NULL,
  place        INTEGER NOT NULL, -- when it first became ready: its place in the line, kept over redeliveries
  visible_at   INTEGER NOT NULL,
  nonce        TEXT,             -- of the lease that holds it
  attempts     INTEGER NOT NULL DEFAULT 0,
  published_at INTEGER NOT NULL,
  body         BLOB    NOT NULL
) STRICT;

-- The line before a lane; it holds all that a claim or a count looks at, so that neither reads bodies.
CREATE INDEX line ON messages (lane, priority DESC, place, seq, visible_at, nonce, published_at);

CREATE TABLE dedupe (
  lane    TEXT    NOT NULL,
  key     TEXT    NOT NULL,
  expires INTEGER NOT NULL,
  PRIMARY KEY (lane, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX dedupe_expires ON dedupe (expires);

CREATE TABLE dead (
  seq      INTEGER PRIMARY KEY AUTOINCREMENT,
  id       TEXT    NOT NULL,
  lane     TEXT    NOT NULL,
  priority INTEGER NOT NULL,
  reason   TEXT    NOT NULL,
  attempts INTEGER NOT NULL,
  died_at  INTEGER NOT NULL,
  body     BLOB    NOT NULL
) STRICT;
CREATE INDEX dead_by_lane ON dead (lane, seq);

-- Ids are Unix microseconds, or one more than the last: a cursor kept over a lost file still points backwards.
CREATE TABLE events (
  queue TEXT    NOT NULL,
  id    INTEGER NOT NULL,
  body  BLOB    NOT NULL,
  PRIMARY KEY (queue, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE notices (
  queue   TEXT NOT NULL,
  notice  TEXT NOT NULL,
  expires INTEGER,          -- NULL: not before it is withdrawn
  PRIMARY KEY (queue, notice)
) STRICT, WITHOUT ROWID;
