//! Places of maps in the memory of a run.

use crate::arena::{self, Lifetime};
use crate::lower::{Buffer, Lowered, Roles, Sequenced, Task};
use crate::packed::{PackedMap, narrow};

/// Gives maps their offsets; returns the length of the arena. `used` are the buffers of each operation.
pub(crate) fn place(
    maps: &mut [PackedMap],
    used: impl ExactSizeIterator<Item = impl Iterator<Item = Buffer>>,
    input: Buffer,
    outputs: &[Buffer],
) -> usize {
    let end = used.len();
    let mut lifetimes: Vec<_> = maps
        .iter()
        .map(|map| Lifetime {
            first: end,
            last: 0,
            length: map.len(),
        })
        .collect();
    for (index, buffers) in used.enumerate() {
        for buffer in buffers {
            let lifetime = &mut lifetimes[buffer.0];
            lifetime.first = lifetime.first.min(index);
            lifetime.last = lifetime.last.max(index);
        }
    }
    lifetimes[input.0].first = 0;
    for output in outputs {
        lifetimes[output.0].last = end;
    }
    let (offsets, length) = arena::place(&lifetimes);
    for (map, offset) in maps.iter_mut().zip(offsets) {
        map.offset = narrow(offset);
    }
    length
}

/// What it takes to lay maps out again.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) maps: Vec<PackedMap>,
    /// Whether a map holds keys in panels.
    pub(crate) has_panels: Vec<bool>,
    /// Of each step.
    pub(crate) roles: Vec<Roles>,
    /// Buffers of each step that must be alive.
    pub(crate) used: Vec<Vec<Buffer>>,
    pub(crate) input: Buffer,
    pub(crate) outputs: Vec<Buffer>,
}

impl Layout {
    pub(crate) fn new(lowered: &Lowered, maps: Vec<PackedMap>) -> Self {
        let operations = lowered.operations.iter();
        let mut has_panels = vec![false; maps.len()];
        for operation in &lowered.operations {
            if let Task::Sequence(Sequenced::Keys { .. }) = operation.task {
                has_panels[operation.destination.0] = true;
            }
        }
        Self {
            maps,
            has_panels,
            roles: operations.clone().map(|it| it.roles()).collect(),
            used: operations.map(|it| it.buffers().collect()).collect(),
            input: lowered.input,
            outputs: lowered.outputs.clone(),
        }
    }
}
