//! Which form of the kernels an adapter likes better.

use super::{Activation, Network, Plan, Weighted, on_device, read_back};
use crate::device::{DeviceError, KernelForm, OpenedDevice};

/// Runs of each form; the fastest counts.
const ROUNDS: usize = 5;

/// Chooses the kernels' form; what is `Some` in the arguments is taken as it is.
///
/// f16 is used wherever the adapter has it. Tiles in workgroup memory are timed against plain registers on a small
/// network, which takes a few milliseconds on a GPU; an adapter emulated in software always gets registers.
///
/// # Errors
///
/// [`DeviceError`] if the GPU refuses a kernel.
pub async fn tuned(
    mut device: OpenedDevice,
    workgroup_tiles: Option<bool>,
    half: Option<bool>,
) -> Result<OpenedDevice, DeviceError> {
    device.kernels = KernelForm {
        half: half.unwrap_or(true) && device.has_f16() && !(half.is_none() && device.is_emulated()),
        workgroup_tiles: false,
    };
    device.kernels.workgroup_tiles = match workgroup_tiles {
        Some(forced) => forced,
        None if device.has_gpu() && !device.is_emulated() => tiles_are_faster(&device).await?,
        None => false,
    };
    Ok(device)
}

async fn tiles_are_faster(device: &OpenedDevice) -> Result<bool, DeviceError> {
    let plan = sample();
    let networks = [false, true].map(|workgroup_tiles| {
        let kernels = KernelForm {
            workgroup_tiles,
            ..device.kernels
        };
        Network::new(
            &plan,
            &OpenedDevice {
                kernels,
                ..device.clone()
            },
        )
    });
    let shape = plan.input();
    let size = [1, shape.height, shape.width, shape.channels];
    let input = on_device(vec![0.0; shape.len()], size, &device.device);
    let mut fastest = [f64::INFINITY; 2];
    // The first round compiles.
    for round in 0..=ROUNDS {
        for (network, fastest) in networks.iter().zip(&mut fastest) {
            let start = web_time::Instant::now();
            let run = device
                .check_kernels(async || read_back(vec![network.forward(input.clone())]).await)
                .await?;
            run.map_err(|error| DeviceError::Refused {
                reason: error.to_string(),
            })?;
            if round > 0 {
                *fastest = fastest.min(start.elapsed().as_secs_f64());
            }
        }
    }
    Ok(fastest[1] < fastest[0])
}

/// The pointwise convolutions of EfficientNet-B0's middle: 14x14 pixels, where it spends most of its time.
fn sample() -> Plan {
    let layer = |inputs: usize, outputs: usize| Weighted {
        weight: vec![0.01; inputs * outputs],
        bias: vec![0.0; outputs],
        activation: Activation::Silu,
        slopes: Vec::new(),
    };
    let mut planner = Plan::of_input(14, 14, 112);
    let mut map = planner.input();
    for _ in 0..8 {
        map = planner.pointwise(map, layer(112, 672));
        map = planner.pointwise(map, layer(672, 112));
    }
    planner.finish(&[map])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{self, DeviceChoice};

    #[test]
    #[ignore = "needs a Vulkan adapter: run cargo xtask test"]
    fn both_forms_take_the_trial() {
        let device = pollster::block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan adapter");
        // Which one is faster is the adapter's business.
        pollster::block_on(tiles_are_faster(&device)).expect("kernels that the adapter takes");
    }

    #[test]
    #[ignore = "needs a Vulkan adapter: run cargo xtask test"]
    fn forced_forms_are_taken() {
        let device = pollster::block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan adapter");
        for (workgroup_tiles, half) in [(true, false), (false, true)] {
            let tuned = tuned(device.clone(), Some(workgroup_tiles), Some(half));
            let expected = KernelForm {
                workgroup_tiles,
                half: half && device.has_f16(),
            };
            assert_eq!(
                pollster::block_on(tuned).expect("nothing to try").kernels,
                expected
            );
        }
    }
}
