//! Many commands at once on one cache.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use affectlens::weights::{Precision, Weights};
use image::{Rgb, RgbImage};

use crate::run;

/// Commands that run together.
const COMMANDS: usize = 8;
/// Another number of them.
const VARIABLE: &str = "AFFECTLENS_TEST_COMMANDS";

fn paint(folder: &Path, label: &str, colour: [u8; 3]) {
    let folder = folder.join(label);
    fs::create_dir_all(&folder).expect("temporary folder");
    for number in 0..3 {
        let colour = colour.map(|level| level - number * 10);
        let picture = RgbImage::from_pixel(32, 32, Rgb(colour));
        let path = folder.join(format!("{number}.png"));
        picture.save(path).expect("temporary file");
    }
}

/// All find an empty cache, fill it, and read what others are writing.
#[test]
fn commands_that_share_a_cache_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let folder = folder.path();
    for part in ["train", "validation"] {
        for (label, colour) in [("happy", [230, 220, 230]), ("sad", [50; 3])] {
            paint(&folder.join("data").join(part), label, colour);
        }
    }
    fs::create_dir(folder.join("weights")).expect("temporary folder");
    let mut backbone = crate::seeded::seeded("faceres");
    backbone.metadata.source_sha256 = "made up".to_owned();
    let written = backbone.write(
        &folder.join("weights/faceres.safetensors"),
        Precision::Single,
    );
    written.expect("temporary file");
    let count = std::env::var(VARIABLE).map_or(COMMANDS, |count| {
        count.parse().expect("the variable holds a number")
    });
    let start = |number: usize| {
        let arguments = format!(
            "train expression --data data --weights weights --backbone faceres --epochs 1 --device cpu \
             --out head{number}.safetensors"
        );
        run::command(folder, &arguments)
            .env("AFFECTLENS_CACHE", folder.join("cache"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts")
    };
    let running: Vec<_> = (0..count).map(start).collect();
    for process in running {
        let output = process.wait_with_output().expect("it ends");
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaints}");
    }
    let head = |number: usize| fs::read(folder.join(format!("head{number}.safetensors")));
    let first = head(0).expect("was written");
    for number in 1..count {
        assert!(head(number).expect("was written") == first, "head {number}");
    }
    let kept = files(&folder.join("cache"));
    assert!(!kept.is_empty());
    for path in kept {
        Weights::read(&path).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("is there");
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .collect()
}
