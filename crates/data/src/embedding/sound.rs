//! Vectors of the sound of a file.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{
    EmbedError, EmbeddingCache, ExtractionError,
    cache::{at, keep},
    file::{pack_sound, unpack_sound},
};
use crate::{
    Ending, FeatureError, FeatureRows, Pictures, SAMPLE_RATE, Sound, SoundError, normalise,
    sound::Description,
};
use affectlens::{
    audio::{Wav2Vec2, vectors_of},
    weights::{Weights, sha256},
};

/// Seconds of sound that go through a network together, as published; the last block is shorter.
pub const BLOCK_SECONDS: usize = 360;
/// Longest sound whose vectors are kept: they take 0.3 GB an hour.
const MOST_HOURS: u64 = 2;

/// A network that gives vectors for a stretch of sound, such as wav2vec 2.0.
pub trait EmbedSound {
    /// Numbers of a vector.
    fn width(&self) -> usize;

    /// Vectors of a stretch of that many samples; it may be too short for one.
    fn vectors(&self, samples: usize) -> usize;

    /// The vectors of a stretch of one channel at 16 kHz with a mean of 0 and a variance of 1, one after the other.
    ///
    /// # Errors
    ///
    /// [`EmbedError`] if the device fails.
    fn embed(&mut self, samples: &[f32]) -> Result<Vec<f32>, EmbedError>;
}

impl EmbedSound for Wav2Vec2 {
    fn width(&self) -> usize {
        self.config().width
    }

    fn vectors(&self, samples: usize) -> usize {
        vectors_of(samples)
    }

    fn embed(&mut self, samples: &[f32]) -> Result<Vec<f32>, EmbedError> {
        pollster::block_on(self.embed(samples)).map_err(|error| EmbedError::Network {
            reason: error.to_string(),
        })
    }
}

/// What loads a network, once it is needed.
type Load = Box<dyn FnOnce() -> Result<Box<dyn EmbedSound>, EmbedError>>;

/// A network for sound with the cache of its vectors. It is loaded when the first sound comes that is not in the cache.
pub struct SoundEmbedder {
    name: String,
    cache: EmbeddingCache,
    load: Option<Load>,
    network: Option<Box<dyn EmbedSound>>,
}

/// Vectors of a whole sound.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedSound {
    /// One row a vector.
    pub rows: FeatureRows,
    /// Samples that they were made of, at 16 kHz.
    pub samples: u64,
    /// The pictures beside the sound.
    pub pictures: Option<Pictures>,
    /// Why the sound may have ended early, or what its decoder complained about.
    pub complaint: Option<String>,
    /// Whether all of the sound was read; only then it is kept.
    pub is_whole: bool,
}

/// Why a file has no vectors.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EmbedSoundError {
    /// The file has no sound that can be read.
    #[error(transparent)]
    Sound(#[from] SoundError),
    /// The sound is too short for a single vector.
    #[error("`{}` has {samples} samples of sound at 16 kHz, too few for the network", path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// Samples.
        samples: u64,
    },
    /// The sound is too long to keep its vectors.
    #[error("`{}` has more than {hours} hours of sound", path.display())]
    Long {
        /// The file.
        path: PathBuf,
        /// Most hours.
        hours: u64,
    },
    /// The network failed.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// Vectors cannot be kept in 16 bits.
    #[error("`{}`: {error}", path.display())]
    Feature {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        error: FeatureError,
    },
    /// The cache cannot be written.
    #[error(transparent)]
    Cache(#[from] ExtractionError),
}

impl EmbedSoundError {
    /// Whether the file is at fault, so that others may still be read.
    pub(crate) fn is_of_file(&self) -> bool {
        match self {
            Self::Sound(error) => !matches!(error, SoundError::Decoder(_)),
            Self::Short { .. } | Self::Long { .. } => true,
            Self::Embed(_) | Self::Feature { .. } | Self::Cache(_) => false,
        }
    }
}

impl std::fmt::Debug for SoundEmbedder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("SoundEmbedder")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

impl SoundEmbedder {
    /// The network `name` of weights with that digest ([`Weights::digest`]); vectors are kept in a folder of their own below
    /// `cache`.
    pub fn new(name: &str, weights_sha256: &str, cache: &Path, load: Load) -> Self {
        let key =
            format!("{name} {weights_sha256} {SAMPLE_RATE} Hz, blocks of {BLOCK_SECONDS} seconds");
        let digest = sha256(key.as_bytes());
        let folder = cache.join(format!("{name}-{}", &digest[..12]));
        Self {
            name: name.to_owned(),
            cache: EmbeddingCache { folder, key },
            load: Some(load),
            network: None,
        }
    }

    /// Name of the network.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the vectors of each file are kept.
    pub fn folder(&self) -> &Path {
        &self.cache.folder
    }

    /// All that vectors depend on besides the sound.
    pub fn key(&self) -> &str {
        &self.cache.key
    }

    /// Vectors of the sound of a file, computed or from the cache.
    ///
    /// # Errors
    ///
    /// [`EmbedSoundError`] if the file has no sound, the network fails, or vectors cannot be kept.
    pub fn extract(&mut self, path: &Path) -> Result<EmbeddedSound, EmbedSoundError> {
        let Self {
            cache,
            load,
            network,
            ..
        } = self;
        extract_sound(path, cache, move || {
            if let Some(load) = load.take() {
                *network = Some(load()?);
            }
            let network = network.as_deref_mut();
            // A network that could not be loaded once is not tried again.
            network.ok_or_else(|| EmbedError::Network {
                reason: "the network for sound could not be loaded".to_owned(),
            })
        })
    }
}

/// Keeps the vectors of a file's sound in one cache file, `<folder>/<stem>-<digest>.safetensors`, readable elsewhere: tensor
/// `embeddings` with a row a vector, and in the metadata the number of `samples` at 16 kHz and of `frames` beside them. The
/// digest is that of the file's bytes and the cache's key, so that files of one name in two folders are kept apart.
///
/// The sound goes through the network in blocks of 360 seconds, each brought to a mean of 0 and a variance of 1 by itself
/// (HSEmotion team at ABAW-10, notebook); a last block that is too short for a vector is dropped. A cache file that is
/// damaged, or was made of other bytes or by another network, is made anew. `network` is asked for only then. Vectors of a
/// sound that could not be read to its end are not kept.
///
/// # Errors
///
/// [`EmbedSoundError`] if the file has no sound, the network fails, or the cache cannot be written.
pub fn extract_sound<'a>(
    path: &Path,
    cache: &EmbeddingCache,
    network: impl FnOnce() -> Result<&'a mut (dyn EmbedSound + 'static), EmbedError>,
) -> Result<EmbeddedSound, EmbedSoundError> {
    if let Err(error) = std::fs::metadata(path) {
        return Err(at(path, error).into());
    }
    let digest = cache.digest(&[PathBuf::from(path)]);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let file = cache.named_file(&stem, &digest);
    // A cache file that cannot be read is as good as none.
    let kept = || unpack_sound(&digest, &Weights::read(&file).ok()?);
    if let Some(sound) = kept() {
        return Ok(sound);
    }
    let sound = compute(path, network()?)?;
    if sound.is_whole {
        keep(&file, pack_sound(&digest, &sound))?;
    }
    Ok(sound)
}

fn compute(path: &Path, network: &mut dyn EmbedSound) -> Result<EmbeddedSound, EmbedSoundError> {
    let width = network.width();
    let mut rows = FeatureRows::new(width);
    let ignore = |_: &[f32]| ();
    let heard = hear_blocks(path, network, MOST_HOURS, ignore, |vectors| {
        let mut rows_of_block = vectors.chunks(width.max(1));
        let pushed = rows_of_block.try_for_each(|row| rows.push(row));
        pushed.map_err(|error| EmbedSoundError::Feature {
            path: path.to_owned(),
            error,
        })
    })?;
    Ok(EmbeddedSound {
        rows,
        samples: heard.samples,
        pictures: heard.pictures,
        complaint: heard.complaint,
        is_whole: heard.is_whole,
    })
}

/// What is known of a sound that went through a network.
pub(super) struct HeardSound {
    /// Samples at 16 kHz.
    pub(super) samples: u64,
    /// The pictures beside the sound.
    pub(super) pictures: Option<Pictures>,
    /// Why the sound may have ended early, or what its decoder complained about.
    pub(super) complaint: Option<String>,
    /// Whether it was read to its end.
    pub(super) is_whole: bool,
}

/// Sends a sound through a network block by block; `listen` gets the samples of each as they are, `take` the vectors.
pub(super) fn hear_blocks(
    path: &Path,
    network: &mut dyn EmbedSound,
    most_hours: u64,
    mut listen: impl FnMut(&[f32]),
    mut take: impl FnMut(&[f32]) -> Result<(), EmbedSoundError>,
) -> Result<HeardSound, EmbedSoundError> {
    let block = BLOCK_SECONDS * SAMPLE_RATE as usize;
    let described = Description::read(path);
    let (mut sound, pictures) = match described {
        Ok(described) => (open(path, &described)?, described.pictures),
        // A WAV file needs no decoder.
        Err(error) => (Sound::open(path).map_err(|_| error)?, None),
    };
    let mut taken = 0;
    loop {
        let mut samples = sound.read(block);
        listen(&samples);
        let is_last = samples.len() < block;
        let vectors = network.vectors(samples.len());
        if vectors > 0 {
            normalise(&mut samples);
            let embedded = network.embed(&samples)?;
            expect_vectors(&embedded, vectors, network.width())?;
            take(&embedded)?;
            taken += vectors;
        }
        if is_last {
            break;
        }
        if sound.given() > most_hours * 3600 * u64::from(SAMPLE_RATE) {
            return Err(EmbedSoundError::Long {
                path: path.to_owned(),
                hours: most_hours,
            });
        }
    }
    let samples = sound.given();
    let Ending {
        complaint,
        is_whole,
    } = sound.finish();
    if samples == 0 {
        let reason = complaint.unwrap_or_else(|| "it is empty".to_owned());
        let path = path.to_owned();
        return Err(SoundError::Empty { path, reason }.into());
    }
    if taken == 0 {
        return Err(EmbedSoundError::Short {
            path: path.to_owned(),
            samples,
        });
    }
    Ok(HeardSound {
        samples,
        pictures,
        complaint,
        is_whole,
    })
}

/// A WAV file as it is, everything else decoded.
fn open(path: &Path, described: &Description) -> Result<Sound, SoundError> {
    match described.pictures {
        None => Sound::open(path),
        Some(_) => Sound::decode(path, described),
    }
}

/// Confirms that a network gave as many vectors of a block as it said.
fn expect_vectors(values: &[f32], vectors: usize, width: usize) -> Result<(), EmbedError> {
    let width = width.max(1);
    if values.len() == vectors * width {
        return Ok(());
    }
    Err(EmbedError::Count {
        expected: vectors,
        got: values.len() / width,
    })
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;

    /// Gives the first and the largest sample of every 400, and notes the length of each block.
    struct Ears {
        blocks: Rc<RefCell<Vec<usize>>>,
        /// Vectors that it forgets.
        forgets: usize,
    }

    impl EmbedSound for Ears {
        fn width(&self) -> usize {
            2
        }

        fn vectors(&self, samples: usize) -> usize {
            samples / 400
        }

        fn embed(&mut self, samples: &[f32]) -> Result<Vec<f32>, EmbedError> {
            self.blocks.borrow_mut().push(samples.len());
            let count = self.vectors(samples.len()) - self.forgets;
            let pieces = samples.chunks_exact(400).take(count);
            let vector = |piece: &[f32]| [piece[0], piece.iter().copied().fold(0.0, f32::max)];
            Ok(pieces.flat_map(vector).collect())
        }
    }

    struct Lab {
        folder: tempfile::TempDir,
        blocks: Rc<RefCell<Vec<usize>>>,
        forgets: usize,
    }

    impl Lab {
        fn new() -> Self {
            Self {
                folder: tempfile::tempdir().expect("temporary folder"),
                blocks: Rc::default(),
                forgets: 0,
            }
        }

        /// A WAV file of 16 kHz whose sample at a place is `level(place)`.
        fn wav(&self, samples: u32, level: impl Fn(u32) -> i16) -> PathBuf {
            let path = self.folder.path().join("talk.wav");
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: SAMPLE_RATE,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            let mut writer = hound::WavWriter::create(&path, spec).expect("temporary file");
            let mut writer16 = writer.get_i16_writer(samples);
            (0..samples).for_each(|place| writer16.write_sample(level(place)));
            writer16.flush().expect("writable");
            writer.finalize().expect("writable");
            path
        }

        fn embedder(&self) -> SoundEmbedder {
            let (blocks, forgets) = (Rc::clone(&self.blocks), self.forgets);
            let load = Box::new(move || {
                let ears: Box<dyn EmbedSound> = Box::new(Ears { blocks, forgets });
                Ok(ears)
            });
            SoundEmbedder::new("ears", "made up", &self.folder.path().join("cache"), load)
        }

        /// The vectors, and the lengths of the blocks that were computed for them.
        fn run(&self, path: &Path) -> (EmbeddedSound, Vec<usize>) {
            let sound = self.embedder().extract(path).expect("has sound");
            (sound, self.blocks.take())
        }
    }

    #[test]
    fn blocks_are_normalised_each_by_itself_and_a_rest_without_a_vector_is_dropped() {
        let lab = Lab::new();
        let block = 360 * SAMPLE_RATE;
        // The second block is ten times as loud as the first.
        let level = |place: u32| {
            let sign = if place.is_multiple_of(2) { 1 } else { -1 };
            sign * if place < block { 1_000 } else { 10_000 }
        };
        let path = lab.wav(block + 1_000, level);
        let (sound, blocks) = lab.run(&path);
        assert_eq!(blocks, [5_760_000, 1_000]);
        assert_eq!(sound.samples, 5_761_000);
        assert_eq!(sound.rows.len(), 14_400 + 2);
        for row in [0, 14_399, 14_400, 14_401] {
            let [first, most] = sound.rows.row(row)[..] else {
                panic!("two numbers");
            };
            assert!((first - 1.0).abs() < 1e-3 && (most - 1.0).abs() < 1e-3);
        }
        let path = lab.wav(block + 10, level);
        let (sound, blocks) = lab.run(&path);
        assert_eq!(
            (blocks.as_slice(), sound.rows.len()),
            (&[5_760_000][..], 14_400)
        );
    }

    #[test]
    fn vectors_are_computed_once_and_the_network_is_loaded_only_then() {
        let lab = Lab::new();
        let path = lab.wav(1_600, |place| i16::try_from(place).expect("small"));
        let (first, blocks) = lab.run(&path);
        assert_eq!((first.rows.len(), blocks.as_slice()), (4, &[1_600][..]));
        let never = Box::new(|| -> Result<Box<dyn EmbedSound>, EmbedError> {
            let reason = "no such file".to_owned();
            Err(EmbedError::Network { reason })
        });
        let cache = lab.folder.path().join("cache");
        let mut embedder = SoundEmbedder::new("ears", "made up", &cache, never);
        assert_eq!(embedder.extract(&path).expect("kept"), first);

        let mut kept = std::fs::read_dir(embedder.folder()).expect("was made");
        let file = kept.next().expect("one file").expect("readable").path();
        let mut bytes = std::fs::read(&file).expect("was written");
        *bytes.last_mut().expect("not empty") ^= 1;
        std::fs::write(&file, bytes).expect("writable");
        for expected in ["no such file", "the network for sound could not be loaded"] {
            let error = embedder.extract(&path).expect_err("damaged");
            assert_eq!(error.to_string(), expected);
        }
        assert_eq!(lab.run(&path), (first, vec![1_600]), "computed anew");
        let path = lab.wav(2_000, |_| 7);
        assert_eq!(lab.run(&path).1, [2_000], "another sound");
    }

    #[test]
    fn sounds_of_one_name_in_two_folders_are_kept_apart() {
        let lab = Lab::new();
        let first = lab.wav(1_600, |place| i16::try_from(place).expect("small"));
        let folder = lab.folder.path().join("other");
        let second = folder.join(first.file_name().expect("has one"));
        std::fs::create_dir(folder).expect("temporary folder");
        std::fs::copy(&first, &second).expect("temporary file");
        lab.wav(2_000, |_| 7);
        assert_eq!(lab.run(&first).1, [2_000], "computed");
        assert_eq!(lab.run(&second).1, [1_600], "computed");
        for path in [first, second] {
            assert_eq!(lab.run(&path).1, [0; 0], "kept");
        }
    }

    #[test]
    fn silence_has_vectors_and_too_little_sound_is_named() {
        let lab = Lab::new();
        let (sound, _) = lab.run(&lab.wav(800, |_| 0));
        assert_eq!(sound.rows.iter().collect::<Vec<_>>(), [[0.0; 2]; 2]);
        let path = lab.wav(399, |_| 1);
        let error = lab.embedder().extract(&path).expect_err("too short");
        let expected = format!(
            "`{}` has 399 samples of sound at 16 kHz, too few for the network",
            path.display()
        );
        assert_eq!(error.to_string(), expected);
        assert!(error.is_of_file());
        let none = lab.folder.path().join("none.mp4");
        let error = lab.embedder().extract(&none).expect_err("not there");
        assert!(error.to_string().contains("none.mp4"), "{error}");
    }

    #[test]
    fn a_network_that_forgets_vectors_is_an_error() {
        let lab = Lab {
            forgets: 1,
            ..Lab::new()
        };
        let error = lab.embedder().extract(&lab.wav(1_600, |_| 1));
        let error = error.expect_err("three for four");
        assert_eq!(error.to_string(), "network gave 3 embeddings, expected 4");
        assert!(!error.is_of_file());
    }
}
