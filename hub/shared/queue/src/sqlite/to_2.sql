-- From version 1 of the queue's file to 2: notices.

CREATE TABLE notices (
  queue   TEXT NOT NULL,
  notice  TEXT NOT NULL,
  expires INTEGER,
  PRIMARY KEY (queue, notice)
) STRICT, WITHOUT ROWID;
