//! Trains expression heads on frozen embeddings, from folders of pictures to a weights file.

mod affwild2;
mod dataset;
mod embedding;
mod expression;
mod fit;
mod loss;

pub use affwild2::{
    AffWild2, AffWild2Error, AnnotatedVideo, AnnotatedVideos, FrameCounts, FrameLabel, Part,
    SampleList, SampleVideo, SubmissionRow, parse_annotations,
};
pub use dataset::{DatasetError, LabelledPictures, PictureError, read_picture};
pub use embedding::{
    EmbeddedPictures, EmbeddingCache, ExtractionError, Failure, extract_embeddings, extract_video,
};
pub use expression::{
    ExpressionRecipe, RecipeError, TrainedHead, TrainingReport, train_expression,
};
pub use fit::{
    EpochReport, FitError, LabelledEmbeddings, Loss, TrainedMlp, TrainingConfig, predict, train_mlp,
};
pub use loss::{focal_loss, weighted_cross_entropy};
