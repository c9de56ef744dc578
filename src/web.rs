//! The JavaScript surface: what the worker of the npm package calls. It only converts.
#![expect(
    unsafe_code,
    reason = "the constructors are called by hand, once, and wasm-bindgen's exports are unsafe items"
)]

mod error;
mod files;
mod lens;
mod network;
mod workers;

use std::{cell::RefCell, panic, sync::Once};

use js_sys::{JSON, Uint8Array};
use serde::Serialize;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

pub use files::WeightFiles;
pub use lens::Lens;
pub use network::{Network, SoundNetwork};
pub use workers::Workers;

use crate::{
    device::{self, DeviceChoice, DeviceKind, OpenedDevice},
    kernel,
    weights::Weights,
};
use error::failure;

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// Registers Burn's backends and the panic hook, once; wasm-bindgen calls it when the module starts, a test binary calls
/// it itself.
///
/// Without this call wasm-ld makes every exported function run all constructors again.
#[wasm_bindgen(start)]
pub fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        // SAFETY: the linker defines it, and this is the only call.
        unsafe { __wasm_call_ctors() };
        panic::set_hook(Box::new(|panic| {
            LAST_PANIC.set(Some(panic.to_string()));
            console_error_panic_hook::hook(panic);
        }));
    });
}

/// The message of the last panic: a panic itself reaches JavaScript as a bare trap.
#[must_use]
#[wasm_bindgen(js_name = lastPanic)]
pub fn last_panic() -> Option<String> {
    LAST_PANIC.with_borrow(Clone::clone)
}

/// Opens a device, and on the CPU starts the workers. The form of the GPU's kernels that `workgroup_tiles` names is taken without
/// a trial.
async fn open_device(
    name: &str,
    workers: Option<Workers>,
    workgroup_tiles: Option<bool>,
) -> Result<OpenedDevice, JsValue> {
    let mut device = device::open(DeviceChoice::from_name(name)?).await?;
    if let (DeviceKind::Cpu, Some(workers)) = (device.kind, workers) {
        device.workers = workers.started().await;
    }
    Ok(kernel::tuned(device, workgroup_tiles, None).await?)
}

/// Reads a safetensors file; messages name it as JavaScript does.
fn parse(file: &str, bytes: &Uint8Array) -> Result<Weights, JsValue> {
    // What lies in the module's own memory stays for good: one tensor at a time.
    Weights::read_safetensors(bytes.length() as usize, |range| {
        let [start, end] = [range.start, range.end].map(|it| u32::try_from(it).unwrap_or(u32::MAX));
        bytes.subarray(start, end).to_vec().into()
    })
    .map_err(|error| failure("weights-malformed", &format!("{file}: {error}")))
}

// Through JSON text, so that numbers read the same as on the command line: 0.93, not 0.9300000071525574.
fn to_js(value: &impl Serialize) -> Result<JsValue, JsValue> {
    let text =
        serde_json::to_string(value).map_err(|error| failure("internal", &error.to_string()))?;
    JSON::parse(&text)
}
