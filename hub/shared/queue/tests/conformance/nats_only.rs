//! What is special about NATS.
