//! The words that cross a process border in Reelmill: jobs, tasks, presets, media facts, reports, events, the names under
//! which output lies in a store, and what the nodes of a fleet are told and tell. Data, parsing and state machines only: no
//! IO, no clock, no async.

pub mod attempt;
pub mod capability;
pub mod enrol;
pub mod error;
pub mod event;
pub mod fleet;
pub mod job;
pub mod lane;
pub mod layout;
pub mod location;
pub mod media;
pub mod metrics;
pub mod need;
pub mod node;
pub mod nodes;
pub mod notice;
pub mod preset;
pub mod problem;
pub mod rational;
pub mod rendition;
pub mod report;
pub mod settle;
pub mod snapshot;
pub mod status;
pub mod stream;
pub mod task;

pub use attempt::{AttemptId, AttemptNumber};
pub use capability::Capability;
pub use error::{ErrorKind, Failure};
pub use event::{Event, EventBody, Progress};
pub use job::{JobId, JobRequest, JobState, Priority};
pub use lane::{Lane, QueueName};
pub use location::{FileLocation, Location, S3Location};
pub use media::MediaFacts;
pub use need::{Need, Needs};
pub use node::NodeId;
pub use notice::Notice;
pub use preset::{Preset, PresetName};
pub use rational::Rational;
pub use rendition::Rendition;
pub use report::Report;
pub use settle::Settlement;
pub use snapshot::Snapshot;
pub use stream::StreamLocation;
pub use task::Task;
