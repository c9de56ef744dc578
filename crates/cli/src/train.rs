//! `affectlens train`: labelled pictures or videos to a head's weights file.

mod action_units;
mod expression;
mod options;
mod valence_arousal;
pub(super) mod violence;

use std::fmt::Display;

use anyhow::Result;

use super::{DeviceOption, progress::progress};
use affectlens::weights::{EMBEDDING, Weights};
use affectlens_train::TrainingEvent;

/// Options of `affectlens train`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand, Debug)]
enum Task {
    /// Trains an expression head on pictures or Aff-Wild2.
    Expression(Box<expression::Args>),
    /// Trains a head for valence and arousal on Aff-Wild2.
    ValenceArousal(valence_arousal::Args),
    /// Trains a head for action units on Aff-Wild2.
    ActionUnits(action_units::Args),
    /// Trains a head that detects violence in the frames of videos.
    Violence(Box<violence::Args>),
}

/// Trains a head and writes it.
pub(super) fn run(args: &Args) -> Result<()> {
    match &args.task {
        Task::Expression(args) => expression::run(args),
        Task::ValenceArousal(args) => valence_arousal::run(args),
        Task::ActionUnits(args) => action_units::run(args),
        Task::Violence(args) => violence::run(args),
    }
}

/// Names the backbone that a head was trained on: it fits no other.
pub(super) fn stamp(weights: &mut Weights, backbone: &Weights) {
    let trained_on = &backbone.metadata;
    weights
        .metadata
        .source_sha256
        .clone_from(&trained_on.source_sha256);
    let extra = &mut weights.metadata.extra;
    extra.insert(EMBEDDING.to_owned(), trained_on.architecture.clone());
}

/// Prints a line for each epoch, after `label`.
pub(super) fn show_epochs<S: Display>(label: &str) -> impl Fn(TrainingEvent<'_, S>) {
    move |event| {
        if let TrainingEvent::Epoch(epoch) = event {
            complain!("{label}{epoch}");
        }
    }
}

/// Draws a bar of an epoch's batches, and prints a line for each epoch.
pub(super) fn show_training<S: Display>() -> impl FnMut(TrainingEvent<'_, S>) {
    let bar = progress("training", "batches", None);
    move |event| match event {
        TrainingEvent::Batch { done, batches, .. } => {
            bar.set_length(batches as u64);
            bar.set_position(done as u64);
        }
        TrainingEvent::Epoch(_) => {
            bar.suspend(|| show_epochs("")(event));
            bar.reset();
        }
    }
}

/// The command as it was given, without what does not change the parameters: the places of the program, the file, the
/// checkpoints and the weights, and the licence, which the metadata has anyway.
fn command_line() -> String {
    let mut command = "affectlens".to_owned();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let name = argument.split('=').next().unwrap_or_default();
        if ["--out", "--licence", "--weights", "--resume"].contains(&name) {
            if name == argument {
                arguments.next();
            }
            continue;
        }
        command.push(' ');
        command.push_str(&argument);
    }
    command
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};

    use crate::Arguments;

    /// Options of one task.
    pub(super) fn parse<A: clap::Args>(line: &str) -> A {
        let command = A::augment_args(Command::new("train").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split_whitespace());
        let matches = matches.unwrap_or_else(|error| panic!("{line}: {error}"));
        A::from_arg_matches(&matches).expect("was parsed")
    }

    fn read(line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match Arguments::command().try_get_matches_from(words) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{line}: {error}")),
        }
    }

    /// Every mention of `affectlens train` in a text: whether it stands in a block of commands, and the command.
    fn mentions(text: &str) -> Vec<(bool, String)> {
        let mut mentions = Vec::new();
        let joined = text.replace("\\\n", " ");
        for (place, part) in joined.split("```").enumerate() {
            let is_block = place % 2 == 1;
            for after in part.split("affectlens train ").skip(1) {
                let end: &[char] = if is_block { &['\n', '#'] } else { &['`'] };
                let options = after.split(end).next().unwrap_or_default();
                mentions.push((is_block, format!("affectlens train {options}")));
            }
        }
        mentions
    }

    /// Whether all options of a command that may lack some are those of its task.
    fn assert_known_options(line: &str) {
        let mut words = line.split_whitespace().skip(2);
        let task = words.next().expect("a task");
        let arguments = Arguments::command();
        let train = arguments.find_subcommand("train").expect("is one");
        let task = train
            .find_subcommand(task)
            .unwrap_or_else(|| panic!("{line}"));
        for option in words.filter_map(|word| word.strip_prefix("--")) {
            let is_known = task.get_arguments().any(|it| it.get_long() == Some(option));
            assert!(is_known, "{line}: --{option}");
        }
    }

    #[test]
    fn documented_commands_are_accepted() {
        let documents = [
            include_str!("../../../README.md"),
            include_str!("../../../CHANGELOG.md"),
            include_str!("../../../docs/model-card.md"),
            include_str!("../../../docs/weights.md"),
            include_str!("../../../pkg-config/affectlens/README.md"),
        ];
        let mentions: Vec<_> = documents.iter().flat_map(|text| mentions(text)).collect();
        for (is_block, line) in &mentions {
            match is_block {
                true => assert_eq!(read(line), Ok(())),
                // "`affectlens train`" alone names the command.
                false if line.contains("train ") => assert_known_options(line),
                false => {}
            }
        }
        assert!(mentions.iter().filter(|(is_block, _)| *is_block).count() >= 5);
        for task in ["expression", "valence-arousal", "action-units"] {
            let line = format!("affectlens train {task} --affwild2 ROOT --out FILE --epochs 3");
            assert_eq!(read(&line), Ok(()));
        }
        for (task, data) in [
            ("expression", "--data DIR"),
            ("violence", "--data DIR"),
            ("violence", "--dvd ROOT"),
        ] {
            let line = format!("affectlens train {task} {data} --out FILE --epochs 3 --resume run");
            assert_eq!(read(&line), Ok(()));
        }
    }

    #[test]
    fn options_of_other_tasks_are_refused() {
        for line in [
            "action-units --affwild2 a --out o --mixup 0.2",
            "action-units --affwild2 a --out o --loss paper",
            "valence-arousal --affwild2 a --out o --scores logit",
            "valence-arousal --data d --out o",
            "valence-arousal --affwild2 a --out o --half-window 9",
            "expression --data d --out o --scores logit",
            "expression --data d --out o --positive-clips 0.5",
            "violence --data d --out o --patience 3",
        ] {
            let error = read(&format!("affectlens train {line}")).expect_err("is refused");
            assert!(error.contains("unexpected argument"), "{error}");
        }
        for line in [
            "",
            "violence",
            "expression --data d",
            "action-units --out o",
        ] {
            read(&format!("affectlens train {line}")).expect_err("is refused");
        }
    }

    #[test]
    fn defaults_stand_in_the_help_of_each_task() {
        let mut arguments = Arguments::command();
        arguments.build();
        let train = arguments.find_subcommand("train").expect("is one");
        for (task, defaults) in [
            ("expression", ["10", "256", "0", "0"]),
            ("valence-arousal", ["5", "1024", "0.0009765625", "0"]),
            ("action-units", ["9", "512", "0.00001", "42"]),
        ] {
            let task = train.find_subcommand(task).expect("is one");
            let help = task.clone().term_width(200).render_help().to_string();
            let options = ["epochs", "batch", "weight-decay", "seed"];
            for (option, default) in options.into_iter().zip(defaults) {
                let mut lines = help.lines();
                let line = lines.find(|line| line.contains(&format!("--{option} <")));
                let line = line.expect("is an option");
                assert!(line.contains(&format!("[default: {default}]")), "{line}");
            }
        }
    }
}
