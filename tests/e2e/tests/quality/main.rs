//! Every picture of every preset is near to its source: each rung and each file has a floor.

mod files;
mod ladders;
