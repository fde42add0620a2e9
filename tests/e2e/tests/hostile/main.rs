//! A hostile source makes the media process open no other host, file or protocol; and were a decoder to be taken over, the
//! process could still read nothing, reach nobody and last no longer than it may.

mod canary;
mod containers;
mod damage;
mod kernel;
mod launcher;
mod names;
mod playlists;
mod running;
mod stage;
mod traps;
