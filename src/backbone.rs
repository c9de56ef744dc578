//! Networks that turn a face into an embedding.

mod convolution;
mod cpu;
mod efficientnet;
mod mobilenet_v1;
mod parameters;

pub use efficientnet::{EfficientNet, EfficientNetConfig};
pub use mobilenet_v1::MobileNetV1;
