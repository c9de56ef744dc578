//! Videos with labels, as features of a backbone's frames or as pictures.

mod features;
mod labelled;
mod pictures;
mod reader;
mod source;

pub use features::{FrameFeatures, repair_clip};
pub use labelled::{LabelledVideo, VideoData, VideoDataError};
pub use pictures::VideoPictures;
pub use reader::{VideoReader, VideoReaderError, Videos};
pub use source::VideoSource;
