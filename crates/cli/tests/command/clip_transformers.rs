//! `affectlens convert` and `embed` with a VideoMAE whose sizes are in its config, on made-up frames and weights.

use std::{fs, path::Path};

use affectlens::weights::Precision;
use serde_json::Value;

use crate::clips::paint;
use crate::run::{fail, succeed};
use crate::seeded;

const NETWORK: &str = "videomae-crime";

/// The seeded network as published, in a folder of its own; gives its config.
fn publish(folder: &Path) -> Value {
    let golden = seeded::golden_file(&format!("clips/{NETWORK}.json"));
    let golden = fs::read_to_string(golden).expect("committed");
    let golden: Value = serde_json::from_str(&golden).expect("generated");
    let weights = seeded::state_dict(&seeded::shapes_in("clips", NETWORK));
    let path = folder.join("model.safetensors");
    weights.write(&path, Precision::Single).expect("writable");
    golden["config"].clone()
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
