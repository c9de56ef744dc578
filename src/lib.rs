//! Facial expression, valence and arousal, action units and violence, from pictures, videos and webcams.
//!
//! A [`Lens`](lens::Lens) takes the frames of one stream and gives a report per frame. It finds faces, follows them from
//! frame to frame, crops and embeds them, and classifies the embeddings; for violence it embeds whole frames and reads
//! windows of them. Networks run on [Burn](burn)'s devices: Vulkan or the CPU natively, WebGPU or the CPU in a browser.
//!
//! Weights are files. `affectlens weights fetch` downloads and converts the default networks, and the folder `models/`
//! holds the heads that were trained for them:
//!
//! ```no_run
//! use std::{
//!     error::Error,
//!     path::{Path, PathBuf},
//! };
//!
//! use affectlens::{
//!     device::{self, DeviceChoice},
//!     frame::Frame,
//!     lens::{Lens, LensWeights},
//!     task::{Task, Tasks},
//!     weights::Weights,
//! };
//!
//! async fn print_faces(folder: &Path, frame: &Frame) -> Result<(), Box<dyn Error>> {
//!     let tasks = Tasks::new(&[Task::Expression, Task::ValenceArousal]);
//!     let weights = LensWeights::read(
//!         tasks,
//!         |role| Some(folder.join(format!("{}.safetensors", role.file()))).filter(|file| file.exists()),
//!         |_, file: PathBuf| Weights::read(&file).map_err(Box::<dyn Error>::from),
//!     )?;
//!     let device = device::open(DeviceChoice::Auto).await?;
//!     let mut lens = Lens::load(weights, tasks, &device).await?;
//!     for face in lens.analyze(frame, 0.0).await?.faces {
//!         let label = face.expression.map(|expression| expression.label.name());
//!         println!("face {}: {label:?}, valence {:?}", face.id, face.valence);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! [`Lens::analyze`](lens::Lens::analyze) reports a webcam's frame at once,
//! [`Lens::analyze_single`](lens::Lens::analyze_single) a picture that belongs to no stream; for files
//! [`push`](lens::Lens::push) and [`finish`](lens::Lens::finish) give the reports later, smoothed with windows that are
//! centred on the frame.
//!
//! # Features
//!
//! - `web`: the JavaScript interface, for `wasm32-unknown-unknown` only.

pub mod lens;
mod networks;
mod numbers;
#[cfg(feature = "web")]
pub mod web;
mod words;

pub use lens::{controls, error, faces, part, people, personal, sound, violence};
pub use networks::{
    audio, backbone, clip, crop, detect, device, head, kernel, landmarks, network, pose, voice,
    weights,
};
pub(crate) use numbers::probability;
pub use numbers::{
    baseline, calibration, circumplex, correction, facs, filtering, fusion, gaps, metrics,
    optical_flow, skeleton, smoothing, tracking, windowing,
};
pub use words::{face, frame, label, name, person, planes, report, role, task};
