//! `reelmill`, the operator's command line. It starts the other programs of Reelmill as processes and never holds
//! their code.

mod addresses;
mod agent;
mod args;
mod backoff;
mod cancel;
mod client;
mod dead;
mod demo;
mod doctor;
mod exit;
mod farm;
mod hub;
mod image;
mod job;
mod keys;
mod lanes;
mod last_words;
mod pace;
mod place;
mod port;
mod programs;
mod render;
mod running;
mod screen;
mod send;
mod sse;
mod stop;
mod submit;
mod table;
mod transcode;
mod up;
mod vacancy;
mod worker;

fn main() -> std::process::ExitCode {
    let args = <args::Args as clap::Parser>::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let code = runtime.expect("a process may have a thread and an event queue").block_on(args.run());
    std::process::ExitCode::from(code)
}
