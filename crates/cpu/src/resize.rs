//! Programs over rows of variable length: the same parameters, other maps.

use crate::chunks::split;
use crate::compile::Program;
use crate::error::CompileError;
use crate::graph::LONGEST_SIDE;
use crate::layout::place;
use crate::packed::{KEY_ROUNDING, Kind, NONE, PackedStep, narrow};

impl Program {
    /// Changes the number of pixels of every map; parameters stay where they are. For plans that
    /// [`Plan::set_length`](crate::Plan::set_length) takes.
    ///
    /// # Errors
    ///
    /// [`CompileError::Length`] if a step changes the length, or the length is zero or too large.
    pub fn set_length(&mut self, pixels: usize) -> Result<(), CompileError> {
        let keeps = self.steps.iter().all(PackedStep::keeps_length);
        let is_row = self.layout.maps.iter().all(|map| map.height == 1);
        let longest = self.layout.maps.iter().map(|map| map.stride as usize).max();
        let is_large = longest.unwrap_or_default() * pixels > 1 << 28;
        if !keeps || !is_row || pixels == 0 || pixels > LONGEST_SIDE || is_large {
            return Err(CompileError::Length { pixels });
        }
        let layout = &mut self.layout;
        for (map, has_panels) in layout.maps.iter_mut().zip(&layout.has_panels) {
            map.width = narrow(match has_panels {
                true => pixels.next_multiple_of(KEY_ROUNDING),
                false => pixels,
            });
        }
        let used = layout.used.iter().map(|it| it.iter().copied());
        self.arena = place(&mut layout.maps, used, layout.input, &layout.outputs);
        for (step, roles) in self.steps.iter_mut().zip(&layout.roles) {
            step.take_maps(roles, &layout.maps);
            split(step, self.set);
        }
        self.scratch = PackedStep::most_scratch(&self.steps);
        self.input.map = layout.maps[layout.input.0];
        for (port, buffer) in self.outputs.iter_mut().zip(&layout.outputs) {
            port.map = layout.maps[buffer.0];
        }
        Ok(())
    }
}

impl PackedStep {
    /// Whether the step works on pixels one by one, or on the whole of a row, and gives as many.
    fn keeps_length(&self) -> bool {
        match self.kind {
            Kind::LayerNorm | Kind::Grouped | Kind::Keys => true,
            Kind::Attention => self.weight == NONE,
            Kind::Product => {
                !self.gathers()
                    && self.advance().is_none()
                    && !self.gate.is_present()
                    && !self.sums.is_present()
                    && self.pools_shortcut == 0
            }
            _ => false,
        }
    }
}
