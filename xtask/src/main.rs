//! Set-up, demo, tests, packages and benchmarks of affectlens: `cargo xtask demo` and `cargo xtask test` do everything.

mod bench;
mod demo;
mod fuzz;
mod package;
mod paths;
mod setup;
mod shell;
mod test;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Set-up, demo, tests, packages and benchmarks of affectlens"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds everything and serves the demo page.
    Demo(demo::Options),
    /// Does all set-up and runs every test.
    Test(test::Options),
    /// Makes the npm packages in pkg-config/dist.
    Package,
    /// Times affectlens against other engines on this machine.
    Bench(bench::Options),
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Demo(options) => demo::start(&options),
        Task::Test(options) => test::all(&options),
        Task::Package => {
            setup::for_package()?;
            package::build()?;
            Ok(())
        }
        Task::Bench(options) => bench::compare(&options),
    }
}
