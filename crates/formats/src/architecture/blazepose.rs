//! BlazePose: bodies, as MediaPipe's pose landmarker finds them.
//!
//! Bazarevsky et al., "BlazePose: On-device Real-time Body Pose tracking", 2020. Two networks on one kind of trunk
//! (inverted residuals as in EfficientNet-Lite, Tan and Le 2019): a [`detector`] of people, whose key points say where
//! their body lies, and [`landmarks`] of one person in three sizes.

pub mod detector;
pub mod landmarks;
mod trunk;
