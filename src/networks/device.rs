//! Opens the device that networks run on, and describes it.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use burn::tensor::{
    Device,
    wgpu::wgpu::{self, AdapterInfo, DeviceType, ErrorFilter, Features},
};
use futures_util::lock::Mutex;
use serde::Serialize;
use thiserror::Error;

use crate::name::{UnknownName, find};

/// The device that a caller asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A hardware GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU (Vulkan natively, WebGPU in a browser), also where it is emulated in software.
    Gpu,
}

impl DeviceChoice {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Gpu, Self::Cpu];

    /// The name in options; a GPU is named after the way in which this build reaches it.
    pub const fn name(self) -> &'static str {
        self.name_with(DeviceKind::GPU)
    }

    /// The name where a GPU is reached in another way.
    pub const fn name_with(self, gpu: DeviceKind) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => DeviceKind::Cpu.name(),
            Self::Gpu => gpu.name(),
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`UnknownName`], which lists the names that there are.
    pub fn from_name(name: &str) -> Result<Self, UnknownName> {
        find("device", name, &Self::ALL, Self::name)
    }
}

/// The kind of device that a caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// Burn's flex backend.
    Cpu,
    /// Burn's wgpu backend on Vulkan.
    Vulkan,
    /// Burn's wgpu backend on WebGPU.
    WebGpu,
}

impl DeviceKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Vulkan, Self::WebGpu];

    /// How this build reaches a GPU.
    pub const GPU: Self = if cfg!(target_family = "wasm") {
        Self::WebGpu
    } else {
        Self::Vulkan
    };

    /// The name in options and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Vulkan => "vulkan",
            Self::WebGpu => "webgpu",
        }
    }
}

/// How kernels are written for a GPU adapter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KernelForm {
    /// Whether pointwise convolutions share what they read in workgroup memory.
    pub workgroup_tiles: bool,
    /// Whether weights and feature maps are stored as f16; sums are f32 either way.
    pub half: bool,
}

/// Runs networks of the CPU outside of this module: in a browser its threads are workers with a memory of their own.
pub trait CpuWorkers: fmt::Debug + Send + Sync {
    /// Threads of a run, the calling one included.
    fn threads(&self) -> usize;

    /// Makes room for a program of so many words; its number, or `None` where there is none.
    fn reserve(&self, words: usize) -> Option<u32>;

    /// Takes over a piece of a program, as [`Lowered::write`](affectlens_cpu::Lowered::write) gives it.
    fn write(&self, program: u32, start: usize, words: &[u32]);

    /// Runs a program on `[batch, height, width, channels]`; the output is `[batch, values]`.
    ///
    /// # Panics
    ///
    /// If a worker fails.
    fn run(&self, program: u32, batch: usize, input: &[f32], output: &mut [f32]);

    /// Forgets a program.
    fn free(&self, program: u32);
}

/// A device ready for tensors.
#[derive(Clone, Debug)]
pub struct OpenedDevice {
    /// The Burn device.
    pub device: Device,
    /// Which kind it is.
    pub kind: DeviceKind,
    /// Name of the adapter, as the driver gives it.
    pub adapter: String,
    /// Why [`DeviceChoice::Auto`] did not take the GPU.
    pub fallback: Option<String>,
    /// How kernels are written for it; means nothing on the CPU.
    pub kernels: KernelForm,
    /// Threads of the CPU; `None` takes as many as there are cores, at most four. In a browser there is one.
    pub threads: Option<usize>,
    /// What runs networks on the CPU in place of this module.
    pub workers: Option<Arc<dyn CpuWorkers>>,
}

/// Why a device cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceError {
    /// No GPU adapter, or it refused.
    #[error("no usable GPU: {reason}")]
    Unavailable {
        /// Reason that the graphics stack gave.
        reason: String,
    },
    /// A kernel is at odds with the GPU or its driver.
    #[error("the GPU refused a kernel: {reason}")]
    Refused {
        /// Reason that the graphics stack gave.
        reason: String,
    },
    /// The GPU was reset, removed or ran out of memory while in use.
    #[error("the GPU device was lost; load again to go on")]
    Lost,
}

impl DeviceError {
    /// A stable word for programs; the message is for people.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "webgpu-unavailable",
            Self::Refused { .. } => "device-failed",
            Self::Lost => "device-lost",
        }
    }
}

struct Gpu {
    device: Device,
    adapter: AdapterInfo,
    wgpu: wgpu::Device,
}

/// Kernels that are submitted together: more than a frame takes, so that a frame is one submission.
const TASKS: usize = 256;

// Burn's wgpu runtime can be set up once a process; later openings share it.
static GPU: OnceLock<Gpu> = OnceLock::new();
static GPU_LOST: AtomicBool = AtomicBool::new(false);

/// Opens a device.
///
/// # Errors
///
/// [`DeviceError::Unavailable`] if [`DeviceChoice::Gpu`] is asked for and there is none.
pub async fn open(choice: DeviceChoice) -> Result<OpenedDevice, DeviceError> {
    match choice {
        DeviceChoice::Cpu => Ok(cpu(None)),
        DeviceChoice::Gpu => open_gpu().await.map(describe),
        DeviceChoice::Auto => Ok(match open_gpu().await {
            Ok(gpu) if is_software(&gpu.adapter) => cpu(Some(format!(
                "the only GPU adapter is emulated in software ({})",
                adapter_name(&gpu.adapter)
            ))),
            Ok(gpu) => describe(gpu),
            Err(error) => cpu(Some(error.to_string())),
        }),
    }
}

impl OpenedDevice {
    /// The CPU, which is always there.
    pub fn cpu() -> Self {
        cpu(None)
    }

    /// Whether this is a GPU, real or emulated.
    pub fn has_gpu(&self) -> bool {
        self.kind != DeviceKind::Cpu
    }

    /// Whether the GPU is emulated in software.
    pub fn is_emulated(&self) -> bool {
        self.kind != DeviceKind::Cpu && GPU.get().is_some_and(|gpu| is_software(&gpu.adapter))
    }

    /// Whether shaders can compute with 16-bit floats.
    pub fn has_f16(&self) -> bool {
        self.kind != DeviceKind::Cpu
            && GPU
                .get()
                .is_some_and(|gpu| gpu.wgpu.features().contains(Features::SHADER_F16))
    }

    /// Runs what starts kernels for the first time, and reports whether the GPU refuses one.
    ///
    /// In a browser a kernel that was refused leaves old bytes behind, and reading them succeeds.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Refused`] with the GPU's message.
    pub async fn check_kernels<R>(&self, start: impl AsyncFnOnce() -> R) -> Result<R, DeviceError> {
        let Some(gpu) = GPU.get().filter(|_| self.kind != DeviceKind::Cpu) else {
            return Ok(start().await);
        };
        let scope = gpu.wgpu.push_error_scope(ErrorFilter::Validation);
        let result = start().await;
        match scope.pop().await {
            None => Ok(result),
            Some(error) => Err(DeviceError::Refused {
                reason: error.to_string(),
            }),
        }
    }

    /// Confirms that the device still computes.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Lost`] once the GPU is gone: what is read from it then is not a result.
    pub fn check(&self) -> Result<(), DeviceError> {
        if self.kind != DeviceKind::Cpu && GPU_LOST.load(Ordering::Acquire) {
            return Err(DeviceError::Lost);
        }
        Ok(())
    }
}

fn cpu(fallback: Option<String>) -> OpenedDevice {
    OpenedDevice {
        device: Device::flex(),
        kind: DeviceKind::Cpu,
        adapter: "CPU".to_owned(),
        fallback,
        kernels: KernelForm::default(),
        threads: None,
        workers: None,
    }
}

async fn open_gpu() -> Result<&'static Gpu, DeviceError> {
    static OPENING: Mutex<()> = Mutex::new(());
    let _opening = OPENING.lock().await;
    if let Some(gpu) = GPU.get() {
        return Ok(gpu);
    }
    let (device, setup) = Device::wgpu_options()
        .tasks_max(TASKS)
        .init_with_setup_async()
        .await
        .map_err(|error| DeviceError::Unavailable {
            reason: error.to_string(),
        })?;
    setup
        .device
        .set_device_lost_callback(|_, _| GPU_LOST.store(true, Ordering::Release));
    Ok(GPU.get_or_init(|| Gpu {
        device,
        adapter: setup.adapter.get_info(),
        wgpu: setup.device,
    }))
}

fn describe(gpu: &Gpu) -> OpenedDevice {
    OpenedDevice {
        device: gpu.device.clone(),
        kind: DeviceKind::GPU,
        adapter: adapter_name(&gpu.adapter),
        fallback: None,
        kernels: KernelForm::default(),
        threads: None,
        workers: None,
    }
}

// Browsers leave most fields empty; what they fill in differs.
fn adapter_name(adapter: &AdapterInfo) -> String {
    let parts: Vec<_> = [&adapter.name, &adapter.driver, &adapter.driver_info]
        .into_iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty())
        .collect();
    if parts.is_empty() {
        "unnamed GPU".to_owned()
    } else {
        parts.join(", ")
    }
}

fn is_software(adapter: &AdapterInfo) -> bool {
    let name = adapter_name(adapter).to_ascii_lowercase();
    adapter.device_type == DeviceType::Cpu
        || ["swiftshader", "llvmpipe", "lavapipe"]
            .iter()
            .any(|it| name.contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_found_by_its_name_and_others_are_refused() {
        for choice in DeviceChoice::ALL {
            assert_eq!(DeviceChoice::from_name(choice.name()), Ok(choice));
        }
        let error = DeviceChoice::from_name("webgpu").expect_err("a browser's");
        assert_eq!(
            error.to_string(),
            "device is `webgpu`, expected one of auto, vulkan, cpu"
        );
    }

    #[test]
    fn kinds_have_one_name_in_reports_and_options() {
        for kind in DeviceKind::ALL {
            let json = serde_json::to_string(&kind).expect("a name");
            assert_eq!(json, format!("\"{}\"", kind.name()));
        }
    }
}
