//! What frames of Aff-Wild2 hear: the sound of their videos, one vector a frame (HSEmotion team at ABAW-10, notebook).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
};

use serde::Serialize;

use super::{
    AffWild2, AffWild2Error, AnnotatedVideo, FrameLabel, Keep, SampleList, VideoFeatures,
    VideoRows, list,
};
use crate::{
    EmbeddedSound, FeatureRows, Observer, Part, Pictures, SAMPLE_RATE, SoundEmbedder,
    clips::is_video,
};

/// Folders below the root in which videos are looked for: ours, and those of the organisers' archives.
const FOLDERS: [&str; 4] = ["videos", "batch1", "batch2", "new_vids"];
/// Ends of the names of crop folders where a video shows two persons.
const PERSONS: [&str; 2] = ["_left", "_right"];
/// Sound and pictures that differ by less are as long as each other: containers round.
const TOLERANCE_SECONDS: f64 = 1.0;

/// The files of the videos, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoFiles(BTreeMap<String, PathBuf>);

/// The tree with its videos, and a network for their sound.
pub struct SoundReader {
    tree: AffWild2,
    videos: VideoFiles,
    embedder: SoundEmbedder,
    observer: Box<dyn Observer>,
    /// The last video, which may show a second person, with its sound if it has some.
    last: Option<(String, Option<Rc<EmbeddedSound>>)>,
}

/// Frames of a task and part by what is heard in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SoundCounts {
    /// Annotation files.
    pub videos: usize,
    /// Frames with a valid label that have sound: what is trained on, or scored.
    pub usable: usize,
    /// Frames with a valid label without sound.
    pub without_sound: usize,
    /// Videos without any sound that can be read.
    pub videos_without_sound: usize,
}

/// Which vector each frame of a video hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FrameVectors {
    /// Frames that have a number: one more than the container counts.
    frames: usize,
    /// Vectors that there are.
    vectors: usize,
    /// Vectors that sound as long as the pictures would have.
    expected: usize,
}

impl FrameVectors {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of vectors"
    )]
    fn new(sound: &EmbeddedSound, pictures: Pictures) -> Self {
        let vectors = sound.rows.len();
        let expected = match lengths_apart(sound, pictures) {
            // As published: frames and vectors are paired in proportion.
            None => vectors,
            Some([heard, seen]) => (vectors as f64 * seen / heard).round() as usize,
        };
        Self {
            frames: pictures.frames.saturating_add(1),
            vectors,
            expected,
        }
    }

    /// The vector of a frame, which is counted from 1; none beyond the frames or where the sound is over.
    fn of(&self, frame: usize) -> Option<usize> {
        let place = frame.checked_sub(1).filter(|place| *place < self.frames)?;
        let vector = place as u128 * self.expected as u128 / self.frames as u128;
        let vector = usize::try_from(vector).ok()?;
        (vector < self.vectors).then_some(vector)
    }

    /// The same for a frame with a crop: where it has none, that of the frame before.
    fn of_crop(&self, frame: usize) -> Option<usize> {
        self.of(frame).or_else(|| self.of(frame.checked_sub(1)?))
    }
}

/// Seconds of the sound and of the pictures, where they are not as long as each other.
fn lengths_apart(sound: &EmbeddedSound, pictures: Pictures) -> Option<[f64; 2]> {
    let heard = sound.samples as f64 / f64::from(SAMPLE_RATE);
    let seen = pictures.seconds?;
    ((heard - seen).abs() > TOLERANCE_SECONDS).then_some([heard, seen])
}

impl AffWild2 {
    /// Finds the videos: in `folder`, else in `videos`, `batch1`, `batch2` and `new_vids` below the root.
    ///
    /// # Errors
    ///
    /// [`AffWild2Error::Videos`] if there are none, others if a folder cannot be listed or two files have one name.
    pub fn videos(&self, folder: Option<&Path>) -> Result<VideoFiles, AffWild2Error> {
        let folders: Vec<PathBuf> = match folder {
            Some(folder) => vec![folder.to_owned()],
            None => FOLDERS.map(|name| self.root.join(name)).to_vec(),
        };
        let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            for path in list(folder)?.into_iter().filter(|path| is_video(path)) {
                let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else {
                    continue;
                };
                let name = name.to_owned();
                if let Some(other) = files.get(&name) {
                    let paths = [other.clone(), path];
                    return Err(AffWild2Error::SameVideo { name, paths });
                }
                files.insert(name, path);
            }
        }
        if files.is_empty() {
            let names = folders.iter().map(|it| format!("`{}`", it.display()));
            return Err(AffWild2Error::Videos {
                folders: names.collect::<Vec<_>>().join(", "),
            });
        }
        Ok(VideoFiles(files))
    }
}

/// Name of the video that a crop folder was cut out of.
fn video_of(name: &str) -> &str {
    let mut without = PERSONS.iter().filter_map(|end| name.strip_suffix(end));
    without.next().unwrap_or(name)
}

impl SoundReader {
    /// Reads the sound of a tree's videos with a network.
    pub fn new(
        tree: AffWild2,
        videos: VideoFiles,
        embedder: SoundEmbedder,
        observer: Box<dyn Observer>,
    ) -> Self {
        Self {
            tree,
            videos,
            embedder,
            observer,
            last: None,
        }
    }

    /// The network with its cache.
    pub fn embedder(&self) -> &SoundEmbedder {
        &self.embedder
    }

    /// What the frames of a part hear: the vectors are the embeddings, and there are no outputs. With [`Keep::Labelled`]
    /// these are all frames with a valid label, with [`Keep::All`] the frames with a crop, of which one that has no
    /// vector takes that of the frame before, as published.
    ///
    /// # Errors
    ///
    /// [`AffWild2Error`] if the tree cannot be read, the network fails, or vectors cannot be kept. A video whose sound
    /// cannot be read is a complaint.
    pub fn read<L: FrameLabel + Copy>(
        &mut self,
        part: Part,
        keep: Keep,
    ) -> Result<(VideoFeatures<L>, SoundCounts), AffWild2Error> {
        let videos = self.tree.read::<L>(part)?.videos;
        let name = format!("{} {}", L::TREE, AffWild2::part_folder(part));
        self.extract(videos, keep, &name)
    }

    /// What the frames of a sample list hear, whether they have a crop or not.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn read_list<L: Copy>(
        &mut self,
        list: &SampleList,
    ) -> Result<VideoFeatures<L>, AffWild2Error> {
        let videos = list.videos.iter().map(|video| AnnotatedVideo {
            name: video.name.clone(),
            crops: (1..=video.files.len()).collect(),
            labels: Vec::new(),
            unseen: Vec::new(),
        });
        let (features, _) = self.extract(videos.collect(), Keep::All, "sample list")?;
        Ok(features)
    }

    fn extract<L: Copy>(
        &mut self,
        videos: Vec<AnnotatedVideo<L>>,
        keep: Keep,
        name: &str,
    ) -> Result<(VideoFeatures<L>, SoundCounts), AffWild2Error> {
        let total = videos.len() as u64;
        self.observer
            .begin(&format!("{name}: sound"), "videos", Some(total));
        let mut features = VideoFeatures {
            embeddings: FeatureRows::default(),
            outputs: FeatureRows::default(),
            videos: Vec::with_capacity(videos.len()),
            failures: Vec::new(),
        };
        let mut counts = SoundCounts::default();
        let mut result = Ok(());
        for (video, done) in videos.into_iter().zip(1..) {
            result = self.add(video, keep, &mut features, &mut counts);
            self.observer.reach(done);
            if result.is_err() {
                break;
            }
        }
        self.observer.end();
        result?;
        let SoundCounts {
            videos,
            usable,
            without_sound,
            videos_without_sound,
        } = counts;
        self.observer.note(&format_args!(
            "{name}: sound of {videos} videos, {usable} frames ({without_sound} without sound)"
        ));
        if videos_without_sound > 0 {
            self.observer.complain(&format_args!(
                "{videos_without_sound} videos of {name} have no sound at all"
            ));
        }
        Ok((features, counts))
    }

    /// Adds the frames of a video.
    fn add<L: Copy>(
        &mut self,
        video: AnnotatedVideo<L>,
        keep: Keep,
        features: &mut VideoFeatures<L>,
        counts: &mut SoundCounts,
    ) -> Result<(), AffWild2Error> {
        let sound = self.sound(video_of(&video.name))?;
        counts.videos += 1;
        counts.videos_without_sound += usize::from(sound.is_none());
        let heard = sound.as_deref().and_then(|sound| {
            let vectors = FrameVectors::new(sound, sound.pictures?);
            Some((sound, vectors))
        });
        let mut rows = VideoRows {
            name: video.name.clone(),
            frames: Vec::new(),
            first: features.embeddings.len(),
            labels: Vec::new(),
        };
        for (frame, label) in frames(video, keep) {
            let vector = heard.as_ref().and_then(|(sound, vectors)| {
                let vector = match keep {
                    Keep::Labelled => vectors.of(frame),
                    Keep::All => vectors.of_crop(frame),
                };
                Some((sound, vector?))
            });
            let Some((sound, vector)) = vector else {
                counts.without_sound += usize::from(label.is_some());
                continue;
            };
            if features.embeddings.is_empty() {
                features.embeddings = FeatureRows::new(sound.rows.width());
            }
            let place = features.embeddings.len();
            let pushed = features.embeddings.push(&sound.rows.row(vector));
            pushed.map_err(|error| AffWild2Error::Feature {
                video: rows.name.clone(),
                error,
            })?;
            counts.usable += usize::from(label.is_some());
            rows.frames.push(frame);
            rows.labels.extend(label.map(|label| (place, label)));
        }
        features.videos.push(rows);
        Ok(())
    }

    /// The sound of a video, if it has some that can be read and pictures that it belongs to.
    fn sound(&mut self, video: &str) -> Result<Option<Rc<EmbeddedSound>>, AffWild2Error> {
        if let Some((last, sound)) = &self.last
            && last == video
        {
            return Ok(sound.clone());
        }
        let sound = match self.videos.0.get(video) {
            None => {
                self.observer
                    .complain(&format_args!("`{video}`: there is no video of this name"));
                None
            }
            Some(path) => match self.embedder.extract(path) {
                Ok(sound) => self.confirm(video, sound).map(Rc::new),
                Err(error) if error.is_of_file() => {
                    self.observer.complain(&format_args!("skipped {error}"));
                    None
                }
                Err(error) => return Err(error.into()),
            },
        };
        self.last = Some((video.to_owned(), sound.clone()));
        Ok(sound)
    }

    /// Complains about what is odd about a sound; gives it if it has pictures.
    fn confirm(&self, video: &str, sound: EmbeddedSound) -> Option<EmbeddedSound> {
        if let Some(complaint) = &sound.complaint {
            self.observer
                .complain(&format_args!("sound of `{video}`: {complaint}"));
        }
        let Some(pictures) = sound.pictures else {
            self.observer
                .complain(&format_args!("`{video}` has sound, but no pictures"));
            return None;
        };
        if let Some([heard, seen]) = lengths_apart(&sound, pictures) {
            let consequence = match heard < seen {
                true => "frames after its end have no sound",
                false => "what is left of it belongs to no frame",
            };
            self.observer.complain(&format_args!(
                "sound of `{video}` lasts {heard:.1} seconds, its pictures {seen:.1}; {consequence}"
            ));
        }
        Some(sound)
    }
}

/// The frames of a video that are kept, ascending, with their labels.
fn frames<L: Copy>(video: AnnotatedVideo<L>, keep: Keep) -> Vec<(usize, Option<L>)> {
    match keep {
        Keep::Labelled => {
            let mut all = [video.labels, video.unseen].concat();
            all.sort_unstable_by_key(|(frame, _)| *frame);
            let known = all.into_iter();
            known.map(|(frame, label)| (frame, Some(label))).collect()
        }
        Keep::All => {
            let mut labels = video.labels.into_iter().peekable();
            let crops = video.crops.into_iter();
            let with_label = crops.map(|frame| {
                let label = labels.next_if(|(labelled, _)| *labelled == frame);
                (frame, label.map(|(_, label)| label))
            });
            with_label.collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(vectors: usize, seconds: f64) -> EmbeddedSound {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of samples"
        )]
        let samples = (seconds * f64::from(SAMPLE_RATE)) as u64;
        EmbeddedSound {
            rows: FeatureRows::from_rows(vec![[0.0]; vectors]).expect("finite"),
            samples,
            pictures: None,
            complaint: None,
            is_whole: true,
        }
    }

    fn heard(vectors: FrameVectors, frames: usize) -> Vec<Option<usize>> {
        (1..=frames).map(|frame| vectors.of(frame)).collect()
    }

    #[test]
    fn frames_and_vectors_are_paired_in_proportion() {
        let pictures = Pictures {
            frames: 9,
            seconds: Some(0.36),
        };
        let vectors = FrameVectors::new(&sound(17, 0.36), pictures);
        // The specification's example: 17 vectors, a container that counts 9 frames.
        let expected = [0, 1, 3, 5, 6, 8, 10, 11, 13, 15].map(Some);
        assert_eq!(heard(vectors, 10), expected);
        assert_eq!([vectors.of(0), vectors.of(11)], [None; 2]);
        // A crop beyond what the container counts hears what the frame before heard, but not further.
        assert_eq!(vectors.of_crop(11), Some(15));
        assert_eq!(vectors.of_crop(12), None);
    }

    #[test]
    fn sound_of_another_length_keeps_its_pace() {
        let pictures = Pictures {
            frames: 7,
            seconds: Some(8.0),
        };
        // Four seconds of sound for eight seconds of pictures, two vectors a second.
        let short = FrameVectors::new(&sound(8, 4.0), pictures);
        let first = [0, 2, 4, 6].map(Some);
        assert_eq!(heard(short, 8), [&first[..], &[None; 4]].concat());
        assert_eq!(short.of_crop(5), Some(6));
        assert_eq!(short.of_crop(6), None);
        let long = FrameVectors::new(&sound(32, 16.0), pictures);
        assert_eq!(heard(long, 8), [0, 2, 4, 6, 8, 10, 12, 14].map(Some));
        // Containers round: what differs by less than a second is as long.
        let rounded = FrameVectors::new(&sound(15, 7.5), pictures);
        assert_eq!(heard(rounded, 2), [Some(0), Some(1)]);
        assert_eq!(rounded.of(8), Some(13));
    }

    #[test]
    fn training_takes_labels_without_crops_and_scores_take_crops_without_labels() {
        let video = AnnotatedVideo {
            name: "a".to_owned(),
            crops: vec![1, 2, 5],
            labels: vec![(2, 7), (5, 8)],
            unseen: vec![(1, 6), (4, 9)],
        };
        let labelled = frames(video.clone(), Keep::Labelled);
        let expected = [(1, Some(6)), (2, Some(7)), (4, Some(9)), (5, Some(8))];
        assert_eq!(labelled, expected);
        let all = frames(video, Keep::All);
        assert_eq!(all, [(1, None), (2, Some(7)), (5, Some(8))]);
    }

    #[test]
    fn videos_are_found_by_name_and_two_persons_share_one() {
        assert_eq!(video_of("video7_left"), "video7");
        assert_eq!(video_of("10-60-1280x720_right"), "10-60-1280x720");
        assert_eq!(video_of("left_over"), "left_over");
        let folder = tempfile::tempdir().expect("temporary folder");
        let root = folder.path();
        std::fs::create_dir(root.join("cropped")).expect("temporary folder");
        let tree = AffWild2::open(root).expect("has crops");
        let error = tree.videos(None).expect_err("no videos").to_string();
        assert!(
            error.contains("videos`, `") && error.ends_with("expected VIDEO.mp4 for cropped/VIDEO"),
            "{error}"
        );
        for file in [
            "batch1/a.mp4",
            "batch2/b.avi",
            "new_vids/c.MP4",
            "batch1/notes.txt",
        ] {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().expect("in a folder")).expect("temporary");
            std::fs::write(path, b"").expect("temporary file");
        }
        let files = tree.videos(None).expect("three videos");
        assert_eq!(files.0.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        let files = tree.videos(Some(&root.join("batch2"))).expect("one video");
        assert_eq!(files.0.len(), 1);
        std::fs::write(root.join("batch2/a.mkv"), b"").expect("temporary file");
        let error = tree.videos(None).expect_err("twice").to_string();
        assert!(error.contains("are both named after video `a`"), "{error}");
    }
}
