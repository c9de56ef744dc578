//! Temporal heads on the GPU.

use affectlens::head::{TemporalConfig, TemporalKind};
use burn::tensor::{Device, Distribution, Tensor};

use super::detect::gpu;

/// f32 sums in another order, over two layers of 32 steps.
const TOLERANCE: f32 = 1e-4;

#[test]
#[ignore = "needs a Vulkan adapter: run cargo xtask test"]
fn heads_give_the_same_on_gpu_and_cpu() {
    let (gpu, cpu) = (gpu().device, Device::flex());
    let fusions = [
        "skeleton-attention-bilstm",
        "skeleton-gated-tcn",
        "flow-concat-bilstm",
    ];
    let fusions = fusions.map(|name| TemporalKind::from_name(name).expect("is one"));
    for kind in TemporalKind::ALL.into_iter().chain(fusions) {
        let second = kind.fusion().map_or(0, |fusion| fusion.stream().width());
        let features = 48 + second;
        let config = TemporalConfig { kind, features };
        let distribution = Distribution::Uniform(-1.0, 1.0);
        let windows = Tensor::<3>::random([2, 32, features], distribution, &cpu);
        let heads = [&gpu, &cpu].map(|device| config.init(9, device));
        assert_eq!(heads[0].to_weights(), heads[1].to_weights());
        let [on_gpu, on_cpu] = [(&heads[0], &gpu), (&heads[1], &cpu)].map(|(head, device)| {
            let logits = head.forward(windows.clone().to_device(device));
            logits.into_data().try_into_vec::<f32>().expect("f32")
        });
        for (gpu, cpu) in on_gpu.iter().zip(&on_cpu) {
            let difference = (gpu - cpu).abs();
            assert!(difference < TOLERANCE, "{kind:?}: {gpu}, on the CPU {cpu}");
        }
        assert_eq!(heads[0].decode(&on_cpu), heads[1].decode(&on_cpu));
    }
}
