//! WGSL text, and how it is started on Burn's device, queue and memory.

use std::sync::Arc;

use burn_cubecl::cubecl::ir::{ElemType, UIntKind, attributes::BufferIOAttr, metadata::Info};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::server::{Handle, KernelArguments, MetadataBindingInfo};
use burn_cubecl::cubecl::{CubeKernel, PrecompiledSource, client::Client};

/// Groups that fit into one dimension of a dispatch.
const MOST_GROUPS: u32 = 65_535;

/// Elements of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Element {
    /// `f32`
    F32,
    /// `f16`
    F16,
    /// `u32`
    U32,
}

impl Element {
    /// Bytes of one element.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F32 | Self::U32 => 4,
            Self::F16 => 2,
        }
    }

    /// Its type in WGSL.
    pub(crate) fn scalar(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::U32 => "u32",
        }
    }
}

/// One shader: text with `fn main(group: u32, local: u32)`.
#[derive(Clone, Debug)]
pub(crate) struct Shader {
    pub(super) name: &'static str,
    pub(super) text: Arc<str>,
    pub(super) workgroup: usize,
    /// Buffers that it reads.
    pub(super) reads: usize,
    /// Numbers that come with a launch.
    pub(super) numbers: usize,
}

impl Shader {
    /// Invocations a group.
    pub(crate) fn workgroup(&self) -> usize {
        self.workgroup
    }

    fn dim(&self) -> CubeDim {
        let invocations = u32::try_from(self.workgroup).expect("groups of at most some hundred");
        CubeDim::new_1d(invocations)
    }

    /// Name of its kernel.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Queues the shader with its numbers in the order of their names.
    pub(crate) fn launch(
        &self,
        client: &Client,
        reads: &[&Handle],
        output: &Handle,
        groups: u32,
        numbers: &[u32],
    ) {
        assert_eq!(numbers.len(), self.numbers, "numbers of {}", self.name);
        assert_eq!(reads.len(), self.reads, "buffers of {}", self.name);
        let mut arguments = KernelArguments::new();
        for handle in reads {
            arguments =
                arguments.with_buffer_io((*handle).clone().binding(), BufferIOAttr::ReadOnly);
        }
        let arguments = arguments
            .with_buffer_io(output.clone().binding(), BufferIOAttr::WriteOnly)
            .with_info(MetadataBindingInfo::custom(pairs(numbers)));
        let rows = groups.div_ceil(MOST_GROUPS).max(1);
        let count = CubeCount::Static(groups.div_ceil(rows), rows, 1);
        crate::kernel::counters::count_dispatch();
        client.launch(Box::new(self.clone()), count, arguments);
    }
}

/// Numbers of a uniform in whole groups of 16 bytes, with one zero at least after the named ones.
pub(super) fn uniform_length(numbers: usize) -> usize {
    (numbers + 1).next_multiple_of(4)
}

/// The uniform's numbers two by two, low half first, with zeros after the last.
fn pairs(numbers: &[u32]) -> Vec<u64> {
    let number = |index: usize| u64::from(numbers.get(index).copied().unwrap_or_default());
    (0..uniform_length(numbers.len()))
        .step_by(2)
        .map(|index| number(index) | number(index + 1) << 32)
        .collect()
}

impl KernelMetadata for Shader {
    fn name(&self) -> &'static str {
        self.name
    }

    // Compiled shaders are looked up by this alone, so it holds all that tells texts apart: the text.
    fn id(&self) -> KernelId {
        KernelId::new::<Self>()
            .info(self.text.clone())
            .cube_dim(self.dim().0)
    }

    fn address_type(&self) -> ElemType {
        UIntKind::U32.into()
    }
}

impl CubeKernel for Shader {
    // Never compiled, for there is a source; its settings are looked at.
    fn define(&self) -> KernelDefinition {
        let settings = KernelSettings::new(self.dim().0, ExecutionMode::Checked, AddressType::U32);
        KernelDefinition {
            body: Scope::root(settings.clone()),
            settings,
            info: Info::default(),
        }
    }

    fn source(&self) -> Option<PrecompiledSource> {
        Some(PrecompiledSource {
            source: self.text.to_string(),
            entrypoint_name: "start".into(),
            lang: "wgsl",
        })
    }
}
