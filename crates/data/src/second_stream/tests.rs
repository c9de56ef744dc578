//! Flow pictures and lists of videos; skeletons need weights and are tested with the command.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;
use crate::{observer::Complaints, picture::read_picture};

/// A frame with a bright box that far from the left.
fn paint(path: &Path, left: u32) {
    fs::create_dir_all(path.parent().expect("in a folder")).expect("temporary folder");
    let colour = |x: u32, y: u32| {
        let is_there = (left..left + 20).contains(&x) && (20..40).contains(&y);
        image::Luma([if is_there { 220 } else { 30 }])
    };
    let picture = image::GrayImage::from_fn(80, 60, colour);
    picture.save(path).expect("temporary file");
}

/// Frames 2, 5, 9 and 10, of which 5 cannot be read.
fn video(folder: &Path) -> StreamVideo {
    let pictures = [2, 5, 9, 10].map(|number| (number, folder.join(format!("{number}.png"))));
    for (number, path) in &pictures {
        paint(path, 20 + u32::try_from(*number).expect("few"));
    }
    fs::write(&pictures[1].1, b"no picture").expect("temporary file");
    StreamVideo {
        name: "Training/v1".to_owned(),
        frames: FrameSource::Pictures(pictures.to_vec()),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("readable").file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn flow_pictures_have_the_numbers_of_the_frames_and_appear_when_all_are_made() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let video = video(&folder.path().join("frames"));
    let out = folder.path().join("flow");
    // What a run that was ended has left.
    fs::create_dir_all(out.join("Training/.v1.part")).expect("temporary folder");
    fs::write(out.join("Training/.v1.part/99.jpg"), b"half").expect("temporary file");
    let listener = Complaints::default();
    let made = extract_flow(&video, &out, &listener).expect("three frames can be read");
    let expected = Extracted::Made {
        frames: 4,
        complaint: None,
    };
    assert_eq!(made, expected);
    assert_eq!(listener.0.borrow().len(), 1, "frame 5");
    assert_eq!(names(&out.join("Training")), ["v1"]);
    let flow = out.join("Training/v1");
    assert_eq!(names(&flow), ["10.jpg", "2.jpg", "5.jpg", "9.jpg"]);
    let brightest = |number: usize| {
        let picture = read_picture(&flow.join(format!("{number}.jpg"))).expect("a JPEG");
        assert_eq!((picture.width(), picture.height()), (224, 224));
        picture.pixels().iter().copied().max()
    };
    assert_eq!([2, 5].map(brightest), [Some(0); 2], "first, unreadable");
    assert!(brightest(9) > Some(200) && brightest(10) > Some(200));

    assert_eq!(
        extract_flow(&video, &out, &()).expect("there"),
        Extracted::Kept
    );
    fs::remove_file(flow.join("9.jpg")).expect("was written");
    let error = extract_flow(&video, &out, &()).expect_err("one is missing");
    assert!(!error.is_fatal());
    let error = error.to_string();
    assert!(
        error.ends_with("holds 3 flow pictures, the video has 4 frames; take the folder away to have it made anew"),
        "{error}"
    );
}

#[test]
fn a_video_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let out = folder.path().join("flow");
    let missing = folder.path().join("1.png");
    let lost = StreamVideo {
        name: "lost".to_owned(),
        frames: FrameSource::Pictures(vec![(1, missing.clone())]),
    };
    let error = extract_flow(&lost, &out, &()).expect_err("not there");
    assert!(
        matches!(error, StreamExtractionError::Interrupted { .. }),
        "{error}"
    );
    fs::write(&missing, b"no picture").expect("temporary file");
    let error = extract_flow(&lost, &out, &()).expect_err("unreadable");
    assert_eq!(
        error.to_string(),
        "video `lost` has no frame that can be read"
    );
    assert!(names(&out).is_empty());
    let named = |path: PathBuf| StreamVideo {
        name: "named".to_owned(),
        frames: FrameSource::Named(path),
    };
    paint(&folder.path().join("picture.png"), 3);
    let picture = named(folder.path().join("picture.png"));
    let error = extract_flow(&picture, &out, &()).expect_err("a picture");
    let error = error.to_string();
    assert!(
        error.ends_with("is a picture, expected a video or a folder of frames"),
        "{error}"
    );
}

#[test]
fn frames_are_not_taken_for_their_flow_pictures() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let video = video(&folder.path().join("Training/v1"));
    let error = extract_flow(&video, folder.path(), &()).expect_err("one folder for both");
    assert!(
        matches!(error, StreamExtractionError::Frames { .. }),
        "{error}"
    );
}

#[test]
fn videos_of_dvd_are_named_by_part_and_id() {
    let root = tempfile::tempdir().expect("temporary folder");
    let write = |file: &str, text: &str| {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("temporary folder");
        fs::write(path, text).expect("temporary file");
    };
    assert!(dvd_videos(root.path()).is_err(), "no part");
    write("Training/frames/a/2.jpg", "");
    write("Training/frames/a/1.jpg", "");
    write("Training/videos/b.mp4", "");
    write("Training/annotations/c.csv", "1,0\n");
    let videos = dvd_videos(root.path()).expect("one part is enough");
    let named: Vec<_> = videos.iter().map(|video| video.name.as_str()).collect();
    assert_eq!(named, ["Training/a", "Training/b"], "c has labels only");
    let FrameSource::Pictures(pictures) = &videos[0].frames else {
        panic!("picture files")
    };
    assert_eq!((pictures[0].0, pictures[1].0), (1, 2));
    write("Validation/videos/a.mp4", "");
    let videos = dvd_videos(root.path()).expect("two parts");
    assert_eq!(videos[2].name, "Validation/a");
}

#[test]
fn clips_are_named_by_their_path_and_two_of_one_name_are_refused() {
    let data = tempfile::tempdir().expect("temporary folder");
    let touch = |file: &str| {
        let path = data.path().join(file);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("temporary folder");
        fs::write(path, b"").expect("temporary file");
    };
    for part in ["train", "val"] {
        touch(&format!("{part}/Fight/1.b.mp4"));
        touch(&format!("{part}/NonFight/1.avi"));
    }
    let named = |videos: Vec<StreamVideo>| -> Vec<String> {
        videos.into_iter().map(|video| video.name).collect()
    };
    assert_eq!(
        named(clips_of(data.path()).expect("two parts")),
        [
            "train/Fight/1.b",
            "train/NonFight/1",
            "val/Fight/1.b",
            "val/NonFight/1"
        ]
    );
    touch("val/NonFight/1.mp4");
    let error = clips_of(data.path()).expect_err("one name").to_string();
    assert!(
        error.ends_with("would both be kept as `val/NonFight/1`; rename one of them"),
        "{error}"
    );
    let clips = ["train/Fight/1.b.mp4", "val/NonFight"].map(|file| data.path().join(file));
    let videos = named_videos(&clips).expect("two names");
    assert_eq!(named(videos), ["1.b", "NonFight"]);
}
