//! stub
use super::Plan;
#[derive(Debug)]
pub(super) struct CpuNetwork;
impl CpuNetwork {
    pub(super) fn new(_plan: &Plan) -> Self {
        Self
    }
    pub(super) fn forward(&self, _input: &[f32], _batch: usize) -> Vec<f32> {
        unimplemented!()
    }
}
