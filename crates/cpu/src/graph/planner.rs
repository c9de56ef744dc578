mod clips;
mod sequences;

use alloc::vec;
use alloc::vec::Vec;

use super::{LineSums, Map, MapShape, Plan, Shortcut, Step, Weighted, Window, expect};
use crate::Activation;

/// Builds a [`Plan`] step by step.
///
/// Its methods panic where sizes do not fit: they come from the tables of the networks, and weights are checked against
/// those tables before they get here.
#[derive(Clone, Debug)]
pub struct Planner {
    maps: Vec<MapShape>,
    steps: Vec<Step>,
}

impl Planner {
    pub(super) fn new(input: MapShape) -> Self {
        Self {
            maps: vec![input],
            steps: Vec::new(),
        }
    }

    /// The network's input.
    pub fn input(&self) -> Map {
        Map(0)
    }

    /// Size of a map.
    #[track_caller]
    pub fn shape(&self, map: Map) -> MapShape {
        assert!(map.0 < self.maps.len(), "plan has no map {}", map.0);
        self.maps[map.0]
    }

    /// Adds a [`Step::Convolution`] without a shortcut.
    #[track_caller]
    pub fn convolution(&mut self, input: Map, window: Window, weighted: Weighted) -> Map {
        self.residual_convolution(input, window, weighted, None)
    }

    /// Adds a [`Step::Convolution`].
    #[track_caller]
    pub fn residual_convolution(
        &mut self,
        input: Map,
        window: Window,
        weighted: Weighted,
        shortcut: Option<Map>,
    ) -> Map {
        let from = self.read(input);
        window.check(from);
        let outputs = weighted.bias.len();
        let taps = window.kernel * window.kernel;
        weighted.check(taps * from.channels * outputs, outputs);
        let shape = under(window, outputs);
        if let Some(shortcut) = shortcut {
            expect("shortcut", &shape.axes(), &self.read(shortcut).axes());
        }
        let output = self.add(shape);
        self.steps.push(Step::Convolution {
            input,
            output,
            window,
            weighted,
            shortcut,
        });
        output
    }

    /// Adds a [`Step::Depthwise`] whose channels are on their own.
    #[track_caller]
    pub fn depthwise(&mut self, input: Map, window: Window, weighted: Weighted) -> Map {
        self.grouped(input, window, weighted, 1)
    }

    /// Adds a [`Step::Depthwise`] in groups of two channels; the kernel is 3 and the stride 1.
    #[track_caller]
    pub fn pairwise(&mut self, input: Map, window: Window, weighted: Weighted) -> Map {
        self.grouped(input, window, weighted, 2)
    }

    #[track_caller]
    fn grouped(&mut self, input: Map, window: Window, weighted: Weighted, group: usize) -> Map {
        let from = self.read(input);
        window.check(from);
        let channels = from.channels;
        let whole = MapShape {
            channels: channels.next_multiple_of(group),
            ..from
        };
        expect("map in groups", &whole.axes(), &from.axes());
        let taps = window.kernel * window.kernel;
        weighted.check(taps * group * channels, channels);
        let output = self.add(under(window, channels));
        self.steps.push(Step::Depthwise {
            input,
            output,
            window,
            group,
            weighted,
        });
        output
    }

    /// Adds a [`Step::Pointwise`] without a gate and a shortcut.
    #[track_caller]
    pub fn pointwise(&mut self, input: Map, weighted: Weighted) -> Map {
        self.gated_pointwise(input, weighted, None, None)
    }

    /// Adds a [`Step::Pointwise`].
    #[track_caller]
    pub fn gated_pointwise(
        &mut self,
        input: Map,
        weighted: Weighted,
        gate: Option<Map>,
        shortcut: Option<Shortcut>,
    ) -> Map {
        let from = self.read(input);
        let outputs = weighted.bias.len();
        weighted.check(from.channels * outputs, outputs);
        if let Some(gate) = gate {
            let expected = MapShape::pixel(from.channels);
            expect("gate", &expected.axes(), &self.read(gate).axes());
        }
        if let Some(Shortcut { map, pooled }) = shortcut {
            let shape = self.read(map);
            let scale = if pooled { 2 } else { 1 };
            let expected = MapShape {
                height: from.height * scale,
                width: from.width * scale,
                channels: shape.channels.min(outputs),
            };
            expect("shortcut", &expected.axes(), &shape.axes());
        }
        let output = self.add(MapShape {
            channels: outputs,
            ..from
        });
        self.steps.push(Step::Pointwise {
            input,
            output,
            weighted,
            gate,
            shortcut,
        });
        output
    }

    /// Puts the channels of two maps of one pixel one after the other: a [`Step::Pointwise`] moves those of the second,
    /// those of the first are its shortcut.
    #[track_caller]
    pub fn concatenate(&mut self, first: Map, second: Map) -> Map {
        let [start, count] = [first, second].map(|map| self.shape(map).channels);
        let outputs = start + count;
        let mut weight = vec![0.0; count * outputs];
        for input in 0..count {
            weight[input * outputs + start + input] = 1.0;
        }
        let weighted = Weighted {
            weight,
            bias: vec![0.0; outputs],
            activation: Activation::Identity,
            slopes: Vec::new(),
        };
        let shortcut = Shortcut {
            map: first,
            pooled: false,
        };
        self.gated_pointwise(second, weighted, None, Some(shortcut))
    }

    /// Adds a [`Step::SqueezeExcite`].
    #[track_caller]
    pub fn squeeze_excite(&mut self, input: Map, reduce: Weighted, excite: Weighted) -> Map {
        let channels = self.read(input).channels;
        let squeezed = reduce.bias.len();
        reduce.check(channels * squeezed, squeezed);
        excite.check(channels * squeezed, channels);
        let output = self.add(MapShape::pixel(channels));
        self.steps.push(Step::SqueezeExcite {
            input,
            output,
            reduce,
            excite,
        });
        output
    }

    /// Adds a [`Step::CoordinateAttention`]; its map is for [`line_gate`](Self::line_gate) alone.
    #[track_caller]
    pub fn coordinate_attention(
        &mut self,
        input: Map,
        sums: Option<LineSums>,
        reduce: Weighted,
        rows: Weighted,
        columns: Weighted,
    ) -> Map {
        let from = self.read(input);
        let (lines, channels) = (from.height + from.width, from.channels);
        let squeezed = reduce.bias.len();
        if let Some(LineSums { weight, bias }) = &sums {
            expect("weight of lines", &[lines * channels], &[weight.len()]);
            expect("bias of lines", &[2 * channels], &[bias.len()]);
        }
        reduce.check(channels * squeezed, squeezed);
        for excite in [&rows, &columns] {
            excite.check(channels * squeezed, channels);
            assert_eq!(excite.activation, Activation::Sigmoid, "gates of lines");
        }
        let output = self.add(gates_of(from));
        self.steps.push(Step::CoordinateAttention {
            input,
            output,
            sums,
            reduce,
            rows,
            columns,
        });
        output
    }

    /// Adds a [`Step::LineGate`].
    #[track_caller]
    pub fn line_gate(&mut self, input: Map, gates: Map, others: Option<Map>) -> Map {
        let shape = self.read(input);
        for gates in [Some(gates), others].into_iter().flatten() {
            let expected = gates_of(shape).axes();
            expect("gates of lines", &expected, &self.shape(gates).axes());
            assert!(
                self.holds_gates_of_lines(gates),
                "map {} does not come out of coordinate attention",
                gates.0
            );
        }
        let output = self.add(shape);
        self.steps.push(Step::LineGate {
            input,
            output,
            gates,
            others,
        });
        output
    }

    /// Adds a [`Step::Average`].
    #[track_caller]
    pub fn average(&mut self, input: Map) -> Map {
        let channels = self.read(input).channels;
        let output = self.add(MapShape::pixel(channels));
        self.steps.push(Step::Average { input, output });
        output
    }

    /// Adds a [`Step::MaxPool`].
    #[track_caller]
    pub fn max_pool(&mut self, input: Map, window: Window) -> Map {
        let from = self.read(input);
        window.check(from);
        let output = self.add(under(window, from.channels));
        self.steps.push(Step::MaxPool {
            input,
            output,
            window,
        });
        output
    }

    /// Adds a [`Step::Enlarge`].
    #[track_caller]
    pub fn enlarge(&mut self, input: Map, activation: Activation, addend: Map) -> Map {
        assert!(
            activation.is_clamp(),
            "{activation:?} after an enlargement, expected one that only clamps"
        );
        let from = self.read(input);
        let shape = MapShape {
            height: 2 * from.height,
            width: 2 * from.width,
            ..from
        };
        expect("addend", &shape.axes(), &self.read(addend).axes());
        let output = self.add(shape);
        self.steps.push(Step::Enlarge {
            input,
            output,
            activation,
            addend,
        });
        output
    }

    /// Adds a [`Step::LayerNorm`].
    #[track_caller]
    pub fn layer_norm(&mut self, input: Map, scale: Vec<f32>, bias: Vec<f32>, epsilon: f32) -> Map {
        let shape = self.read(input);
        expect("scale", &[shape.channels], &[scale.len()]);
        expect("bias", &[shape.channels], &[bias.len()]);
        let output = self.add(shape);
        self.steps.push(Step::LayerNorm {
            input,
            output,
            scale,
            bias,
            epsilon,
        });
        output
    }

    /// Ends the plan with the maps that are its outputs. Gates of lines cannot be among them: devices lay them out
    /// differently.
    #[track_caller]
    pub fn finish(self, outputs: &[Map]) -> Plan {
        for output in outputs {
            self.read(*output);
        }
        Plan {
            maps: self.maps,
            steps: self.steps,
            outputs: outputs.to_vec(),
        }
    }

    /// Size of a map that is read as it is.
    #[track_caller]
    fn read(&self, map: Map) -> MapShape {
        let shape = self.shape(map);
        assert!(
            !self.holds_gates_of_lines(map),
            "map {} holds gates of lines, which only a line gate reads",
            map.0
        );
        shape
    }

    fn holds_gates_of_lines(&self, map: Map) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| step.output() == map && matches!(step, Step::CoordinateAttention { .. }))
    }

    fn add(&mut self, shape: MapShape) -> Map {
        self.maps.push(shape);
        Map(self.maps.len() - 1)
    }
}

/// Size of what a window gives.
fn under(window: Window, channels: usize) -> MapShape {
    let [height, width] = window.output;
    MapShape {
        height,
        width,
        channels,
    }
}

/// Size of the gates for a map's rows and columns.
fn gates_of(shape: MapShape) -> MapShape {
    MapShape {
        height: shape.height + shape.width,
        width: 1,
        channels: shape.channels,
    }
}
