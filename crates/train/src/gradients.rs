//! The norm of all gradients of a network together.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::Tensor,
};

/// Scales all gradients so that their norm together is at most `most`, as PyTorch's `clip_grad_norm_` does.
pub(crate) fn clip_by_norm<N: Module>(
    network: &N,
    gradients: GradientsParams,
    most: f32,
) -> GradientsParams {
    let mut sums = SumOfSquares {
        gradients: &gradients,
        sum: None,
    };
    network.visit(&mut sums);
    let Some(sum) = sums.sum else {
        return gradients;
    };
    let norm = sum.into_scalar::<f32>().sqrt();
    let scale = most / (norm + 1e-6);
    if scale >= 1.0 {
        return gradients;
    }
    let mut scaled = Scaled {
        gradients,
        scaled: GradientsParams::new(),
        scale,
    };
    network.visit(&mut scaled);
    scaled.scaled
}

struct SumOfSquares<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for SumOfSquares<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(parameter.id) {
            let squares = gradient.square().sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + squares,
                None => squares,
            });
        }
    }
}

struct Scaled {
    gradients: GradientsParams,
    scaled: GradientsParams,
    scale: f32,
}

impl ModuleVisitor for Scaled {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(parameter.id) {
            self.scaled.register(parameter.id, gradient * self.scale);
        }
    }
}
