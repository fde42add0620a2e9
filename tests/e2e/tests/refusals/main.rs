//! What cannot be done is refused: with one clear sentence that names the thing and a hint that says what to do, with the
//! right exit code or dead letter, within seconds, and with nothing half made.

mod commands;
mod desk;
mod jobs;
mod settings;
mod sources;
