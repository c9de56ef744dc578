//! `affectlens analyze --audio` and `embed` on sound, with a network of made-up weights.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use affectlens::{
    audio::{SAMPLE_RATE, Wav2Vec2Config, vectors_of},
    head::MlpConfig,
    label::AFF_WILD2,
    weights::{Metadata, Precision, Weights, cache_dir},
};
use burn::tensor::Device;
use serde_json::Value;

use crate::seeded::parameter;

const NETWORK: &str = "wav2vec2-base";
const HEAD: &str = "expression-audio-head";
/// Pictures of the clip, at 25 a second.
const FRAMES: usize = 30;

struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    /// A clip of a face with tones beside it, and a folder with the default networks.
    fn new() -> Self {
        let lab = Self {
            folder: tempfile::tempdir().expect("temporary folder"),
        };
        lab.write_sound();
        let clip = cache_dir().join("media/cap13_edit2.mp4");
        let frames = FRAMES.to_string();
        let clip = clip.to_str().expect("UTF-8");
        let pictures = [
            "-nostdin",
            "-loglevel",
            "error",
            "-i",
            clip,
            "-i",
            "tones.wav",
        ];
        let mapped = ["-map", "0:v", "-map", "1:a", "-frames:v", &frames];
        let written = ["-c:v", "ffv1", "-c:a", "flac", "-shortest", "clip.mkv"];
        let made = Command::new("ffmpeg")
            .args([&pictures[..], &mapped, &written].concat())
            .current_dir(lab.folder.path())
            .output()
            .expect("ffmpeg starts");
        assert!(made.status.success(), "{}", stderr(&made));
        fs::create_dir(lab.weights()).expect("temporary folder");
        for name in ["blazeface-short-range", "silero-vad"] {
            let file = format!("{name}.safetensors");
            let from = cache_dir().join("weights").join(&file);
            fs::copy(from, lab.weights().join(file)).expect("fetched weights");
        }
        lab
    }

    /// Two seconds at 16 kHz whose tone changes.
    fn write_sound(&self) {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let path = self.folder.path().join("tones.wav");
        let mut writer = hound::WavWriter::create(path, spec).expect("temporary file");
        for place in 0..2 * SAMPLE_RATE {
            let step = place * (1 + place / 4000) * 40 % 20_000;
            let sample = i16::try_from(step).expect("below 20,000") - 10_000;
            writer.write_sample(sample).expect("writable");
        }
        writer.finalize().expect("writable");
    }

    fn weights(&self) -> PathBuf {
        self.folder.path().join("weights")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.weights().join(format!("{name}.safetensors"))
    }

    /// The network in its real size, with numbers without a pattern.
    fn write_network(&self) {
        let config = Wav2Vec2Config::BASE;
        let mut weights = Weights::new(Metadata {
            architecture: config.name.to_owned(),
            source_sha256: "made up".to_owned(),
            ..Metadata::default()
        });
        for it in config.parameters() {
            let values = parameter(&it.name, &it.shape);
            let inserted = weights.insert(it.name, it.shape, values);
            inserted.expect("as many values");
        }
        let written = weights.write(&self.file(NETWORK), Precision::Half);
        written.expect("writable");
    }

    fn write_head(&self) {
        let config = MlpConfig {
            inputs: 768,
            hidden: 16,
            classes: AFF_WILD2.len(),
        };
        let mut weights = config.init(11, &Device::flex()).to_weights();
        weights.metadata.classes = AFF_WILD2.to_vec();
        let extra = &mut weights.metadata.extra;
        extra.insert("embedding".to_owned(), NETWORK.to_owned());
        extra.insert("gla".to_owned(), "0.5 0 0 0 0 0 0 0.5".to_owned());
        let written = weights.write(&self.file(HEAD), Precision::Single);
        written.expect("writable");
    }

    fn run(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_affectlens"))
            .args(line.split_whitespace())
            .args(["--device", "cpu"])
            .current_dir(self.folder.path())
            .output()
            .expect("the command line starts")
    }

    fn lines(&self, line: &str) -> Vec<Value> {
        let done = self.run(line);
        assert!(done.status.success(), "{line}: {}", stderr(&done));
        let text = String::from_utf8(done.stdout).expect("UTF-8");
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    fn analyze(&self, options: &str) -> Vec<Value> {
        self.lines(&format!("analyze clip.mkv --weights weights {options}"))
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn expression(report: &Value) -> &Value {
    assert_eq!(report["faces"].as_array().map(Vec::len), Some(1));
    &report["faces"][0]["expression"]
}

fn probabilities(of: &Value) -> Vec<(String, f64)> {
    let map = of["probabilities"].as_object().expect("an object");
    let pair = |(name, value): (&String, &Value)| (name.clone(), value.as_f64().expect("a number"));
    map.iter().map(pair).collect()
}

#[test]
#[ignore = "needs fetched weights, clips and ffmpeg: run cargo xtask test"]
fn faces_are_averaged_with_the_sound_of_their_video() {
    let lab = Lab::new();
    let refusal = |what: &str| {
        let done = lab.run(&format!("analyze {what} --weights weights --audio"));
        assert_eq!(done.status.code(), Some(1));
        stderr(&done)
    };
    let error = refusal("clip.mkv");
    assert!(
        error.contains("expression-audio-head.safetensors`: there is no head for sound; train one"),
        "{error}"
    );
    lab.write_head();
    let error = refusal("clip.mkv");
    assert!(
        error.contains("`wav2vec2-base` are not installed; make it with `affectlens convert"),
        "{error}"
    );
    lab.write_network();

    let vectors = lab.lines(&format!(
        "embed tones.wav --backbone {NETWORK} --weights weights/{NETWORK}.safetensors"
    ));
    assert_eq!(vectors.len(), vectors_of(2 * SAMPLE_RATE as usize));
    assert_eq!(vectors[3]["time_ms"], 60);
    let widths = vectors
        .iter()
        .map(|line| line["embedding"].as_array().map(Vec::len));
    assert!(widths.into_iter().all(|width| width == Some(768)));

    // Nothing is smoothed, and the pretrained classifier never decides.
    let plain = "--half-window 0 --confidence 1";
    let faces = lab.analyze(plain);
    let both = lab.analyze(&format!("{plain} --audio"));
    assert_eq!((faces.len(), both.len()), (FRAMES, FRAMES));
    let mut moved = 0.0_f64;
    for (faces, both) in faces.iter().zip(&both) {
        assert_eq!(faces.get("audio"), None);
        let audio = &both["audio"];
        let heard = probabilities(audio);
        assert!(
            heard
                .iter()
                .map(|(name, _)| name)
                .eq(AFF_WILD2.map(|it| it.name()))
        );
        assert!((heard.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-5);
        assert!(audio["speech"].is_number(), "{audio}");
        let (seen, blended) = (expression(faces), expression(both));
        assert_eq!(
            (&seen["source"], &blended["source"]),
            (&"head".into(), &"blend".into())
        );
        let (seen, blended) = (probabilities(seen), probabilities(blended));
        let of_sound = |name: &str| {
            let found = heard.iter().find(|(other, _)| other == name);
            found.map(|(_, p)| *p)
        };
        let shared: f64 = seen.iter().filter_map(|(name, _)| of_sound(name)).sum();
        let kept: f64 = seen
            .iter()
            .filter(|(name, _)| of_sound(name).is_none())
            .map(|(_, p)| p)
            .sum();
        for ((name, seen), (_, blended)) in seen.iter().zip(&blended) {
            // A class that sound does not know keeps the face's probability; the others share the rest.
            let heard = of_sound(name).map_or(*seen, |p| p / shared * (1.0 - kept));
            let expected = 0.6 * seen + 0.4 * heard;
            assert!(
                (blended - expected).abs() < 1e-4,
                "{name}: {blended}, {expected}"
            );
            moved = moved.max((blended - seen).abs());
        }
    }
    assert!(moved > 0.01, "{moved}");
    let audio = |report: &Value| report["audio"]["probabilities"].clone();
    assert_ne!(
        audio(&both[0]),
        audio(&both[FRAMES - 1]),
        "the tones differ"
    );

    let alone = lab.analyze(&format!("{plain} --audio --face-weight 1"));
    for (faces, alone) in faces.iter().zip(&alone) {
        assert_eq!(expression(faces), expression(alone), "the face alone");
    }
    // Tones are no speech.
    let speech_only = lab.analyze(&format!("{plain} --audio --speech-only"));
    for (faces, report) in faces.iter().zip(&speech_only) {
        if report["audio"]["speech"].as_f64() < Some(0.5) {
            assert_eq!(expression(faces), expression(report), "nobody speaks");
        }
    }
    let table = lab.run("analyze clip.mkv --weights weights --audio --format csv");
    let table = String::from_utf8(table.stdout).expect("UTF-8");
    let header = table.lines().next().expect("a header");
    assert!(header.contains(",audio_neutral,audio_anger,"), "{header}");
    assert!(header.ends_with(",audio_other,speech"), "{header}");
    let fields = |line: &str| line.split(',').count();
    assert!(table.lines().all(|line| fields(line) == fields(header)));
    let error = refusal("clip.mkv --tasks violence");
    assert!(error.contains("--audio is about expressions"), "{error}");
}

#[test]
fn options_of_sound_need_it() {
    for option in ["--face-weight 0.5", "--speech-only"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let done = Command::new(env!("CARGO_BIN_EXE_affectlens"))
            .args(["analyze", "x.mp4"])
            .args(option.split(' '))
            .current_dir(folder)
            .output()
            .expect("the command line starts");
        assert_eq!(done.status.code(), Some(2), "{option}");
        assert!(stderr(&done).contains("--audio"), "{option}");
    }
}
