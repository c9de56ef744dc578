//! The JavaScript surface: what the worker of the npm package calls. It holds no decisions.
#![expect(
    unsafe_code,
    reason = "the constructors are called by hand, once, and wasm-bindgen's exports are unsafe items"
)]

mod network;
mod workers;

use std::{cell::RefCell, fmt::Display, panic, sync::Once};

use js_sys::{Error, JSON, Object, Reflect, Uint8Array};
use serde::Serialize;
use serde_json::{Map, Value};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

pub use network::Network;

use crate::{
    device::{self, DeviceChoice, DeviceError, DeviceKind, OpenedDevice},
    error::LensError,
    faces::{ClassifierWeights, FaceControls, FaceWeights},
    frame::Frame,
    kernel,
    lens::{self, LensWeights},
    report::Tasks,
    violence::{ViolenceControls, ViolenceLens, ViolenceWeights},
    weights::Weights,
};
pub use workers::Workers;

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

/// What the last panic said: a panic itself reaches JavaScript as a bare trap.
#[must_use]
#[wasm_bindgen(js_name = lastPanic)]
pub fn last_panic() -> Option<String> {
    LAST_PANIC.with_borrow(Clone::clone)
}

/// A device and the networks on it.
#[wasm_bindgen]
pub struct Lens {
    device: OpenedDevice,
    lens: lens::Lens,
}

#[wasm_bindgen]
impl Lens {
    /// Opens `device` ("auto", "webgpu" or "cpu") and builds the networks that `tasks` need from `files`, an object
    /// of safetensors files by role. On the CPU `workers` run them, if given and once started; else this module does,
    /// with one thread.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with a `code`.
    pub async fn open(
        device: String,
        tasks: Vec<String>,
        files: Object,
        workers: Option<Workers>,
    ) -> Result<Self, JsValue> {
        let tasks = Tasks::from_names(tasks.iter().map(String::as_str)).map_err(|name| {
            let expected = "expression, valence-arousal, action-units or violence";
            failure(
                "bad-argument",
                &format!("task is `{name}`, expected {expected}"),
            )
        })?;
        let weights = LensWeights {
            faces: tasks.of_faces().then(|| face_weights(&files)).transpose()?,
            violence: tasks
                .violence
                .then(|| violence_weights(&files))
                .transpose()?,
        };
        let device = open_device(&device, workers).await?;
        let mut lens = lens::Lens::load(&weights, tasks, &device)
            .await
            .map_err(|error| error.to_js())?;
        if let Some(faces) = lens.faces() {
            let controls = faces.classifier().live_controls();
            lens.configure_faces(controls)
                .map_err(|error| error.to_js())?;
        }
        Ok(Self { device, lens })
    }

    /// `{ kind, adapter, fallback }` of the open device.
    ///
    /// # Errors
    ///
    /// None in practice.
    pub fn device(&self) -> Result<JsValue, JsValue> {
        #[derive(Serialize)]
        struct Device<'a> {
            kind: DeviceKind,
            adapter: &'a str,
            fallback: Option<&'a str>,
        }
        let OpenedDevice {
            kind,
            adapter,
            fallback,
            ..
        } = &self.device;
        to_js(&Device {
            kind: *kind,
            adapter,
            fallback: fallback.as_deref(),
        })
    }

    /// What tells violence, and how long it looks; `null` without that task.
    ///
    /// # Errors
    ///
    /// None in practice.
    pub fn violence(&self) -> Result<JsValue, JsValue> {
        to_js(&self.lens.violence().map(ViolenceLens::facts))
    }

    /// The settings in force; those of a part that is not there mean nothing.
    ///
    /// # Errors
    ///
    /// None in practice.
    pub fn settings(&self) -> Result<JsValue, JsValue> {
        #[derive(Serialize)]
        struct Settings {
            #[serde(flatten)]
            faces: FaceControls,
            #[serde(flatten)]
            violence: ViolenceControls,
        }
        let faces = self.lens.faces().map(|faces| faces.controls().clone());
        let violence = self.lens.violence().map(|it| it.controls().clone());
        to_js(&Settings {
            faces: faces.unwrap_or_default(),
            violence: violence.unwrap_or_default(),
        })
    }

    /// Replaces the settings from the next frame on.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with the code `bad-argument`.
    pub fn configure(&mut self, settings: JsValue) -> Result<(), JsValue> {
        let wrong = |error: &dyn Display| failure("bad-argument", &format!("settings: {error}"));
        let settings: Map<String, Value> =
            serde_wasm_bindgen::from_value(settings).map_err(|error| wrong(&error))?;
        let (violence, faces) = settings
            .into_iter()
            .partition(|(name, _)| name.starts_with("violence"));
        let faces = serde_json::from_value(Value::Object(faces)).map_err(|error| wrong(&error))?;
        let violence =
            serde_json::from_value(Value::Object(violence)).map_err(|error| wrong(&error))?;
        self.lens
            .configure_violence(violence)
            .and_then(|()| self.lens.configure_faces(faces))
            .map_err(|error| error.to_js())
    }

    /// The report on the next frame of the stream; `rgba` has `width * height * 4` bytes.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with a `code`.
    pub async fn analyze(
        &mut self,
        width: u32,
        height: u32,
        rgba: Vec<u8>,
        time_ms: f64,
    ) -> Result<JsValue, JsValue> {
        let frame = Frame::from_rgba(width, height, &rgba)
            .map_err(|error| failure("picture-size", &error.to_string()))?;
        let report = self.lens.analyze(&frame, time_ms).await;
        self.device.check().map_err(|error| error.to_js())?;
        to_js(&report.map_err(|error| error.to_js())?)
    }

    /// The expression of a face that fills the picture.
    ///
    /// # Errors
    ///
    /// A JavaScript `Error` with a `code`.
    #[wasm_bindgen(js_name = analyzeFace)]
    pub async fn analyze_face(
        &self,
        width: u32,
        height: u32,
        rgba: Vec<u8>,
    ) -> Result<JsValue, JsValue> {
        let crop = Frame::from_rgba(width, height, &rgba)
            .map_err(|error| failure("picture-size", &error.to_string()))?;
        let report = self.lens.analyze_face(&crop).await;
        self.device.check().map_err(|error| error.to_js())?;
        to_js(&report.map_err(|error| error.to_js())?)
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.lens.reset();
    }
}

/// An error as JavaScript sees it: the same text, and a code that stays.
trait ToJs: std::error::Error {
    fn code(&self) -> &'static str;

    fn to_js(&self) -> JsValue {
        failure(self.code(), &self.to_string())
    }
}

impl ToJs for DeviceError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "webgpu-unavailable",
            Self::Refused { .. } => "device-failed",
            Self::Lost => "device-lost",
        }
    }
}

impl ToJs for LensError {
    fn code(&self) -> &'static str {
        Self::code(self)
    }
}

fn face_weights(files: &Object) -> Result<FaceWeights, JsValue> {
    let [detector, backbone] = [needed(files, "detector")?, needed(files, "backbone")?];
    Ok(FaceWeights {
        detector: parse("detector", &detector)?,
        classifier: ClassifierWeights {
            backbone: parse("backbone", &backbone)?,
            pretrained: read(files, "pretrained")?,
            head: read(files, "head")?,
            valence_arousal_head: read(files, "valenceArousalHead")?,
            action_units_head: read(files, "actionUnitsHead")?,
        },
        mesh: read(files, "mesh")?,
        blendshapes: read(files, "blendshapes")?,
    })
}

fn violence_weights(files: &Object) -> Result<ViolenceWeights, JsValue> {
    let [backbone, head] = [
        needed(files, "violenceBackbone")?,
        needed(files, "violenceHead")?,
    ];
    Ok(ViolenceWeights {
        backbone: parse("violenceBackbone", &backbone)?,
        head: parse("violenceHead", &head)?,
    })
}

/// Opens a device, and on the CPU starts the workers.
async fn open_device(name: &str, workers: Option<Workers>) -> Result<OpenedDevice, JsValue> {
    let choice = match name {
        "webgpu" => DeviceChoice::Gpu,
        "cpu" => DeviceChoice::Cpu,
        _ => DeviceChoice::Auto,
    };
    let mut device = device::open(choice).await.map_err(|error| error.to_js())?;
    if let (DeviceKind::Cpu, Some(workers)) = (device.kind, workers) {
        device.workers = workers.started().await;
    }
    kernel::tuned(device, None, None)
        .await
        .map_err(|error| error.to_js())
}

/// The bytes under a name of the object that JavaScript handed over.
fn file(files: &Object, role: &str) -> Result<Option<Vec<u8>>, JsValue> {
    let file = Reflect::get(files, &role.into())?;
    Ok((!file.is_undefined()).then(|| Uint8Array::new(&file).to_vec()))
}

fn needed(files: &Object, role: &str) -> Result<Vec<u8>, JsValue> {
    file(files, role)?
        .ok_or_else(|| failure("weights-missing", &format!("weights have no `{role}`")))
}

fn read(files: &Object, role: &str) -> Result<Option<Weights>, JsValue> {
    file(files, role)?
        .map(|bytes| parse(role, &bytes))
        .transpose()
}

fn parse(role: &str, bytes: &[u8]) -> Result<Weights, JsValue> {
    Weights::from_safetensors(bytes)
        .map_err(|error| failure("weights-malformed", &format!("{role}: {error}")))
}

fn failure(code: &str, message: &str) -> JsValue {
    let error = Error::new(message);
    // Setting a field of a fresh object cannot fail.
    let _ = Reflect::set(&error, &"code".into(), &code.into());
    error.into()
}

// Through JSON text, so that numbers read the same as on the command line: 0.93, not 0.9300000071525574.
fn to_js(value: &impl Serialize) -> Result<JsValue, JsValue> {
    let text =
        serde_json::to_string(value).map_err(|error| failure("internal", &error.to_string()))?;
    JSON::parse(&text)
}
