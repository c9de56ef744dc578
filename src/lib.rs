//! Facial expression, valence, arousal, action units and violence from pictures, video and webcams, in the browser and
//! natively, on Burn.

pub mod lens;
mod networks;
mod numbers;
#[cfg(feature = "web")]
pub mod web;
mod words;

pub use lens::{controls, error, faces, part, violence};
pub use networks::{backbone, crop, detect, device, head, kernel, landmarks, network, weights};
pub(crate) use numbers::probability;
pub use numbers::{
    calibration, circumplex, facs, filtering, fusion, gaps, metrics, smoothing, tracking, windowing,
};
pub use words::{face, frame, label, name, report, role, task};
