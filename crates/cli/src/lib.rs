//! The command line.

#![expect(clippy::print_stdout, reason = "results go to standard output")]

mod analyze;
mod bench;
mod convert;
mod embed;
mod evaluate;
mod installed;
mod options;
mod progress;
mod readers;
mod tables;
mod train;
mod weights;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use options::{DeviceOption, WeightsOptions, probability};

/// Facial expression, valence, arousal, action units and violence from pictures and videos.
#[derive(Parser)]
#[command(name = "affectlens", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Reports faces (expression, valence and arousal, action units) and violence of pictures and videos.
    Analyze(analyze::Args),
    /// Embeds whole pictures as faces.
    Embed(embed::Args),
    /// Brings a published weights file into the canonical form.
    Convert(convert::Args),
    /// Trains a head.
    Train(Box<train::Args>),
    /// Scores a model on labelled data.
    Evaluate(evaluate::Args),
    /// Trains on Aff-Wild2 and prints the method's face tables beside the published figures.
    Tables(tables::Args),
    /// Lists, fetches and verifies weights.
    Weights(weights::Args),
    /// Times the networks on this machine.
    Bench(bench::Args),
}

/// Runs the command that the process was started with: 0 done, 1 the input is at fault, 2 wrong usage.
pub fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Analyze(args) => analyze::run(&args),
        Command::Embed(args) => embed::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Train(args) => train::run(&args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Tables(args) => tables::run(&args),
        Command::Weights(args) => weights::run(args),
        Command::Bench(args) => bench::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("affectlens: {error:#}");
            ExitCode::FAILURE
        }
    }
}
