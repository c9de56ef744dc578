//! `affectlens convert` and `embed` with a VideoMAE whose sizes are in its config, on made-up frames and weights.

use std::{fs, path::Path};

use affectlens::{
    backbone::canonical_weights,
    weights::{Precision, PublishedWeights, Weights},
};
use serde_json::Value;

use crate::clips::paint;
use crate::run::{fail, succeed};
use crate::seeded;
use crate::violence_clips::{assert_learned, painted};

const NETWORK: &str = "videomae-crime";

/// The seeded network as published, and its config, for clips of 8 frames.
fn published() -> (Weights, Value) {
    let golden = seeded::golden_file(&format!("clips/{NETWORK}.json"));
    let golden = fs::read_to_string(golden).expect("committed");
    let golden: Value = serde_json::from_str(&golden).expect("generated");
    let weights = seeded::state_dict(&seeded::shapes_in("clips", NETWORK));
    (weights, golden["config"].clone())
}

/// The same over clips of that many frames, converted.
pub(crate) fn of_frames(count: usize) -> Weights {
    let (mut weights, mut config) = published();
    config["num_frames"] = count.into();
    let extra = &mut weights.metadata.extra;
    extra.insert("config".to_owned(), config.to_string());
    let published = PublishedWeights::Named(weights);
    canonical_weights(NETWORK, &published).expect("the published layout")
}

/// Writes the network as published; gives its config.
fn publish(folder: &Path) -> Value {
    let (weights, config) = published();
    let path = folder.join("model.safetensors");
    weights.write(&path, Precision::Single).expect("writable");
    config
}

fn write_config(folder: &Path, config: &Value) {
    let path = folder.join("config.json");
    fs::write(path, config.to_string()).expect("temporary file");
}

#[test]
fn a_videomae_has_the_sizes_of_the_config_beside_it() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let folder = folder.path();
    let config = publish(folder);
    write_config(folder, &config);
    // Windows of 8 frames.
    paint(&folder.join("frames"), 12);
    succeed(
        folder,
        &format!("convert model.safetensors crime.safetensors --backbone {NETWORK}"),
    );
    let embed = |weights: &str| {
        let options = format!("--backbone {NETWORK} --device cpu --weights {weights}");
        let (lines, _) = succeed(folder, &format!("embed frames {options}"));
        let lines = lines.lines();
        let lines: Vec<Value> = lines
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        lines
    };
    let lines = embed("crime.safetensors");
    let places = lines.iter().map(|line| (&line["frame"], &line["moment"]));
    assert_eq!(
        places
            .map(|(frame, moment)| [frame, moment].map(|it| it.as_u64()))
            .collect::<Vec<_>>(),
        [[0, 0], [0, 1], [4, 0], [4, 1]].map(|place| place.map(Some))
    );
    assert_eq!(lines[0]["embedding"].as_array().map(Vec::len), Some(40));
    assert_eq!(embed("model.safetensors"), lines, "as published");
}

/// By the preset of the published one, whose clips have 16 frames.
#[test]
fn a_videomae_with_a_config_tells_violence() {
    let folder = painted();
    let folder = folder.path();
    let mut config = publish(folder);
    config["num_frames"] = 16.into();
    write_config(folder, &config);
    let convert = format!("convert model.safetensors {NETWORK}.safetensors --backbone {NETWORK}");
    succeed(folder, &convert);
    let common = "train violence --dvd dvd --weights . --device cpu --batch 2 --accumulate 1 --learning-rate 1e-3";
    let train = format!("{common} --preset videomae_crime_v2 --step 1 --epochs 8");
    let head = "--out violence-head.safetensors";
    succeed(folder, &format!("{train} {head}"));
    assert_learned(folder);
    let analyze = "analyze dvd/Validation/frames/v6 --tasks violence --weights . --device cpu";
    fs::remove_file(folder.join("dvd/Validation/frames/v6/5.png")).expect("was painted");
    let (reports, _) = succeed(folder, analyze);
    let reports = reports.lines().map(|line| {
        let report: Value = serde_json::from_str(line).expect("JSON");
        report["violence"]["probability"].as_f64()
    });
    let reports: Vec<Option<f64>> = reports.collect();
    assert!(
        reports.len() == 22 && reports.iter().all(Option::is_some),
        "{reports:?}"
    );

    let published = "--end-to-end --published model.safetensors";
    let whole = format!("{train} {published} --backbone-out {NETWORK}.safetensors {head}");
    succeed(folder, &whole);
    assert_learned(folder);

    // Of 8 frames: clips of the preset are too long, and without one they have as many.
    config["num_frames"] = 8.into();
    write_config(folder, &config);
    succeed(folder, &convert);
    let complaint = "clips have 16 frames, `videomae-crime` looks at 8 at a time";
    for train in [format!("{train} {head}"), whole] {
        let message = fail(folder, &train);
        assert!(message.contains(complaint), "{message}");
    }
    let train = format!("{common} --backbone {NETWORK} --head conv1d --epochs 1 {head}");
    succeed(folder, &train);
    let weights = Weights::read(&folder.join("violence-head.safetensors"));
    let weights = weights.expect("was written");
    assert_eq!(weights.metadata.extra["window_length"], "8");
}

#[test]
fn a_config_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let folder = folder.path();
    let mut config = publish(folder);
    let convert = format!("convert model.safetensors out.safetensors --backbone {NETWORK}");
    let message = fail(folder, &convert);
    assert!(
        message.contains(
            "`videomae-crime` has the sizes that its config says, and there is none (published as config.json)"
        ),
        "{message}"
    );
    config["num_hidden_layers"] = 12.into();
    write_config(folder, &config);
    let message = fail(folder, &convert);
    assert!(
        message.contains(
            "weights are of a VideoMAE with `num_hidden_layers` 2, the config says 12 for videomae-crime"
        ),
        "{message}"
    );
    fs::write(folder.join("config.json"), vec![b' '; (1 << 20) + 1]).expect("temporary file");
    let message = fail(folder, &convert);
    assert!(
        message.contains("config.json`: config file is malformed: it has more than 1048576 bytes"),
        "{message}"
    );
    fs::write(folder.join("config.json"), b"{").expect("temporary file");
    let message = fail(folder, &convert);
    assert!(
        message.contains("VideoMAE config file is malformed: "),
        "{message}"
    );
    assert!(!folder.join("out.safetensors").exists());
}
