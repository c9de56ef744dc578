//! Labels, lists and tables.

use std::path::{Path, PathBuf};

use affectlens_fuzz::Target;

use super::{with_file, with_text};
use crate::{
    AffWild2Error, ClipFile, FrameLabel, LibreFace, SampleList, parse_annotations,
    parse_frame_labels, parse_template, read_folds,
};

/// What stands in tables of all kinds.
const WORDS: [&str; 14] = [
    "\u{feff}",
    "\r\n",
    "\n\n",
    "\t",
    ";",
    ",,",
    "\"",
    "\"\"",
    "-1",
    "-5,-5",
    "00001.jpg",
    "/",
    "1048577",
    "\u{85}",
];

fn annotations<L: FrameLabel>(name: &'static str, seed: &str) {
    Target::new(name, &[seed]).words(&WORDS).run(|bytes| {
        with_text(bytes, |text| {
            parse_annotations::<L>(text, Path::new("a.txt"))?;
            Ok::<_, AffWild2Error>(())
        })
    });
}

#[test]
fn fuzz_expressions() {
    let header = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other";
    annotations::<usize>("expressions", &format!("{header}\n0\n7\n-1\n"));
}

#[test]
fn fuzz_valence_and_arousal() {
    annotations::<[f32; 2]>("valence and arousal", "valence,arousal\n0.5,-1\n-5,-5\n");
}

#[test]
fn fuzz_action_units() {
    let header = "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26";
    let rows = "0,1,0,0,1,1,0,0,0,0,1,0\n-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1\n";
    annotations::<[bool; 12]>("action units", &format!("{header}\n{rows}"));
}

#[test]
fn fuzz_frame_labels() {
    let seeds = ["Frame_Number,Label\n1,0\n2,1\n9,1\n", "1;0\n2;1\n", "1\t0"];
    Target::new("frame labels", &seeds)
        .words(&WORDS)
        .run(|bytes| {
            with_text(bytes, |text| {
                parse_template(text, Path::new("a.csv"))?;
                parse_frame_labels(text, Path::new("a.csv"))
            })
        });
}

#[test]
fn fuzz_folds() {
    let clips = ["violent/a.mp4", "non-violent/b.mp4"].map(|name| ClipFile {
        name: name.to_owned(),
        path: PathBuf::from(name),
        violent: name.starts_with('v'),
    });
    let seed = "file,fold\nviolent/a.mp4,1\nnon-violent/b.mp4,2\n";
    Target::new("folds", &[seed])
        .words(&WORDS)
        .run(|bytes| with_file(bytes, |path| read_folds(path, &clips)));
}

#[test]
fn fuzz_sample_lists() {
    let seed = "image_location,Neutral\n1/00001.jpg,\n1/00002.jpg,\n2-a/00001.jpg,\n";
    Target::new("sample list", &[seed])
        .words(&WORDS)
        .run(|bytes| with_file(bytes, SampleList::read));
}

#[test]
fn fuzz_tables_of_libreface() {
    let header = "image,Neutral,Happiness,Sadness,Surprise,Fear,Disgust,Anger,Contempt";
    let seed = format!("{header}\na/00001.jpg,1,0,0,0,0.5,0,0,0\na/00002.jpg,1,0,0,0,0,0,0,1\n");
    Target::new("table of LibreFace", &[seed])
        .words(&WORDS)
        .run(|bytes| with_file(bytes, LibreFace::read));
}
