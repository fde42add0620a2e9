//! Every kind of source becomes what it should: tables of sources, each made from the real clip, sent through the real
//! worker, and measured.

mod bench;
mod check;
mod craft;
mod files;
mod hearing;
mod kind;
mod programs;
mod scene;
mod tables;
mod vmaf;
