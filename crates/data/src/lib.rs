//! Data sets and what is read from them: Aff-Wild2, DVD, folders of pictures and clips, decoded videos, caches of features,
//! and scores of heads on them.
//!
//! Nothing here prints: an [`Observer`] is told how far a long task is and what was skipped.

mod affwild2;
mod clips;
#[cfg(test)]
mod damaged;
mod dataset;
mod delimited;
mod dvd;
mod embedder;
mod embedding;
mod evaluation;
mod features;
mod ffmpeg;
mod folder;
mod input;
mod observer;
mod part;
pub mod picture;
mod process;
mod second_stream;
mod skeletons;
mod sound;
mod video;
mod videos;

pub use affwild2::{
    AffWild2, AffWild2Error, AnnotatedVideo, AnnotatedVideos, CropReader, FrameCounts, FrameLabel,
    Keep, LibreFace, LibreFaceCounts, SampleList, SampleVideo, SoundCounts, SoundReader,
    SubmissionRow, VideoFeatures, VideoFiles, VideoRows, parse_annotations,
};
pub use clips::{
    CLIP_SETS, ClipFile, ClipFolders, ClipSet, FoldError, expect_both_classes, read_folds,
};
pub use dataset::{DatasetError, LabelledPictures};
pub use dvd::{
    Dvd, DvdError, DvdVideo, parse_frame_labels, parse_template, read_test_videos, submission_csv,
    write_submission,
};
pub use embedder::{EmbedVideoError, EmbeddedExamples, Embedder, EmbedderError, ScoringEmbedder};
pub use embedding::{
    BLOCK_SECONDS, Embed, EmbedError, EmbedSound, EmbedSoundError, EmbeddedPictures, EmbeddedSound,
    EmbeddedVideo, EmbeddingCache, ExtractionError, Failure, HeardExpressions, KeptClips,
    SoundEmbedder, extract_embeddings, extract_sound, extract_video, extract_video_file,
};
pub use evaluation::{
    ActionUnitPair, ActionUnitPairs, ActionUnitPredictor, AgeAndGender, AgeAndGenderReader,
    AudioVisual, BlendshapeUnits, ClipScores, DecidingModel, EvaluationError, ExpressionPredictor,
    FramePredictor, FrameProbabilities, GroupBy, GroupScores, GroupedPrediction, PictureClassifier,
    PictureDecision, PictureScores, ScoreError, SoundActionUnitPredictor, SoundExpressionPredictor,
    SoundValenceArousalPredictor, ValenceArousalPredictor, ViolenceScorer, ViolenceScores,
    add_frames, check_window_length, predict_frames, predict_groups, predict_submission,
    score_action_units, score_faces, score_groups, score_pictures, score_video,
};
pub use features::{FeatureError, FeatureRows};
pub use ffmpeg::Ending;
pub use folder::FolderError;
pub use input::{Content, FrameFolder, Input, InputError, PassedOver, Unwanted};
pub use observer::Observer;
pub use part::Part;
pub use second_stream::{
    Extracted, FrameSource, StreamExtractionError, StreamVideo, clips_of, dvd_videos, encode_flow,
    extract_flow, extract_skeletons, named_videos,
};
pub use skeletons::{SkeletonError, SkeletonRows, SkeletonWriter};
pub use sound::{Pictures, SAMPLE_RATE, Sound, SoundError, normalise};
pub use video::{Decoder, Video, VideoError, VideoFrame};
pub use videos::{
    ClipFeatureError, ClipFeatures, FrameFeatures, LabelledVideo, SecondFeatures, SecondReader,
    SecondStreamError, VideoData, VideoDataError, VideoPictures, VideoReader, VideoReaderError,
    VideoSource, Videos, WindowFeatures, repair_clip,
};
