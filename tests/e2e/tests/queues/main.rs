//! What people do with queues: other programs put jobs on them and read events, as `docs/operate/queues.md` shows it; and
//! operators pause, cancel and try again what a hub and its workers have there.

mod document;
mod hub;
mod operator;
mod producers;
