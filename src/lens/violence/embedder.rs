//! What the head reads of a window: an embedding of each frame, or features of a few moments of the window.

use burn::tensor::{Tensor, TensorData};

#[cfg(not(target_family = "wasm"))]
use crate::clip::{ClipBackbone, ClipConfig, ClipFrame};
use crate::{
    backbone::Backbone,
    crop,
    device::OpenedDevice,
    error::LensError,
    frame::Frame,
    kernel::read_back,
    role::Role,
    weights::{Weights, WeightsError},
};

/// The network that looks at frames or windows, on its device.
#[derive(Debug)]
pub(super) struct Embedder {
    device: OpenedDevice,
    network: Network,
}

#[derive(Debug)]
enum Network {
    /// Sees one frame at a time.
    Frames(Box<Backbone>),
    /// Sees a window as a whole. A page has none of these, and its download no room for them.
    #[cfg(not(target_family = "wasm"))]
    Clips(Box<ClipBackbone>),
}

/// A frame as windows hold it: made once, however many windows hold it.
#[derive(Debug)]
pub(super) enum Seen {
    /// What the network makes of it.
    Embedding(Vec<f32>),
    /// In the size and the numbers that the network reads.
    #[cfg(not(target_family = "wasm"))]
    Frame(ClipFrame),
}

impl Embedder {
    /// Puts the network on the device.
    pub(super) fn load(weights: &Weights, device: &OpenedDevice) -> Result<Self, LensError> {
        let network = Self::network(weights, device);
        Ok(Self {
            device: device.clone(),
            network: network.map_err(LensError::weights(Role::ViolenceBackbone))?,
        })
    }

    fn network(weights: &Weights, device: &OpenedDevice) -> Result<Network, WeightsError> {
        #[cfg(not(target_family = "wasm"))]
        if ClipConfig::from_name(&weights.metadata.architecture).is_some() {
            let network = ClipBackbone::load(weights, device)?;
            return Ok(Network::Clips(Box::new(network)));
        }
        let network = Backbone::load(weights, device)?;
        Ok(Network::Frames(Box::new(network)))
    }

    /// Name of the network.
    pub(super) fn name(&self) -> &'static str {
        match &self.network {
            Network::Frames(backbone) => backbone.facts().name,
            #[cfg(not(target_family = "wasm"))]
            Network::Clips(network) => network.config().name,
        }
    }

    /// Numbers of a frame or moment.
    pub(super) fn width(&self) -> usize {
        match &self.network {
            Network::Frames(backbone) => backbone.facts().width,
            #[cfg(not(target_family = "wasm"))]
            Network::Clips(network) => network.config().width(),
        }
    }

    /// Frames of a window, where the network looks at so many.
    pub(super) fn length(&self) -> Option<usize> {
        match &self.network {
            Network::Frames(_) => None,
            #[cfg(not(target_family = "wasm"))]
            Network::Clips(network) => Some(network.config().frames),
        }
    }

    /// Embeds a frame, or prepares it for its windows.
    pub(super) async fn see(&self, frame: &Frame) -> Result<Seen, LensError> {
        let backbone = match &self.network {
            Network::Frames(backbone) => backbone,
            #[cfg(not(target_family = "wasm"))]
            Network::Clips(network) => return Ok(Seen::Frame(network.prepare(frame))),
        };
        let facts = backbone.facts();
        let squashed = crop::resize(frame, facts.input_side);
        let batch = crop::batch(&[squashed], &facts.normalisation, &self.device.device)?;
        let embedding = backbone.forward(batch).embedding;
        let read = read_back(vec![embedding]).await;
        let mut read = read.map_err(LensError::read_back)?;
        self.device.check()?;
        Ok(Seen::Embedding(read.swap_remove(0)))
    }

    /// What the head reads of a window, `[1, moments, width]` on the CPU; with embeddings each frame is a moment.
    ///
    /// # Panics
    ///
    /// If there are not as many frames as the network looks at.
    pub(super) fn window(&self, frames: &[&Seen]) -> Result<Tensor<3>, LensError> {
        let mut values: Vec<f32> = Vec::with_capacity(frames.len() * self.width());
        #[cfg(not(target_family = "wasm"))]
        let mut clip: Vec<&ClipFrame> = Vec::new();
        for seen in frames {
            match seen {
                Seen::Embedding(embedding) => values.extend(embedding),
                #[cfg(not(target_family = "wasm"))]
                Seen::Frame(frame) => clip.push(frame),
            }
        }
        #[cfg(not(target_family = "wasm"))]
        if let Network::Clips(network) = &self.network {
            let features = network.embed(&clip).expect("a window of prepared frames");
            let read = pollster::block_on(read_back(vec![features]));
            // A lost device gives numbers too.
            self.device.check()?;
            values = read.map_err(LensError::read_back)?.swap_remove(0);
        }
        let shape = [1, values.len() / self.width(), self.width()];
        let device = OpenedDevice::cpu().device;
        Ok(Tensor::from_data(TensorData::new(values, shape), &device))
    }
}
