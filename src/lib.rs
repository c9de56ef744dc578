//! Facial expression, valence, arousal and action units from pictures, video and webcams, in the browser and natively, on
//! Burn.

pub mod affect;
pub mod backbone;
pub mod calibration;
pub mod circumplex;
#[cfg(feature = "native")]
pub mod cli;
pub mod crop;
pub mod detect;
pub mod device;
pub mod error;
pub mod face;
pub mod facs;
pub mod filtering;
pub mod frame;
pub mod fusion;
pub mod gaps;
pub mod head;
pub mod kernel;
pub mod label;
pub mod landmarks;
pub mod lens;
pub mod metrics;
pub mod network;
#[cfg(feature = "native")]
pub mod picture;
pub mod report;
pub mod smoothing;
pub mod tracking;
#[cfg(feature = "train")]
pub mod train;
pub mod violence;
#[cfg(feature = "web")]
pub mod web;
pub mod weights;
pub mod windowing;
