//! The sound of every kind of file, as one channel of 16 kHz, and what frames of a made-up Aff-Wild2 hear.

use std::{
    cell::RefCell,
    f32::consts::TAU,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
};

use affectlens_data::{
    AffWild2, EmbedError, EmbedSound, Keep, Observer, Part, SAMPLE_RATE, Sound, SoundEmbedder,
    SoundReader,
};
use tempfile::TempDir;

/// A tone of 440 Hz for half a second, as loud as it can be in each of two channels.
const TONE: &str =
    "sine=frequency=440:sample_rate=48000:duration=0.5,volume=8,pan=stereo|c0=c0|c1=c0";
const PICTURES: &str = "testsrc2=size=64x48:rate=25:duration=0.5";

/// Runs ffmpeg in the folder; gives the last argument as a path there.
fn ffmpeg(folder: &TempDir, arguments: &[&str]) -> PathBuf {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments);
    let done = command
        .current_dir(folder.path())
        .output()
        .expect("ffmpeg starts");
    let complaints = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {complaints}");
    folder.path().join(arguments.last().expect("a file"))
}

/// All samples of a file and what was wrong with it.
fn listen(path: &Path) -> (Vec<f32>, Option<String>) {
    let mut sound = Sound::open(path).unwrap_or_else(|error| panic!("{error}"));
    let mut samples = Vec::new();
    loop {
        let piece = sound.read(3_000);
        if piece.is_empty() {
            return (samples, sound.close());
        }
        samples.extend(piece);
    }
}

/// Strength of a tone in samples of 16 kHz: the height of its wave.
fn height(samples: &[f32], frequency: f32) -> f32 {
    let sum = |phase: f32| -> f32 {
        let terms = samples.iter().enumerate().map(|(place, sample)| {
            sample * (TAU * frequency * place as f32 / SAMPLE_RATE as f32 + phase).cos()
        });
        terms.sum()
    };
    2.0 * sum(0.0).hypot(sum(TAU / 4.0)) / samples.len() as f32
}

#[test]
#[ignore = "needs ffmpeg: run cargo xtask test"]
fn sound_of_every_container_is_one_channel_of_16_khz() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (tone, pictures) = (["-f", "lavfi", "-i", TONE], ["-f", "lavfi", "-i", PICTURES]);
    let with_pictures = [&tone[..], &pictures[..]].concat();
    for (name, inputs, codec) in [
        ("a.wav", &tone[..], &[][..]),
        ("a.flac", &tone[..], &[]),
        ("a.mp3", &tone[..], &[]),
        ("a.ogg", &tone[..], &["-c:a", "libopus"]),
        ("a.m4a", &tone[..], &[]),
        ("adpcm.wav", &tone[..], &["-c:a", "adpcm_ms"]),
        ("a.mp4", &with_pictures[..], &["-c:v", "mpeg4"]),
        ("a.mkv", &with_pictures[..], &["-c:v", "mpeg4"]),
        ("a.webm", &with_pictures[..], &["-c:v", "libvpx"]),
        ("a.ts", &with_pictures[..], &["-c:v", "mpeg2video"]),
    ] {
        let path = ffmpeg(&folder, &[inputs, codec, &[name]].concat());
        let (samples, complaint) = listen(&path);
        assert_eq!(complaint, None, "{name}");
        // Codecs add silence at the ends: up to 0.1 seconds.
        assert!(
            (8_000..9_700).contains(&samples.len()),
            "{name}: {}",
            samples.len()
        );
        let inner = &samples[1_600..7_200];
        let (tone, other) = (height(inner, 440.0), height(inner, 880.0));
        assert!(
            (tone - 1.0).abs() < 0.1 && other < 0.05,
            "{name}: {tone}, {other}"
        );
    }
}

#[test]
#[ignore = "needs ffmpeg: run cargo xtask test"]
fn many_channels_and_high_rates_are_mixed_as_loud_as_one() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let all = |count: usize| {
        let channels: Vec<String> = (0..count).map(|channel| format!("c{channel}=c0")).collect();
        channels.join("|")
    };
    let wide = format!(
        "sine=frequency=440:sample_rate=192000:duration=0.5,volume=4,pan=7.1|{}",
        all(8)
    );
    let path = ffmpeg(&folder, &["-f", "lavfi", "-i", &wide, "a.wav"]);
    let (samples, _) = listen(&path);
    assert_eq!(samples.len(), 8_000);
    let tone = height(&samples[800..7_200], 440.0);
    assert!((tone - 0.5).abs() < 0.02, "{tone}");
    // Five channels, of which the file does not say where they stand.
    let samples: Vec<u8> = (0..96_000_u32)
        .flat_map(|place| {
            let phase = (place % 4_800) as f32 * 440.0 / 192_000.0;
            #[expect(clippy::cast_possible_truncation, reason = "in the range of 16 bits")]
            let sample = (16_384.0 * (TAU * phase.fract()).sin()) as i16;
            sample.to_le_bytes().repeat(5)
        })
        .collect();
    let path = folder.path().join("five.wav");
    std::fs::write(&path, wav_of_five_channels(&samples)).expect("temporary file");
    let tone = height(&listen(&path).0[800..7_200], 440.0);
    assert!((tone - 0.5).abs() < 0.02, "{tone}");
}

/// A WAV file of 16 bits and 192 kHz in the old form, which knows nothing of loudspeakers.
fn wav_of_five_channels(samples: &[u8]) -> Vec<u8> {
    let [rate, channels, length] = [192_000_u32, 5, u32::try_from(samples.len()).expect("small")];
    let format = [
        16,
        (channels << 16) | 1,
        rate,
        rate * channels * 2,
        (16 << 16) | (channels * 2),
    ];
    let mut file = [&b"RIFF"[..], &(36 + length).to_le_bytes(), b"WAVEfmt "].concat();
    file.extend(format.iter().flat_map(|field| field.to_le_bytes()));
    file.extend([&b"data"[..], &length.to_le_bytes(), samples].concat());
    file
}

#[test]
#[ignore = "needs ffmpeg: run cargo xtask test"]
fn videos_without_sound_silent_ones_and_broken_ones_are_told_apart() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let pictures = ["-f", "lavfi", "-i", PICTURES, "-c:v", "mpeg4"];
    let mute = ffmpeg(&folder, &[&pictures[..], &["mute.mp4"]].concat());
    let error = Sound::open(&mute).expect_err("no sound").to_string();
    assert_eq!(error, format!("`{}` has no sound track", mute.display()));
    let silence = "anullsrc=sample_rate=44100:channel_layout=5.1:duration=0.5";
    let silent = ["-f", "lavfi", "-i", silence];
    let silent = ffmpeg(&folder, &[&silent[..], &pictures, &["silent.mkv"]].concat());
    let (samples, complaint) = listen(&silent);
    assert!(samples.len() >= 8_000 && samples.iter().all(|it| it.abs() < 1e-3));
    assert_eq!(complaint, None);

    let text = folder.path().join("text.mp4");
    std::fs::write(&text, "no video").expect("temporary file");
    let error = Sound::open(&text).expect_err("a text").to_string();
    assert!(
        error.contains("text.mp4` is neither a sound file nor a video"),
        "{error}"
    );

    let tone = ["-f", "lavfi", "-i", "sine=frequency=440:duration=20"];
    let pictures = ["-f", "lavfi", "-i", "color=size=32x32:rate=5:duration=20"];
    let codecs = ["-c:a", "aac", "-c:v", "mpeg4", "-movflags", "+faststart"];
    let whole = ffmpeg(
        &folder,
        &[&tone[..], &pictures, &codecs, &["whole.mp4"]].concat(),
    );
    let bytes = std::fs::read(whole).expect("encoded");
    let broken = folder.path().join("broken.mp4");
    std::fs::write(&broken, &bytes[..bytes.len() / 10 * 6]).expect("temporary file");
    let (samples, complaint) = listen(&broken);
    assert!(
        (80_000..280_000).contains(&samples.len()),
        "{}",
        samples.len()
    );
    assert!(complaint.is_some(), "says that it is broken");
}

/// Hears how strong 500 and 1,000 Hz are in every 320 samples.
struct Ears;

impl EmbedSound for Ears {
    fn width(&self) -> usize {
        2
    }

    fn vectors(&self, samples: usize) -> usize {
        samples / 320
    }

    fn embed(&mut self, samples: &[f32]) -> Result<Vec<f32>, EmbedError> {
        let pieces = samples.chunks_exact(320);
        let hear = |piece: &[f32]| [500.0, 1_000.0].map(|frequency| height(piece, frequency));
        Ok(pieces.flat_map(hear).collect())
    }
}

/// Collects complaints.
#[derive(Clone, Default)]
struct Complaints(Rc<RefCell<Vec<String>>>);

impl Observer for Complaints {
    fn begin(&self, _: &str, _: &str, _: Option<u64>) {}

    fn reach(&self, _: u64) {}

    fn end(&self) {}

    fn complain(&self, complaint: &dyn std::fmt::Display) {
        self.0.borrow_mut().push(complaint.to_string());
    }

    fn note(&self, _: &dyn std::fmt::Display) {}
}

#[test]
#[ignore = "needs ffmpeg: run cargo xtask test"]
fn frames_hear_their_part_of_the_sound() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let root = folder.path();
    let tree = "EXPR_Recognition_Challenge/Train_Set";
    for path in ["videos", tree, "cropped"] {
        std::fs::create_dir_all(root.join(path)).expect("temporary folder");
    }
    // Two seconds of each tone, and pictures for four; in the second video the sound is over after one.
    let tone = |frequency: u32| format!("sine=frequency={frequency}:duration=2:sample_rate=16000");
    let (low, high) = (tone(500), tone(1_000));
    let pictures = "color=size=32x32:rate=25:duration=4";
    let sounds = ["-f", "lavfi", "-i", &low, "-f", "lavfi", "-i", &high];
    let inputs = [&sounds[..], &["-f", "lavfi", "-i", pictures]].concat();
    let join = [
        "-filter_complex",
        "[0:a][1:a]concat=n=2:v=0:a=1[a]",
        "-map",
        "[a]",
        "-map",
        "2",
    ];
    let codecs = ["-c:a", "pcm_s16le", "-c:v", "mpeg4"];
    ffmpeg(
        &folder,
        &[&inputs[..], &join, &codecs, &["videos/talk.mkv"]].concat(),
    );
    let short = [
        "-t", "1", "-f", "lavfi", "-i", &low, "-f", "lavfi", "-i", pictures,
    ];
    ffmpeg(
        &folder,
        &[&short[..], &codecs, &["videos/short.avi"]].concat(),
    );
    let mute = [
        "-f",
        "lavfi",
        "-i",
        pictures,
        "-c:v",
        "mpeg4",
        "videos/mute.mp4",
    ];
    ffmpeg(&folder, &mute);
    for name in ["talk_left", "talk_right", "short", "mute", "gone"] {
        let labels = format!("header\n{}", "3\n".repeat(101));
        std::fs::write(root.join(tree).join(format!("{name}.txt")), labels).expect("temporary");
        let crops = root.join("cropped").join(name);
        std::fs::create_dir(&crops).expect("temporary folder");
        for frame in [1, 60, 102] {
            std::fs::write(crops.join(format!("{frame:05}.jpg")), b"").expect("temporary file");
        }
    }
    let complaints = Complaints::default();
    let mut reader = {
        let tree = AffWild2::open(root).expect("has crops");
        let load = Box::new(|| {
            let ears: Box<dyn EmbedSound> = Box::new(Ears);
            Ok(ears)
        });
        let embedder = SoundEmbedder::new("ears", "made up", &root.join("cache"), load);
        let videos = tree.videos(None).expect("three videos");
        SoundReader::new(tree, videos, embedder, Box::new(complaints.clone()))
    };
    let (training, counts) = reader
        .read::<usize>(Part::Training, Keep::Labelled)
        .expect("read");
    // 101 frames hear: the 100 of the container and one more; 26 where the sound ends early.
    assert_eq!((counts.videos, counts.videos_without_sound), (5, 2));
    let frames: Vec<usize> = training.videos.iter().map(|it| it.frames.len()).collect();
    assert_eq!(frames, [0, 0, 26, 101, 101]);
    assert_eq!((counts.usable, counts.without_sound), (228, 75 + 202));
    let talk = &training.videos[3];
    for (frame, place) in talk.frames.iter().zip(talk.first..) {
        let heard = training.embeddings.row(place);
        let is_low = heard[0] > heard[1];
        // The frame in the middle may hear either.
        assert!(
            frame.abs_diff(51) < 2 || is_low == (*frame < 51),
            "{frame}: {heard:?}"
        );
    }
    let mut said = complaints.0.take();
    said.retain(|complaint| !complaint.contains("have no sound at all"));
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(
        said[0].contains("`gone`: there is no video of this name"),
        "{said:?}"
    );
    assert!(said[1].contains("mute.mp4` has no sound track"), "{said:?}");
    let short =
        "sound of `short` lasts 1.0 seconds, its pictures 4.0; frames after its end have no sound";
    assert_eq!(said[2], short);

    let (scored, counts) = reader
        .read::<usize>(Part::Training, Keep::All)
        .expect("read");
    let frames: Vec<_> = scored
        .videos
        .iter()
        .map(|video| video.frames.as_slice())
        .collect();
    // The crop of frame 102 hears what frame 101 heard; its label is missing.
    let talk = &[1, 60, 102][..];
    assert_eq!(frames, [&[], &[], &[1][..], talk, talk]);
    assert_eq!((counts.usable, counts.without_sound), (5, 5));
}
