//! Networks, what runs them and where their parameters come from.

pub mod audio;
pub mod backbone;
pub mod clip;
pub mod crop;
pub mod detect;
pub mod device;
pub mod head;
pub mod kernel;
pub mod landmarks;
pub mod network;
pub mod pose;
pub mod voice;
pub mod weights;
