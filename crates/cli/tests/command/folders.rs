//! Folders, outputs and weights files as people have them, and what the commands say of those that do not fit.

use std::{fs, path::Path};

use affectlens::weights::{Metadata, Precision, Weights};
use image::{Rgb, RgbImage};

use crate::run::{affectlens, text};

/// The one line that a refused command says.
fn refusal(folder: &Path, arguments: &str) -> String {
    let output = affectlens(folder, arguments);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments}: {message}");
    assert_eq!(message.lines().count(), 1, "{arguments}: {message}");
    assert!(output.stdout.is_empty(), "{arguments}");
    let line = message.trim_end().strip_prefix("affectlens: ");
    line.expect("is named").to_owned()
}

fn paint(folder: &Path, label: &str) {
    let folder = folder.join(label);
    fs::create_dir_all(&folder).expect("temporary folder");
    for shade in [40, 80] {
        let picture = RgbImage::from_pixel(8, 8, Rgb([shade; 3]));
        let path = folder.join(format!("{shade}.png"));
        picture.save(path).expect("temporary file");
    }
}

/// Every command that writes a file, with `OUT` in its place, on data that does not matter.
const WRITERS: [(&str, &str); 9] = [
    ("train expression --data DATA --out OUT", "--out"),
    ("train valence-arousal --affwild2 DATA --out OUT", "--out"),
    ("train action-units --affwild2 DATA --out OUT", "--out"),
    ("train violence --data DATA --out OUT", "--out"),
    (
        "train violence --data DATA --out x --curves OUT",
        "--curves",
    ),
    (
        "train violence --data DATA --out x --end-to-end --published p --backbone-out OUT",
        "--backbone-out",
    ),
    (
        "evaluate expression --affwild2 DATA --submission s --out OUT",
        "--out",
    ),
    (
        "evaluate violence --test DATA --submission OUT",
        "--submission",
    ),
    ("convert in.onnx OUT.safetensors --backbone resnet18", "OUT"),
];

#[test]
fn files_that_cannot_be_written_are_named_before_anything_is_read() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let folder = folder.path();
    fs::write(folder.join("file"), b"precious").expect("temporary file");
    fs::create_dir(folder.join("folder")).expect("temporary folder");
    fs::create_dir(folder.join("folder.safetensors")).expect("temporary folder");
    for (command, option) in WRITERS {
        let said = |out| refusal(folder, &command.replace("OUT", out));
        assert_eq!(
            said("none/deeper/x"),
            format!("{option}: `none/deeper`: this folder does not exist")
        );
        assert_eq!(said("file/x"), format!("{option}: `file`: not a directory"));
        let message = said("folder");
        assert!(
            message.starts_with(&format!("{option}: `folder")),
            "{message}"
        );
        assert!(
            message.ends_with("`: is a folder, expected a file"),
            "{message}"
        );
    }
    let train = "train violence --data DATA --out x --resume file/run";
    assert_eq!(refusal(folder, train), "--resume: `file`: not a directory");
    let train = "train violence --data DATA --out x --curves x";
    assert_eq!(
        refusal(folder, train),
        "--out and --curves are both `x`, expected two files"
    );
    assert_eq!(
        fs::read(folder.join("file")).expect("still there"),
        b"precious"
    );
    let left = fs::read_dir(folder).expect("temporary folder").count();
    assert_eq!(left, 3, "nothing is left behind");
}

#[test]
fn a_file_that_is_there_stays_until_it_is_replaced() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let folder = folder.path();
    fs::write(folder.join("head.safetensors"), b"precious").expect("temporary file");
    let message = refusal(
        folder,
        "train expression --data none --out head.safetensors",
    );
    assert!(message.starts_with("folder `none`: "), "{message}");
    let kept = fs::read(folder.join("head.safetensors")).expect("still there");
    assert_eq!(kept, b"precious");
}

#[test]
fn one_expression_alone_is_neither_trained_on_nor_scored() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let folder = folder.path();
    paint(&folder.join("data/train"), "neutral");
    paint(&folder.join("data/val"), "neutral");
    let train = "train expression --data data --out x.safetensors";
    assert_eq!(
        refusal(folder, train),
        "training pictures are of neutral alone, expected two expressions or more"
    );
    for task in ["expression", "action-units"] {
        assert_eq!(
            refusal(folder, &format!("evaluate {task} --data data")),
            "scored pictures are of neutral alone, expected two expressions or more"
        );
    }
    paint(&folder.join("data/train"), "Happy");
    assert_eq!(
        refusal(folder, train),
        "validation pictures are of neutral alone, expected two expressions or more"
    );
    paint(&folder.join("data/val"), "happiness");
    paint(&folder.join("data/train"), "SAD");
    assert_eq!(
        refusal(folder, train),
        "there are no validation pictures of sadness, expected some of every expression that is trained on \
         (--without sadness leaves it out)"
    );
    fs::create_dir(folder.join("data/val/sad")).expect("temporary folder");
    assert_eq!(
        refusal(folder, train),
        "folder `data/val/sad` has no pictures, expected AVIF, BMP, GIF, HEIC, JPEG, PNG, TIFF or WebP"
    );
}

#[test]
fn parts_and_classes_of_clips_that_are_missing_are_named() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let folder = folder.path();
    let touch = |file: &str| {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("temporary folder");
        fs::write(path, b"").expect("temporary file");
    };
    touch("data/Train/Fight/1.avi");
    let commands = [
        "train violence --data data --out x.safetensors",
        "evaluate violence --data data",
    ];
    assert!(refusal(folder, commands[0]).starts_with("`data` has no folder for validation"));
    touch("data/Val/Fight/1.avi");
    touch("data/Val/NonFight/1.avi");
    assert!(
        refusal(folder, commands[0]).starts_with("`data/Train` has no folder of non-violent clips"),
    );
}

#[test]
fn names_of_folders_stand_in_the_help() {
    let folder = tempfile::tempdir().expect("temporary folder");
    for (command, expected) in [
        ("train violence --help", "RWF-2000"),
        ("evaluate violence --help", "NonFight"),
        ("train expression --help", "happiness  or happy"),
        ("evaluate expression --help", "validation, val, valid"),
    ] {
        let output = affectlens(folder.path(), command);
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(help.contains(expected), "{command}: {help}");
    }
}

/// Commands that read `faceres.safetensors` from the folder, with what else they need.
const READERS: [&str; 5] = [
    "analyze a.png --backbone faceres --weights . --device cpu",
    "evaluate expression --data data --backbone faceres --weights . --device cpu",
    "train expression --data data --backbone faceres --weights . --device cpu --out x.safetensors",
    "bench --network faceres --weights . --device cpu",
    "embed a.png --backbone faceres --weights faceres.safetensors --device cpu",
];

#[test]
fn a_weights_file_that_is_none_is_named_by_every_command() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let folder = folder.path();
    for part in ["train", "validation"] {
        for label in ["happy", "sad"] {
            paint(&folder.join("data").join(part), label);
        }
    }
    RgbImage::new(8, 8)
        .save(folder.join("a.png"))
        .expect("temporary file");
    let network = |architecture: &str| {
        let mut weights = Weights::new(Metadata {
            architecture: architecture.to_owned(),
            ..Metadata::default()
        });
        weights.insert("a", vec![1], vec![1.0]).expect("one value");
        let bytes = weights.to_safetensors(Precision::Single);
        bytes.expect("one value")
    };
    let detector = network("blazeface-short-range");
    fs::write(folder.join("blazeface-short-range.safetensors"), &detector).expect("writable");
    let cut = &detector[..detector.len() - 1];
    let contents = [
        (&b""[..], "the file is empty"),
        (b"<!doctype html><title>Sign in</title>", "a web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "a Git LFS pointer",
        ),
        (cut, "perhaps cut off"),
        (
            &detector,
            "weights are for architecture `blazeface-short-range`, expected `faceres`",
        ),
        (
            &network(""),
            "no `architecture` in the metadata, expected `faceres`",
        ),
    ];
    for (bytes, fault) in contents {
        fs::write(folder.join("faceres.safetensors"), bytes).expect("temporary file");
        for command in READERS {
            let is_embed = command.starts_with("embed");
            if is_embed && fault.starts_with("no `architecture`") {
                continue;
            }
            let message = refusal(folder, command);
            assert_eq!(
                message.matches("faceres.safetensors`: ").count(),
                1,
                "{message}"
            );
            assert!(message.contains(fault), "{command}: {message}");
            assert_eq!(
                message.contains("run `affectlens weights fetch faceres`"),
                !is_embed,
                "{message}"
            );
        }
    }
    fs::create_dir_all(folder.join("cache/weights")).expect("temporary folder");
    fs::write(folder.join("cache/weights/faceres.safetensors"), b"").expect("writable");
    let installed = READERS[4].replace("--weights ", "--weights cache/weights/");
    assert_eq!(
        refusal(folder, &installed),
        "`cache/weights/faceres.safetensors`: safetensors file is malformed: the file is empty; run \
         `affectlens weights fetch faceres`"
    );
    // Without its metadata a file counts as published.
    let message = refusal(folder, READERS[4]);
    assert!(
        message.starts_with("`faceres.safetensors`: weight `"),
        "{message}"
    );
}

#[test]
fn a_head_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let folder = folder.path();
    let evaluate = "evaluate violence --dvd none --weights . --device cpu";
    fs::write(folder.join("violence-head.safetensors"), b"Not Found\n").expect("writable");
    assert_eq!(
        refusal(folder, evaluate),
        "`./violence-head.safetensors`: safetensors file is malformed: it is text that begins with `Not Found`, \
         expected safetensors; without this file the built-in one is used"
    );
    let mut weights = Weights::default();
    weights.metadata.architecture = "mlp".to_owned();
    weights.insert("a", vec![1], vec![1.0]).expect("one value");
    let path = folder.join("violence-head.safetensors");
    weights.write(&path, Precision::Single).expect("writable");
    let message = refusal(folder, evaluate);
    assert!(
        message.starts_with("`./violence-head.safetensors`: weights are for architecture `mlp`"),
        "{message}"
    );
    let message = refusal(folder, &format!("{evaluate} --head other.safetensors"));
    assert!(
        message.starts_with("--head: `other.safetensors`: "),
        "{message}"
    );
}
