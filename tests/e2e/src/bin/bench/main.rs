//! `cargo xtask bench [NAME]`: what Reelmill costs beside what a user would do without it. Every figure is a ratio of two
//! things measured in this run, in turn; there is no verdict, only the target beside it.

mod agent;
mod bare;
mod client;
mod job;
mod ladder;
mod memory;
mod nodes;
mod queues;
mod ratio;
mod scaling;
mod script;
mod usage;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_else(|| "all".to_owned());
    if wanted == "consume" {
        queues::consume::run(&std::env::args().skip(2).collect::<Vec<_>>()).await;
        return ExitCode::FAILURE;
    }
    let is = |name: &str| wanted == "all" || wanted == name;
    if !["all", "ladder", "script", "scaling", "memory", "agent", "nodes", "queues"].contains(&wanted.as_str()) {
        eprintln!(
            "error: there is no benchmark `{wanted}`\nhint: ladder, script, scaling, memory, agent, nodes, queues, or all"
        );
        return ExitCode::from(2);
    }
    println!("{} processors, load {}", std::thread::available_parallelism().map_or(0, usize::from), ratio::load());
    if is("ladder") {
        ladder::run().await;
    }
    if is("script") {
        script::run().await;
    }
    if is("scaling") {
        scaling::run().await;
    }
    if is("memory") {
        memory::run().await;
    }
    if is("agent") {
        agent::run();
    }
    if is("nodes") {
        nodes::run();
    }
    if is("queues") {
        queues::run().await;
    }
    ExitCode::SUCCESS
}
