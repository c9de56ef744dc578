//! Puts a shader together: bindings and constants that Rust knows, and text from `.wgsl` files.
//!
//! In a file, the lines between `#for NAME in COUNT` and `#end` stand once for each number below the constant `COUNT`,
//! with the number in place of `$NAME`: loops that must be unrolled, since registers have no index.

use std::fmt::Write;

use super::shader::{Element, Shader, uniform_length};
use crate::kernel::Activation;

/// Writes a [`Shader`]: buffers that are read, numbers and the buffer that is written first, constants and text after.
#[derive(Debug)]
pub(crate) struct ShaderBuilder {
    name: &'static str,
    text: String,
    workgroup: usize,
    reads: usize,
    numbers: Vec<&'static str>,
    counts: Vec<(String, usize)>,
    has_output: bool,
    has_activations: bool,
    uses_f16: bool,
}

impl ShaderBuilder {
    /// A shader with `workgroup` invocations per group, which text knows as `GROUP`.
    pub(crate) fn new(name: &'static str, workgroup: usize) -> Self {
        let builder = Self {
            name,
            text: String::new(),
            workgroup,
            reads: 0,
            numbers: Vec::new(),
            counts: Vec::new(),
            has_output: false,
            has_activations: false,
            uses_f16: false,
        };
        builder.count("GROUP", workgroup)
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
        let vector = format!("vec4<{}>", element.scalar());
        self.read_array(name, element, &vector)
    }

    /// A buffer that is read, as an array of single values.
    pub(crate) fn reads_scalars(self, name: &str, element: Element) -> Self {
        self.read_array(name, element, element.scalar())
    }

    /// The buffer that is written, as an array of `vec4`; comes after all that are read.
    pub(crate) fn writes(self, name: &str, element: Element) -> Self {
        let vector = format!("vec4<{}>", element.scalar());
        self.write_array(name, element, &vector)
    }

    /// The buffer that is written, as an array of single values.
    pub(crate) fn writes_scalars(self, name: &str, element: Element) -> Self {
        self.write_array(name, element, element.scalar())
    }

    fn read_array(mut self, name: &str, element: Element, member: &str) -> Self {
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
            "@group(0) @binding({binding}) var<storage, {access}> {name}: array<{member}>;"
        ));
        self.reads += 1;
        self.uses_f16 |= element == Element::F16;
        self
    }

    fn write_array(mut self, name: &str, element: Element, member: &str) -> Self {
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
            "alias Output = {member};
@group(0) @binding({binding}) var<storage, read_write> {name}: array<Output>;
struct Launch {{ {fields}zero: u32 }}
@group(0) @binding({next}) var<uniform> launch: Launch;"
        ));
        self.has_output = true;
        self.uses_f16 |= element == Element::F16;
        self
    }

    /// A whole number that does not change between launches.
    pub(crate) fn count(mut self, name: &str, value: usize) -> Self {
        self.line(&format!("const {name} = {value}u;"));
        self.counts.push((name.to_owned(), value));
        self
    }

    /// Several of them.
    pub(crate) fn counts(self, counts: &[(&str, usize)]) -> Self {
        counts
            .iter()
            .fold(self, |builder, (name, value)| builder.count(name, *value))
    }

    /// A number that does not change between launches.
    pub(crate) fn number(mut self, name: &str, value: f32) -> Self {
        self.line(&format!("const {name} = {value:?};"));
        self
    }

    /// A colour that does not change between launches.
    pub(crate) fn colour(mut self, name: &str, values: [f32; 3]) -> Self {
        let [red, green, blue] = values;
        self.line(&format!(
            "const {name} = vec3<f32>({red:?}, {green:?}, {blue:?});"
        ));
        self
    }

    /// The text of a `.wgsl` file; its loops run over counts that are declared before it.
    ///
    /// # Panics
    ///
    /// If the file has a loop over a count that is not declared, or one without an end.
    pub(crate) fn source(mut self, text: &str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let unrolled = unroll(&lines, &|name| {
            let mut counts = self.counts.iter();
            let count = counts.find_map(|(known, count)| (known == name).then_some(*count));
            count.unwrap_or_else(|| panic!("loop over {name}, which {} does not have", self.name))
        });
        for line in unrolled {
            self.line(&line);
        }
        self
    }

    /// `fn NAME(x: vec4<f32>, column: u32) -> vec4<f32>`; PReLU reads its slopes from the buffer `slopes`.
    pub(crate) fn activation(mut self, name: &str, activation: Activation) -> Self {
        if !self.has_activations {
            self.has_activations = true;
            self = self.source(include_str!("shaders/activations.wgsl"));
        }
        let value = match activation {
            Activation::Identity => "x",
            Activation::Relu => "relu(x)",
            Activation::Relu6 => "relu6(x)",
            Activation::Prelu => "prelu(x, slopes[column])",
            Activation::Silu => "silu(x)",
            Activation::Gelu => "gelu(x)",
            Activation::Sigmoid => "sigmoid(x)",
            Activation::Hardswish => "hardswish(x)",
        };
        self.line(&format!(
            "fn {name}(x: vec4<f32>, column: u32) -> vec4<f32> {{ return {value}; }}"
        ));
        self
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

/// Writes out loops; `count` gives the value of a constant.
fn unroll(lines: &[&str], count: &dyn Fn(&str) -> usize) -> Vec<String> {
    let mut unrolled = Vec::new();
    let mut rest = lines.iter();
    while let Some(line) = rest.next() {
        let Some(head) = line.trim_start().strip_prefix("#for ") else {
            unrolled.push((*line).to_owned());
            continue;
        };
        let (name, limit) = head.split_once(" in ").expect("a loop has a limit");
        let body = loop_body(rest.as_slice());
        rest = rest.as_slice()[body.len() + 1..].iter();
        let body = unroll(body, count);
        let place = format!("${name}");
        for index in 0..count(limit) {
            let index = index.to_string();
            unrolled.extend(body.iter().map(|line| line.replace(&place, &index)));
        }
    }
    unrolled
}

/// The lines before the `#end` of a loop.
fn loop_body<'a, 'b>(lines: &'a [&'b str]) -> &'a [&'b str] {
    let mut depth = 1;
    let end = lines.iter().position(|line| {
        match line.trim() {
            "#end" => depth -= 1,
            line if line.starts_with("#for ") => depth += 1,
            _ => {}
        }
        depth == 0
    });
    &lines[..end.expect("a loop has an end")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_written_out() {
        let lines = [
            "a",
            "  #for y in ROWS",
            "  row$y",
            "  #for x in COLUMNS",
            "    sum$y += w$x[$y][$xu];",
            "  #end",
            "  #end",
            "b",
        ];
        let unrolled = unroll(&lines, &|name| match name {
            "ROWS" => 2,
            "COLUMNS" => 1,
            _ => panic!("{name}"),
        });
        assert_eq!(
            unrolled,
            [
                "a",
                "  row0",
                "    sum0 += w0[0][0u];",
                "  row1",
                "    sum1 += w0[1][0u];",
                "b"
            ]
        );
    }

    #[test]
    #[should_panic(expected = "loop over ROWS, which sample does not have")]
    fn loops_over_nothing_are_refused() {
        let _ = ShaderBuilder::new("sample", 64).source("#for y in ROWS\n#end");
    }
}
