-- Version 2.
-- What nodes said of themselves, as it was last known. The broker's memory is newer where it has one.
CREATE TABLE nodes (
    node  TEXT PRIMARY KEY,
    known TEXT NOT NULL -- JSON
);

-- What the hub's own broker retains, the last message of each topic.
CREATE TABLE retained (
    topic TEXT PRIMARY KEY,
    kept  TEXT NOT NULL -- JSON
);
