//! WGSL text, and how it is started on Burn's device, queue and memory.

use std::fmt::Write;
use std::sync::Arc;

use burn_cubecl::cubecl::ir::{ElemType, UIntKind, attributes::BufferIOAttr, metadata::Info};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::server::{Handle, KernelArguments, MetadataBindingInfo};
use burn_cubecl::cubecl::{CubeKernel, PrecompiledSource, client::Client};

use crate::kernel::Activation;

/// Groups that fit into one dimension of a dispatch.
const MOST_GROUPS: u32 = 65_535;

/// What a buffer holds.
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
    /// Bytes of one.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F32 | Self::U32 => 4,
            Self::F16 => 2,
        }
    }

    /// As WGSL calls it.
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
    name: &'static str,
    text: Arc<str>,
    workgroup: usize,
    reads: usize,
    numbers: usize,
}

/// Writes a [`Shader`]: bindings and constants first, functions after.
#[derive(Debug)]
pub(crate) struct ShaderBuilder {
    name: &'static str,
    text: String,
    workgroup: usize,
    reads: usize,
    numbers: Vec<&'static str>,
    has_output: bool,
    uses_f16: bool,
}

impl ShaderBuilder {
    /// A shader that runs with `workgroup` invocations a group.
    pub(crate) fn new(name: &'static str, workgroup: usize) -> Self {
        Self {
            name,
            text: String::new(),
            workgroup,
            reads: 0,
            numbers: Vec::new(),
            has_output: false,
            uses_f16: false,
        }
    }

    /// Names of the numbers that come with each launch, as `launch.name`; comes before the buffer that is written.
    ///
    /// Sizes are numbers and not constants, so that layers of different sizes share one shader: compiling is what a
    /// first result waits for.
    pub(crate) fn numbers(mut self, names: &[&'static str]) -> Self {
        assert!(
            !self.has_output,
            "numbers come before the buffer that is written"
        );
        self.numbers.extend(names);
        self
    }

    /// A buffer that is read, as an array of `vec4`.
    pub(crate) fn reads(self, name: &str, element: Element) -> Self {
        let of = format!("vec4<{}>", element.scalar());
        self.read_array(name, element, &of)
    }

    /// A buffer that is read, as an array of single values.
    pub(crate) fn reads_scalars(self, name: &str, element: Element) -> Self {
        self.read_array(name, element, element.scalar())
    }

    /// The buffer that is written, as an array of `vec4`; comes after all that are read.
    pub(crate) fn writes(self, name: &str, element: Element) -> Self {
        let of = format!("vec4<{}>", element.scalar());
        self.write_array(name, element, &of)
    }

    /// The same as an array of single values.
    pub(crate) fn writes_scalars(self, name: &str, element: Element) -> Self {
        self.write_array(name, element, element.scalar())
    }

    fn read_array(mut self, name: &str, element: Element, of: &str) -> Self {
        assert!(!self.has_output, "buffers that are read come first");
        // Natively tensors are slices of shared buffers, and one buffer cannot be `read` and `read_write` in a
        // dispatch. In a browser each has its own buffer, and the same one may be bound twice only as `read`.
        let access = if cfg!(target_family = "wasm") {
            "read"
        } else {
            "read_write"
        };
        let binding = self.reads;
        self.line(&format!(
            "@group(0) @binding({binding}) var<storage, {access}> {name}: array<{of}>;"
        ));
        self.reads += 1;
        self.uses_f16 |= element == Element::F16;
        self
    }

    fn write_array(mut self, name: &str, element: Element, of: &str) -> Self {
        let (binding, next) = (self.reads, self.reads + 1);
        let mut fields = String::new();
        for name in &self.numbers {
            write!(fields, "{name}: u32, ").expect("a string takes all text");
        }
        // Up to whole groups of 16 bytes.
        for index in self.numbers.len() + 1..uniform_length(self.numbers.len()) {
            write!(fields, "padding{index}: u32, ").expect("a string takes all text");
        }
        self.line(&format!(
            "@group(0) @binding({binding}) var<storage, read_write> {name}: array<{of}>;
struct Launch {{ {fields}zero: u32 }}
@group(0) @binding({next}) var<uniform> launch: Launch;"
        ));
        self.has_output = true;
        self.uses_f16 |= element == Element::F16;
        self
    }

    /// `const NAME = value;` for each.
    pub(crate) fn constants(mut self, constants: &[(&str, usize)]) -> Self {
        for (name, value) in constants {
            self.line(&format!("const {name} = {value}u;"));
        }
        self
    }

    /// Any text.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.line(text);
        self
    }

    /// The text once for each number below `count`, which stands where `$i` does.
    pub(crate) fn unroll(mut self, count: usize, text: &str) -> Self {
        for index in 0..count {
            self.line(&text.replace("$i", &index.to_string()));
        }
        self
    }

    /// `fn activate(x: vec4<f32>, column: u32) -> vec4<f32>`; PReLU reads its slopes from the buffer `slopes`.
    pub(crate) fn activation(self, activation: Activation) -> Self {
        let body = match activation {
            Activation::Identity => "return x;",
            Activation::Relu => "return max(x, vec4<f32>());",
            Activation::Relu6 => "return clamp(x, vec4<f32>(), vec4<f32>(6.0));",
            Activation::Prelu => {
                "return select(x * vec4<f32>(slopes[column]), x, x > vec4<f32>());"
            }
            Activation::Silu => "return x / (1.0 + exp(-x));",
            Activation::Sigmoid => "return 1.0 / (1.0 + exp(-x));",
            Activation::Hardswish => {
                "return x * clamp(x + 3.0, vec4<f32>(), vec4<f32>(6.0)) / 6.0;"
            }
            // Abramowitz and Stegun 7.1.26: within 1.5e-7 of the error function.
            Activation::Gelu => {
                "let z = abs(x) * 0.70710678;
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return 0.5 * x * (1.0 + sign(x) * (1.0 - series * exp(-z * z)));"
            }
        };
        self.text(&format!(
            "fn activate(x: vec4<f32>, column: u32) -> vec4<f32> {{\n    {body}\n}}"
        ))
    }

    /// What was written so far.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn line(&mut self, text: &str) {
        writeln!(self.text, "{text}").expect("a string takes all text");
    }

    /// Completes the shader; `main` gets the number of its group and its own number in it.
    pub(crate) fn finish(mut self) -> Shader {
        let workgroup = self.workgroup;
        self.line(&format!(
            "@compute @workgroup_size({workgroup})
fn start(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {{
    // Always so; a binding that a shader declares and does not use would be refused.
    if (launch.zero == 0u) {{ main(group.y * groups.x + group.x, local); }}
}}"
        ));
        let enable = if self.uses_f16 { "enable f16;\n" } else { "" };
        Shader {
            name: self.name,
            text: format!("{enable}{}", self.text).into(),
            workgroup,
            reads: self.reads,
            numbers: self.numbers.len(),
        }
    }
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

    /// What it is for.
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
fn uniform_length(numbers: usize) -> usize {
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
