//! The root helper on a socket of its own, asked as an agent would ask, also by one that somebody else has taken over: with
//! real signatures, a real ledger, and a power mode as the deed that leaves its mark.

mod adopted;
mod door;
mod judged;
mod node;
mod order;
mod signed;
