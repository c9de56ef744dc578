use std::fmt;

use crate::graph::{MapShape, Window};

/// Why a plan cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompileError {
    /// A depthwise convolution for which there is no loop.
    Window {
        /// Its window.
        window: Window,
        /// Channels of a group.
        group: usize,
    },
    /// A map without pixels or channels, or one that memory cannot hold.
    Size {
        /// Its size.
        shape: MapShape,
    },
    /// A length that the maps of a program cannot have.
    Length {
        /// Pixels.
        pixels: usize,
    },
    /// An instruction set that this processor lacks.
    InstructionSet {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for CompileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window { window, group } => write!(
                formatter,
                "window of {kernel}x{kernel}, stride {stride}, is not one that a depthwise convolution in groups of \
                 {group} can have here",
                kernel = window.kernel,
                stride = window.stride,
            ),
            Self::Size { shape } => {
                let shape = shape.axes();
                write!(formatter, "map of shape {shape:?} is empty or too large")
            }
            Self::Length { pixels } => {
                write!(formatter, "program cannot have maps of {pixels} pixels")
            }
            Self::InstructionSet { name } => {
                write!(formatter, "processor lacks the instruction set {name}")
            }
        }
    }
}

impl std::error::Error for CompileError {}
