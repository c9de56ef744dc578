//! Data sets and what is read from them: Aff-Wild2, DVD, folders of pictures and clips, caches of features.

mod affwild2;
mod clips;
mod dataset;
mod dvd;
mod embedding;
mod features;
mod folder;
pub mod picture;

pub use affwild2::{
    AffWild2, AffWild2Error, AnnotatedVideo, AnnotatedVideos, FrameCounts, FrameLabel, Keep, Part,
    SampleList, SampleVideo, SubmissionRow, VideoFeatures, VideoRows, parse_annotations,
};
pub use clips::{ClipFile, ClipFolders, FoldError, read_folds};
pub use dataset::{DatasetError, LabelledPictures};
pub use dvd::{
    Dvd, DvdError, DvdVideo, parse_frame_labels, parse_template, read_test_videos, submission_csv,
    write_submission,
};
pub use embedding::{
    EmbeddedPictures, EmbeddedVideo, EmbeddingCache, ExtractionError, Failure, extract_embeddings,
    extract_video, extract_video_file,
};
pub use features::{FeatureError, FeatureRows};
