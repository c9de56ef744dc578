//! One network by itself, for JavaScript.

use js_sys::Uint8Array;
use serde::Serialize;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use super::{Workers, open_device, parse, to_js};
use crate::{
    audio::{self, Wav2Vec2},
    error::LensError,
    kernel::Counters,
    network,
};

/// One network by itself: numbers in, numbers out.
#[wasm_bindgen]
pub struct Network {
    network: network::Network,
}

#[wasm_bindgen]
impl Network {
    /// Opens `device` ("auto", "webgpu" or "cpu") and builds the network that a safetensors file names. On the CPU
    /// `workers` run it, if given and once started; else this module does, with one thread.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with a `code`.
    pub async fn open(
        device: String,
        weights: Uint8Array,
        workers: Option<Workers>,
    ) -> Result<Self, JsValue> {
        let parsed = parse("network", &weights)?;
        drop(weights);
        let device = open_device(&device, workers, None).await?;
        let network = network::Network::load(parsed, device)?;
        Ok(Self { network })
    }

    /// The outputs of each picture after the other; `describe().outputs` lists them. `input` is
    /// `[batch, 3, side, side]`, RGB, normalised as the weights' metadata asks for.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with a `code`.
    pub async fn run(&mut self, input: Vec<f32>, batch: usize) -> Result<Vec<f32>, JsValue> {
        Ok(self.network.run(&input, batch).await?)
    }

    /// `{ name, side, frames, outputs: [{ name, shape }] }`; shapes are those of one picture.
    ///
    /// # Errors
    ///
    /// None in practice.
    pub fn describe(&self) -> Result<JsValue, JsValue> {
        to_js(self.network.facts())
    }

    /// `{ dispatches, readBacks, bytesReadBack }` of the last run; all are zero on the CPU.
    ///
    /// # Errors
    ///
    /// None in practice.
    pub fn stats(&self) -> Result<JsValue, JsValue> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Stats {
            dispatches: u64,
            read_backs: u64,
            bytes_read_back: u64,
        }
        let Counters {
            dispatches,
            read_backs,
            bytes_read_back,
        } = self.network.counters();
        to_js(&Stats {
            dispatches,
            read_backs,
            bytes_read_back,
        })
    }
}

/// A network that embeds sound, by itself, for blocks of one length.
#[wasm_bindgen]
pub struct SoundNetwork {
    network: Wav2Vec2,
}

#[wasm_bindgen]
impl SoundNetwork {
    /// Opens `device` as [`Network::open`] does, and builds the network that a safetensors file names for blocks of
    /// `samples` samples.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with a `code`.
    pub async fn open(
        device: String,
        weights: Uint8Array,
        samples: usize,
        workers: Option<Workers>,
    ) -> Result<Self, JsValue> {
        let parsed = parse("network", &weights)?;
        drop(weights);
        let device = open_device(&device, workers, None).await?;
        let network = Wav2Vec2::load_for(parsed, samples, &device);
        Ok(Self {
            network: network.map_err(LensError::from)?,
        })
    }

    /// The vectors of a block, one after the other; samples are mono, 16 kHz, as they are.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with a `code`.
    pub async fn run(&mut self, samples: Vec<f32>) -> Result<Vec<f32>, JsValue> {
        let vectors = self.network.embed(&samples).await;
        Ok(vectors.map_err(LensError::from)?)
    }

    /// Vectors of a block of so many samples.
    #[wasm_bindgen(js_name = vectorsOf)]
    pub fn vectors_of(samples: usize) -> usize {
        audio::vectors_of(samples)
    }
}
