//! Videos with labels, as features of a backbone's frames or clips, or as pictures.

mod clip_features;
mod clip_frames;
mod embedded;
mod features;
mod labelled;
mod pictures;
mod reader;
mod second;
mod second_error;
mod second_reader;
mod skip;
mod source;
mod times;
mod window;

pub use clip_features::{ClipFeatureError, ClipFeatures};
pub use features::{FrameFeatures, repair_clip};
pub use labelled::{LabelledVideo, VideoData, VideoDataError};
pub use pictures::VideoPictures;
pub use reader::{VideoReader, VideoReaderError, Videos};
pub use second::SecondFeatures;
pub use second_error::SecondStreamError;
pub use second_reader::SecondReader;
pub use source::VideoSource;
pub use window::WindowFeatures;
