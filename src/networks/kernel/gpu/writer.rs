//! Turns a plan into dispatches: buffers, parameters and the result; each step is written in [`steps`](super::steps).

use std::collections::BTreeMap;

use burn::tensor::Bytes;
use half::f16;

use super::channels::{Gathered, gather, groups};
use super::context::Gpu;
use super::padding::{pad, padded_weight_and_bias};
use super::shader::{Element, Shader};
use super::{Buffer, Dispatch, Read};
use crate::device::KernelForm;
use crate::kernel::{Activation, Map, Plan, Step, Weighted};

/// Dispatches of the steps so far.
pub(super) struct Writer<'a> {
    pub(super) plan: &'a Plan,
    gpu: &'a Gpu,
    pub(super) form: KernelForm,
    pub(super) buffers: Vec<Buffer>,
    dispatches: Vec<Dispatch>,
    /// Maps that no step writes, since their readers gate lines themselves: the map to read instead, and the gates.
    pub(super) line_gated: BTreeMap<usize, (Map, Map)>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(plan: &'a Plan, gpu: &'a Gpu, form: KernelForm) -> Self {
        Self {
            plan,
            gpu,
            form,
            buffers: buffers_of_maps(plan, form),
            dispatches: Vec::new(),
            line_gated: BTreeMap::new(),
        }
    }

    /// Writes the whole plan: buffers, dispatches, and the buffer that holds the result.
    pub(super) fn write(mut self) -> (Vec<Buffer>, Vec<Dispatch>, usize) {
        for step in self.plan.steps() {
            self.step(step);
        }
        let result = self.result();
        (self.buffers, self.dispatches, result)
    }

    /// The buffer that holds all outputs without padding.
    fn result(&mut self) -> usize {
        let outputs: Vec<Gathered> = self
            .plan
            .outputs()
            .iter()
            .map(|map| {
                let shape = self.plan.shape(*map);
                Gathered {
                    pixels: shape.pixels(),
                    channels: shape.channels,
                    stored: self.buffer(*map).stored,
                    element: self.buffer(*map).element,
                }
            })
            .collect();
        if let ([map], [output]) = (self.plan.outputs(), outputs.as_slice())
            && output.stored == output.channels
        {
            return map.index();
        }
        let values: usize = outputs
            .iter()
            .map(|output| output.pixels * output.channels)
            .sum();
        let result = self.add(Buffer {
            pixels: 1,
            stored: values,
            element: Element::F32,
        });
        let maps = self.plan.outputs().iter();
        let reads = maps.map(|map| Read::Buffer(map.index())).collect();
        self.push(gather(&outputs), reads, result, move |batch| {
            (groups(batch * values), vec![batch])
        });
        result
    }

    pub(super) fn buffer(&self, map: Map) -> Buffer {
        self.buffers[map.index()]
    }

    pub(super) fn add(&mut self, buffer: Buffer) -> usize {
        self.buffers.push(buffer);
        self.buffers.len() - 1
    }

    pub(super) fn weight_element(&self) -> Element {
        element(self.form)
    }

    pub(super) fn parameter(&self, values: &[f32], element: Element) -> Read {
        let bytes = match element {
            Element::F16 => {
                let halves: Vec<f16> = values.iter().map(|&value| f16::from_f32(value)).collect();
                Bytes::from_elems(halves)
            }
            _ => Bytes::from_elems(values.to_vec()),
        };
        Read::Parameter(self.gpu.upload(bytes))
    }

    /// Whole numbers on the GPU.
    pub(super) fn numbers(&self, values: Vec<u32>) -> Read {
        Read::Parameter(self.gpu.upload(Bytes::from_elems(values)))
    }

    /// Weight, bias; the slopes come after whatever else the shader reads.
    pub(super) fn weight_and_bias(
        &self,
        weighted: &Weighted,
        inputs: usize,
        stored_inputs: usize,
    ) -> Vec<Read> {
        let (weight, bias) = padded_weight_and_bias(weighted, inputs, stored_inputs);
        vec![
            self.parameter(&weight, self.weight_element()),
            self.parameter(&bias, Element::F32),
        ]
    }

    pub(super) fn slopes(&self, weighted: &Weighted) -> Option<Read> {
        (weighted.activation == Activation::Prelu)
            .then(|| self.parameter(&pad(&weighted.slopes), Element::F32))
    }

    pub(super) fn push(
        &mut self,
        shader: Shader,
        reads: Vec<Read>,
        output: usize,
        size: impl Fn(usize) -> (usize, Vec<usize>) + Send + Sync + 'static,
    ) {
        self.dispatches.push(Dispatch {
            shader,
            reads,
            output,
            size: Box::new(size),
            last_reads: Vec::new(),
        });
    }
}

fn element(form: KernelForm) -> Element {
    if form.half {
        Element::F16
    } else {
        Element::F32
    }
}

/// A buffer for each map of a plan, in order.
fn buffers_of_maps(plan: &Plan, form: KernelForm) -> Vec<Buffer> {
    let mut buffers: Vec<Buffer> = plan
        .maps()
        .iter()
        .map(|shape| Buffer {
            pixels: shape.pixels(),
            stored: shape.channels.next_multiple_of(4),
            element: element(form),
        })
        .collect();
    // The input comes from outside as it is; gates are few and read often.
    buffers[0].stored = plan.input().channels;
    buffers[0].element = Element::F32;
    for step in plan.steps() {
        if let Step::SqueezeExcite { output, .. } | Step::CoordinateAttention { output, .. } = step
        {
            buffers[output.index()].element = Element::F32;
        }
    }
    for map in plan.outputs() {
        buffers[map.index()].element = Element::F32;
    }
    buffers
}
