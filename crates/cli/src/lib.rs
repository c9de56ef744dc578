//! The command line.

#[macro_use]
mod terminal;

mod analyze;
mod bench;
mod convert;
mod detector;
mod embed;
mod evaluate;
mod extract;
mod folders;
mod installed;
mod options;
mod outputs;
mod persons;
mod pose;
mod progress;
mod readers;
mod second_stream;
mod tables;
mod train;
mod tune;
mod two_streams;
mod weights;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use detector::DetectorOption;
use options::{DeviceOption, WeightsOptions, probability};
use pose::PoseOption;
use terminal::OutputError;

/// Detects facial expressions, valence and arousal, action units, violence and bodies in pictures and videos.
#[derive(Parser)]
#[command(name = "affectlens", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Analyses a picture, video or folder of frames: one report per frame on its faces, on violence and
    /// on bodies.
    Analyze(analyze::Args),
    /// Prints the embedding that a backbone computes for each picture.
    Embed(embed::Args),
    /// Writes what violence heads with two inputs read beside the frames: skeleton features or optical flow.
    Extract(extract::Args),
    /// Converts a published weights file to the format that affectlens reads.
    Convert(convert::Args),
    /// Trains a head for expressions, valence and arousal, action units or violence.
    Train(Box<train::Args>),
    /// Scores a model on labelled pictures, clips, Aff-Wild2 or DVD.
    Evaluate(evaluate::Args),
    /// Tunes class biases, blend, confidence filter and temperature of the expression classifiers on labelled pictures.
    Tune(tune::Args),
    /// Trains on Aff-Wild2 or DVD and prints the tables for faces or violence beside the published figures.
    Tables(tables::Args),
    /// Lists, downloads and verifies the default weights.
    Weights(weights::Args),
    /// Measures the speed of the networks on this machine.
    Bench(bench::Args),
}

/// Runs the command that the process was started with: 0 done, 1 the input is at fault, 2 wrong usage.
pub fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Analyze(args) => analyze::run(&args),
        Command::Embed(args) => embed::run(args),
        Command::Extract(args) => extract::run(&args),
        Command::Convert(args) => convert::run(args),
        Command::Train(args) => train::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Tune(args) => tune::run(&args),
        Command::Tables(args) => tables::run(&args),
        Command::Weights(args) => weights::run(args),
        Command::Bench(args) => bench::run(&args),
    };
    match result.and_then(|()| terminal::outcome()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has seen enough.
        Err(error) if OutputError::of(&error).is_some_and(OutputError::is_closed_pipe) => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain!("affectlens: {error:#}");
            ExitCode::FAILURE
        }
    }
}
