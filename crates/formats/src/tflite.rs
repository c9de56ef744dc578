//! TensorFlow Lite models (flatbuffers), and the `.task` archives of MediaPipe that hold several of them.
//!
//! Field numbers are those of TensorFlow's `schema.fbs`. Constants of 32- and 16-bit floats are read; 16-bit
//! ones usually sit behind a DEQUANTIZE operator, sparse ones behind a DENSIFY operator before it, and then go by the
//! name of what the last of these gives, which is what the network consumes. Integer constants are shapes and axes and
//! are left out.

mod sparse;

use std::collections::{HashMap, HashSet};
use std::io::{Cursor, Read};

use planus::errors::ErrorKind;
use planus::table_reader::Table;
use planus::{SliceWithStartOffset, TableRead, Vector};

use crate::budget::Budget;
use crate::element::{Element, MAX_VALUES, decode_exactly, insert_finite, malformed, value_count};
use crate::error::WeightsError;
use crate::layout::oihw_from_ohwi;
use crate::metadata::Metadata;
use crate::published::{GraphConvolution, PublishedWeights};
use crate::weights::{WeightTensor, Weights};

const FORMAT: &str = "tflite";
/// Largest member of a `.task` archive that is unpacked.
const MAX_MEMBER_BYTES: u64 = 256 << 20;
/// Most tensors or operators of one graph.
const MAX_ITEMS: usize = 1 << 16;

/// Most axes of a tensor.
const MAX_AXES: usize = 8;
/// Inputs of an operator that are looked at: picture, kernel, bias.
const INPUTS: usize = 3;
/// Bytes that an operator or a tensor takes in memory, roomily.
const ITEM_BYTES: usize = 128;

const CONV_2D: i32 = 3;
const DEPTHWISE_CONV_2D: i32 = 4;
const DEQUANTIZE: i32 = 6;
const FULLY_CONNECTED: i32 = 9;
const DENSIFY: i32 = 124;

/// Most operators between a constant and the network: DENSIFY, DEQUANTIZE.
const MOST_BEHIND: usize = 2;

const FLOAT32: i8 = 0;
const FLOAT16: i8 = 1;

/// The parameters of a tflite model, by name and in order of use.
#[derive(Clone, Debug, PartialEq)]
pub struct TfliteGraph {
    /// Float constants under the names that operators consume; shapes as in the file.
    pub named: Weights,
    /// Convolutions in execution order.
    pub convolutions: Vec<GraphConvolution>,
    /// Weight `[outputs, inputs]` and bias of the last dense operator.
    pub classifier: Option<(WeightTensor, Option<WeightTensor>)>,
}

impl From<TfliteGraph> for PublishedWeights {
    fn from(graph: TfliteGraph) -> Self {
        Self::Graph {
            named: graph.named,
            convolutions: graph.convolutions,
            operations: Vec::new(),
            classifier: graph.classifier,
        }
    }
}

/// Unpacks one member of a `.task` archive (a zip).
///
/// # Errors
///
/// [`WeightsError::Malformed`] if the archive is not valid, has no such member, or the member is too large.
pub fn read_task_member(archive: &[u8], member: &str) -> Result<Vec<u8>, WeightsError> {
    member_within(archive, member, MAX_MEMBER_BYTES)
}

fn member_within(archive: &[u8], member: &str, limit: u64) -> Result<Vec<u8>, WeightsError> {
    let broken = |error: &dyn std::fmt::Display| malformed("task", error.to_string());
    let mut zip = zip::ZipArchive::new(Cursor::new(archive)).map_err(|error| broken(&error))?;
    let names: Vec<_> = zip
        .file_names()
        .filter_map(Result::ok)
        .map(|name| name.into_owned())
        .collect();
    let file = match zip.by_name(member) {
        Ok(file) => file,
        Err(zip::result::ZipError::FileNotFound) => {
            let names = names.join("`, `");
            return Err(malformed(
                "task",
                format!("no member `{member}` (there are `{names}`)"),
            ));
        }
        Err(error) => return Err(broken(&error)),
    };
    // The declared size may lie, so what comes out is bounded as well.
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| broken(&error))?;
    if bytes.len() as u64 > limit {
        return Err(malformed(
            "task",
            format!("member `{member}` is larger than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

/// Reads a model with one graph.
///
/// # Errors
///
/// [`WeightsError::Malformed`] if the bytes are not a consistent model of finite numbers,
/// [`WeightsError::Unsupported`] for several graphs, dilation, or a convolution whose kernel is not a float
/// constant.
pub fn read_graph(bytes: &[u8]) -> Result<TfliteGraph, WeightsError> {
    // TensorFlow's file identifier; anything else would be read as garbage offsets.
    if bytes.get(4..8) != Some(b"TFL3".as_slice()) {
        return Err(malformed(FORMAT, "no identifier `TFL3` at byte 4"));
    }
    let buffer = SliceWithStartOffset {
        buffer: bytes,
        offset_from_start: 0,
    };
    let root = Table::from_buffer(buffer, 0)
        .map_err(|error| malformed(FORMAT, format!("root table: {error}")))?;
    let graphs: Tables = required(&root, 2, "subgraphs")?;
    let [graph] = graphs.0.as_slice() else {
        let what = format!("{} graphs in one model", graphs.0.len());
        return Err(WeightsError::Unsupported {
            format: FORMAT,
            what,
        });
    };
    let tensors: Tables = required(graph, 0, "tensors")?;
    let operators: Tables = required(graph, 3, "operators")?;
    let codes: Tables = required(&root, 1, "operator_codes")?;
    let buffers: Tables = required(&root, 4, "buffers")?;

    let mut constants = Constants {
        tensors: tensors.0,
        buffers: buffers.0,
        behind: HashMap::new(),
        budget: Budget::of_file(FORMAT, bytes.len()),
    };
    let operators = operators
        .0
        .iter()
        .map(|table| Operator::read(table, &codes.0))
        .collect::<Result<Vec<_>, _>>()?;
    for operator in operators
        .iter()
        .filter(|operator| [DEQUANTIZE, DENSIFY].contains(&operator.code))
    {
        if let (Some(&input), Some(&output)) = (operator.inputs.first(), operator.outputs.first()) {
            constants.behind.insert(output, input);
        }
    }

    let named = constants.named()?;
    let mut convolutions = Vec::new();
    let mut classifier = None;
    for operator in &operators {
        match operator.code {
            CONV_2D | DEPTHWISE_CONV_2D => convolutions.push(constants.convolution(operator)?),
            FULLY_CONNECTED => classifier = Some(constants.dense(operator)?),
            _ => {}
        }
    }
    Ok(TfliteGraph {
        named,
        convolutions,
        classifier,
    })
}

/// A vector of tables. planus reads those through an unsafe trait; this takes each offset in turn.
struct Tables<'a>(Vec<Table<'a>>);

impl<'a> TableRead<'a> for Tables<'a> {
    fn from_buffer(buffer: SliceWithStartOffset<'a>, offset: usize) -> Result<Self, ErrorKind> {
        let distance: u32 = TableRead::from_buffer(buffer, offset)?;
        let start = offset
            .checked_add(distance as usize)
            .ok_or(ErrorKind::InvalidOffset)?;
        let length: u32 = TableRead::from_buffer(buffer, start)?;
        let length = length as usize;
        if length > MAX_ITEMS {
            return Err(ErrorKind::InvalidLength);
        }
        (0..length)
            .map(|index| Table::from_buffer(buffer, start + 4 + 4 * index))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn optional<'a, T: TableRead<'a>>(
    table: &Table<'a>,
    field: usize,
    name: &'static str,
) -> Result<Option<T>, WeightsError> {
    table
        .access(field, FORMAT, name)
        .map_err(|error| malformed(FORMAT, format!("{name}: {}", error.error_kind)))
}

fn required<'a, T: TableRead<'a>>(
    table: &Table<'a>,
    field: usize,
    name: &'static str,
) -> Result<T, WeightsError> {
    optional(table, field, name)?.ok_or_else(|| malformed(FORMAT, format!("no {name}")))
}

/// The first `most` numbers of a vector: many tables can share one, however long it is.
fn indices(
    table: &Table,
    field: usize,
    name: &'static str,
    most: usize,
) -> Result<Vec<i32>, WeightsError> {
    let vector: Option<Vector<i32>> = optional(table, field, name)?;
    Ok(vector
        .map(|vector| vector.iter().take(most).collect())
        .unwrap_or_default())
}

struct Operator<'a> {
    code: i32,
    /// Indices of the first tensors; -1 stands for an input that is left out.
    inputs: Vec<i32>,
    outputs: Vec<i32>,
    options: Option<Table<'a>>,
}

impl<'a> Operator<'a> {
    fn read(table: &Table<'a>, codes: &[Table<'a>]) -> Result<Self, WeightsError> {
        let index: u32 = optional(table, 0, "opcode_index")?.unwrap_or(0);
        let Some(code) = codes.get(index as usize) else {
            return Err(malformed(
                FORMAT,
                format!("operator code {index} of {}", codes.len()),
            ));
        };
        // Old files have only the 8-bit code; new ones have both, and the larger is the true one.
        let short: i8 = optional(code, 0, "deprecated_builtin_code")?.unwrap_or(0);
        let long: i32 = optional(code, 3, "builtin_code")?.unwrap_or(0);
        Ok(Self {
            code: long.max(i32::from(short)),
            inputs: indices(table, 1, "inputs", INPUTS)?,
            outputs: indices(table, 2, "outputs", 1)?,
            options: optional(table, 4, "builtin_options")?.map(|SubTable(options)| options),
        })
    }

    fn option(&self, field: usize, name: &'static str, default: i32) -> Result<i32, WeightsError> {
        match &self.options {
            Some(options) => Ok(optional(options, field, name)?.unwrap_or(default)),
            None => Ok(default),
        }
    }
}

/// A table that another one holds; the kind of a union is known from elsewhere.
struct SubTable<'a>(Table<'a>);

impl<'a> TableRead<'a> for SubTable<'a> {
    fn from_buffer(buffer: SliceWithStartOffset<'a>, offset: usize) -> Result<Self, ErrorKind> {
        Table::from_buffer(buffer, offset).map(Self)
    }
}

struct Constants<'a> {
    tensors: Vec<Table<'a>>,
    buffers: Vec<Table<'a>>,
    /// From the output of a DEQUANTIZE or DENSIFY operator to its input.
    behind: HashMap<i32, i32>,
    budget: Budget,
}

impl<'a> Constants<'a> {
    fn tensor(&self, index: i32) -> Result<&Table<'a>, WeightsError> {
        let tensor = usize::try_from(index)
            .ok()
            .and_then(|index| self.tensors.get(index));
        tensor.ok_or_else(|| malformed(FORMAT, format!("tensor {index} of {}", self.tensors.len())))
    }

    fn name(&self, index: i32) -> Result<&'a str, WeightsError> {
        Ok(optional(self.tensor(index)?, 3, "tensor name")?.unwrap_or_default())
    }

    /// The values of a float constant, looked up through DEQUANTIZE and DENSIFY; `None` for anything else.
    fn value(&self, index: i32) -> Result<Option<WeightTensor>, WeightsError> {
        let name = self.name(index)?;
        self.budget.take(ITEM_BYTES, "a tensor")?;
        let further = |index: &i32| self.behind.get(index).copied();
        let stored = std::iter::successors(Some(index), further);
        let tensor = self.tensor(stored.take(1 + MOST_BEHIND).last().unwrap_or(index))?;
        let element = match optional(tensor, 1, "tensor type")?.unwrap_or(FLOAT32) {
            FLOAT32 => Element::F32,
            FLOAT16 => Element::F16,
            _ => return Ok(None),
        };
        let buffer: u32 = optional(tensor, 2, "tensor buffer")?.unwrap_or(0);
        let Some(buffer) = self.buffers.get(buffer as usize) else {
            return Err(malformed(
                FORMAT,
                format!("buffer {buffer} of {}", self.buffers.len()),
            ));
        };
        let Some(data) =
            optional::<&[u8]>(buffer, 0, "buffer data")?.filter(|data| !data.is_empty())
        else {
            return Ok(None);
        };
        let shape = indices(tensor, 0, "tensor shape", MAX_AXES + 1)?;
        if shape.len() > MAX_AXES {
            let reason = format!("weight `{name}` has more than {MAX_AXES} axes");
            return Err(malformed(FORMAT, reason));
        }
        let shape = shape
            .into_iter()
            .map(|axis| {
                usize::try_from(axis)
                    .map_err(|_| malformed(FORMAT, format!("weight `{name}` has axis {axis}")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        // Many tensors may share one buffer, and many operators one tensor: the file's size does not bound this.
        let count = value_count(FORMAT, name, &shape)?;
        self.budget.take_values(name, count)?;
        let values = match optional(tensor, 6, "sparsity")? {
            Some(SubTable(sparsity)) => {
                sparse::decode(name, &shape, element, &sparsity, data, &self.budget)?
            }
            None => decode_exactly(FORMAT, name, &shape, element, data)?,
        };
        Ok(Some(WeightTensor { shape, values }))
    }

    fn named(&self) -> Result<Weights, WeightsError> {
        let hidden: HashSet<_> = self.behind.values().copied().collect();
        let mut named = Weights::new(Metadata::default());
        let mut total = 0_usize;
        for index in 0..self.tensors.len() {
            let index = i32::try_from(index).map_err(|_| malformed(FORMAT, "too many tensors"))?;
            if hidden.contains(&index) {
                continue;
            }
            if let Some(tensor) = self.value(index)? {
                total = total.saturating_add(tensor.values.len());
                if total > MAX_VALUES {
                    return Err(malformed(FORMAT, format!("more than {MAX_VALUES} values")));
                }
                insert_finite(
                    &mut named,
                    FORMAT,
                    self.name(index)?,
                    tensor.shape,
                    tensor.values,
                )?;
            }
        }
        Ok(named)
    }

    fn constant(&self, index: i32, what: &str) -> Result<WeightTensor, WeightsError> {
        let unsupported = |name| WeightsError::Unsupported {
            format: FORMAT,
            what: format!("{what} `{name}` that is not a float constant"),
        };
        match self.value(index)? {
            Some(tensor) => Ok(tensor),
            None => Err(unsupported(self.name(index)?)),
        }
    }

    fn bias(
        &self,
        operator: &Operator,
        outputs: usize,
    ) -> Result<Option<WeightTensor>, WeightsError> {
        let Some(&index) = operator.inputs.get(2).filter(|&&index| index >= 0) else {
            return Ok(None);
        };
        let bias = self.constant(index, "bias")?;
        if bias.shape != [outputs] {
            let name = self.name(index)?.to_owned();
            return Err(WeightsError::Shape {
                name,
                expected: vec![outputs],
                got: bias.shape,
            });
        }
        Ok(Some(bias))
    }

    fn convolution(&self, operator: &Operator) -> Result<GraphConvolution, WeightsError> {
        let Some(&index) = operator.inputs.get(1) else {
            return Err(malformed(FORMAT, "convolution without a kernel"));
        };
        let name = self.name(index)?.to_owned();
        let kernel = self.constant(index, "kernel")?;
        let &[first, height, width, last] = kernel.shape.as_slice() else {
            return Err(malformed(
                FORMAT,
                format!(
                    "kernel `{name}` has {} axes, expected 4",
                    kernel.shape.len()
                ),
            ));
        };
        if kernel.values.is_empty() {
            return Err(malformed(FORMAT, format!("kernel `{name}` has no values")));
        }
        let depthwise = operator.code == DEPTHWISE_CONV_2D;
        let dilation_fields = if depthwise { [5, 6] } else { [4, 5] };
        for field in dilation_fields {
            if operator.option(field, "dilation", 1)? != 1 {
                let what = format!("dilation of convolution `{name}`");
                return Err(WeightsError::Unsupported {
                    format: FORMAT,
                    what,
                });
            }
        }
        // tflite stores the horizontal stride first.
        let mut strides = [0; 2];
        for (stride, field) in strides.iter_mut().zip([2, 1]) {
            let value = operator.option(field, "stride", 0)?;
            *stride = usize::try_from(value)
                .ok()
                .filter(|&value| value > 0)
                .ok_or_else(|| {
                    malformed(FORMAT, format!("convolution `{name}` has stride {value}"))
                })?;
        }
        if depthwise && first != 1 {
            return Err(WeightsError::Shape {
                name,
                expected: vec![1, height, width, last],
                got: kernel.shape,
            });
        }
        let (shape, groups) = if depthwise {
            let multiplier = operator.option(3, "depth_multiplier", 1)?;
            let channels = usize::try_from(multiplier)
                .ok()
                .and_then(|multiplier| last.checked_div(multiplier));
            let groups = channels.filter(|&channels| channels > 0).ok_or_else(|| {
                malformed(
                    FORMAT,
                    format!("convolution `{name}` has depth multiplier {multiplier}"),
                )
            })?;
            (vec![last, 1, height, width], groups)
        } else {
            (vec![first, last, height, width], 1)
        };
        let values = oihw_from_ohwi(&kernel.values, [first, height, width, last]);
        let bias = self.bias(operator, shape[0])?;
        Ok(GraphConvolution {
            name,
            weight: WeightTensor { shape, values },
            bias,
            groups,
            strides,
        })
    }

    fn dense(
        &self,
        operator: &Operator,
    ) -> Result<(WeightTensor, Option<WeightTensor>), WeightsError> {
        let Some(&index) = operator.inputs.get(1) else {
            return Err(malformed(FORMAT, "dense operator without a weight"));
        };
        let weight = self.constant(index, "weight")?;
        let &[outputs, _] = weight.shape.as_slice() else {
            let name = self.name(index)?;
            return Err(malformed(
                FORMAT,
                format!(
                    "weight `{name}` has {} axes, expected 2",
                    weight.shape.len()
                ),
            ));
        };
        let bias = self.bias(operator, outputs)?;
        Ok((weight, bias))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;
    use zip::write::SimpleFileOptions;

    use super::*;

    const SMALL: &[u8] = include_bytes!("../../../tests/goldens/weights/small.tflite");

    /// The fixture with one run of bytes, which must be in it once, replaced.
    fn patched(from: &[u8], to: &[u8]) -> Vec<u8> {
        let places: Vec<_> = (0..SMALL.len() - from.len())
            .filter(|&at| SMALL[at..].starts_with(from))
            .collect();
        let [place] = places.as_slice() else {
            panic!("{} places", places.len())
        };
        let mut bytes = SMALL.to_vec();
        bytes[*place..*place + to.len()].copy_from_slice(to);
        bytes
    }

    fn numbers(values: &[i32]) -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }

    fn refusal(bytes: &[u8]) -> String {
        read_graph(bytes).expect_err("must be refused").to_string()
    }

    #[test]
    fn constants_go_by_the_names_that_operators_consume() {
        let graph = read_graph(SMALL).expect("valid model");
        let names: Vec<_> = graph.named.iter().map(|(name, _)| name).collect();
        let expected = [
            "dense/bias_dequantize",
            "dense/weight",
            "depthwise/kernel_dequantize",
            "stem/bias",
            "stem/kernel_dequantize",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn convolutions_come_in_execution_order_with_their_axes_turned() {
        let graph = read_graph(SMALL).expect("valid model");
        let [stem, depthwise] = graph.convolutions.as_slice() else {
            panic!("two convolutions")
        };
        assert_eq!(
            (stem.name.as_str(), stem.groups, stem.strides),
            ("stem/kernel_dequantize", 1, [2, 1])
        );
        // [out, height, width, in] = [2, 1, 2, 3] counts up; [out, in, height, width] is asked for.
        assert_eq!(stem.weight.shape, [2, 3, 1, 2]);
        assert_eq!(
            stem.weight.values,
            [0.0, 3.0, 1.0, 4.0, 2.0, 5.0, 6.0, 9.0, 7.0, 10.0, 8.0, 11.0]
        );
        assert_eq!(
            stem.bias,
            Some(WeightTensor {
                shape: vec![2],
                values: vec![0.5, -0.5]
            })
        );
        assert_eq!(
            (depthwise.groups, depthwise.strides, &depthwise.bias),
            (2, [1, 1], &None)
        );
        assert_eq!(depthwise.weight.shape, [2, 1, 3, 1]);
        assert_eq!(depthwise.weight.values, [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
        let (weight, bias) = graph.classifier.expect("a dense operator");
        assert_eq!(weight.shape, [3, 2]);
        assert_eq!(bias.expect("three values").values, [1.0, 2.0, 3.0]);
    }

    /// Tables of a model, back to front as flatbuffers are written.
    struct Writer(Vec<u8>);

    impl Writer {
        /// Adds what must be read on a border of four bytes, and gives its place.
        fn put(&mut self, bytes: &[u8]) -> usize {
            self.0.resize(self.0.len().next_multiple_of(4), 0);
            let place = self.0.len();
            self.0.extend(bytes);
            place
        }

        fn set(&mut self, at: usize, to: usize) {
            let distance = u32::try_from(to - at).expect("a small file");
            self.0[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        }

        fn vector(&mut self, items: &[i32]) -> usize {
            let length = i32::try_from(items.len()).expect("short");
            self.put(&numbers(&[&[length], items].concat()))
        }

        /// A table of 32-bit fields, `None` for one that is left out; those that point somewhere are set afterwards.
        fn table(&mut self, fields: &[Option<i32>]) -> (usize, Vec<usize>) {
            let mut offsets = Vec::new();
            let mut size = 4_u16;
            for field in fields {
                offsets.push(if field.is_some() { size } else { 0 });
                size += if field.is_some() { 4 } else { 0 };
            }
            let vtable_size = u16::try_from(4 + 2 * fields.len()).expect("few");
            let mut vtable = vec![vtable_size, size];
            vtable.extend(&offsets);
            let bytes: Vec<u8> = vtable.iter().flat_map(|it| it.to_le_bytes()).collect();
            let vtable = self.put(&bytes);
            let distance = |table: usize| i32::try_from(table - vtable).expect("near");
            let table = self.0.len().next_multiple_of(4);
            let values: Vec<i32> = fields.iter().flatten().copied().collect();
            self.put(&numbers(&[&[distance(table)], values.as_slice()].concat()));
            let places = offsets.iter().map(|offset| table + usize::from(*offset));
            (table, places.collect())
        }

        /// A vector that points to one table again and again.
        fn repeated(&mut self, count: usize) -> usize {
            self.vector(&vec![0; count])
        }

        fn point(&mut self, vector: usize, tables: &[usize], count: usize) {
            for index in 0..count {
                self.set(vector + 4 + 4 * index, tables[index.min(tables.len() - 1)]);
            }
        }
    }

    /// A model in which `operators` convolutions share one kernel of `side * side` values, or one vector of inputs.
    fn sharing(operators: usize, side: usize, inputs: &[i32]) -> Vec<u8> {
        let mut file = Writer(b"\0\0\0\0TFL3".to_vec());
        let (root, of_root) = file.table(&[Some(3), Some(0), Some(0), None, Some(0)]);
        file.set(0, root);
        let codes = file.repeated(1);
        file.set(of_root[1], codes);
        let (code, _) = file.table(&[None, None, None, Some(CONV_2D)]);
        file.point(codes, &[code], 1);
        let graphs = file.repeated(1);
        file.set(of_root[2], graphs);
        let (graph, of_graph) = file.table(&[Some(0), None, None, Some(0)]);
        file.point(graphs, &[graph], 1);
        let buffers = file.repeated(2);
        file.set(of_root[4], buffers);
        let (nothing, _) = file.table(&[]);
        let (full, of_full) = file.table(&[Some(0)]);
        file.point(buffers, &[nothing, full], 2);
        let bytes = side * side * 4;
        let data = file.vector(&[i32::try_from(bytes).expect("small")]);
        // The length alone: the bytes follow it.
        file.0.truncate(data);
        file.put(&numbers(&[i32::try_from(bytes).expect("small")]));
        file.put(&vec![0; bytes]);
        file.set(of_full[0], data);
        let tensors = file.repeated(2);
        file.set(of_graph[0], tensors);
        let side = i32::try_from(side).expect("small");
        let (first, of_first) = file.table(&[Some(0), None, Some(0)]);
        // Offsets lead forward only.
        let shape = file.vector(&[side, 1, 1, side]);
        file.set(of_first[0], shape);
        let (second, of_second) = file.table(&[Some(0), None, Some(1)]);
        file.point(tensors, &[first, second], 2);
        let shape = file.vector(&[side, 1, 1, side]);
        file.set(of_second[0], shape);
        let all = file.repeated(operators);
        file.set(of_graph[3], all);
        let (operator, of_operator) = file.table(&[Some(0), Some(0), None, None, Some(0)]);
        file.point(all, &[operator], operators);
        let vector = file.vector(inputs);
        file.set(of_operator[1], vector);
        let (options, _) = file.table(&[None, Some(1), Some(1)]);
        file.set(of_operator[4], options);
        file.0
    }

    #[test]
    fn operators_that_share_a_kernel_cannot_fill_the_memory() {
        let few = read_graph(&sharing(3, 64, &[0, 1])).expect("three copies are little");
        assert_eq!(few.convolutions.len(), 3);
        // 5,000 of them would be 80 MB, of a file of 36 kB.
        let text = refusal(&sharing(5_000, 64, &[0, 1]));
        assert!(
            text.contains("bytes of memory, the most for its size"),
            "{text}"
        );
    }

    #[test]
    fn only_the_first_inputs_of_an_operator_are_kept() {
        let many = vec![1; 100_000];
        let bytes = sharing(1_000, 2, &many);
        let root = SliceWithStartOffset {
            buffer: &bytes,
            offset_from_start: 0,
        };
        let root = Table::from_buffer(root, 0).expect("valid");
        let graphs: Tables = required(&root, 2, "subgraphs").expect("valid");
        let operators: Tables = required(&graphs.0[0], 3, "operators").expect("valid");
        let codes: Tables = required(&root, 1, "operator_codes").expect("valid");
        let operator = Operator::read(&operators.0[999], &codes.0).expect("valid");
        assert_eq!(operator.inputs, [1; 3]);
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(
            refusal(b""),
            "tflite file is malformed: no identifier `TFL3` at byte 4"
        );
        assert_eq!(
            refusal(&patched(b"TFL3", b"TFL9")),
            "tflite file is malformed: no identifier `TFL3` at byte 4"
        );
    }

    #[test]
    fn every_truncation_of_the_data_is_refused_or_harmless() {
        let whole = read_graph(SMALL).expect("valid model");
        for length in 0..SMALL.len() {
            if let Ok(graph) = read_graph(&SMALL[..length]) {
                assert_eq!(graph, whole, "{length} bytes");
            }
        }
    }

    #[test]
    fn misshapen_constants_are_refused() {
        assert_eq!(
            refusal(&patched(&numbers(&[2, 3, 2]), &numbers(&[2, 3, 3]))),
            "tflite file is malformed: weight `dense/weight` of shape [3, 3] has 24 bytes, expected 36"
        );
        assert_eq!(
            refusal(&patched(&numbers(&[2, 3, 2]), &numbers(&[2, 2, 3]))),
            "weight `dense/bias_dequantize` has shape [3], expected [2]"
        );
        assert_eq!(
            refusal(&patched(&numbers(&[2, 3, 2]), &numbers(&[2, -3, 2]))),
            "tflite file is malformed: weight `dense/weight` has axis -3"
        );
    }

    #[test]
    fn constants_that_are_not_finite_are_refused() {
        let bias = [0.5_f32.to_le_bytes(), (-0.5_f32).to_le_bytes()].concat();
        assert_eq!(
            refusal(&patched(&bias, &f32::NAN.to_le_bytes())),
            "tflite file is malformed: weight `stem/bias` is not finite at index 0"
        );
    }

    fn archive(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file(name, SimpleFileOptions::default())
            .expect("in memory");
        zip.write_all(bytes).expect("in memory");
        zip.finish().expect("in memory").into_inner()
    }

    #[test]
    fn members_of_an_archive_are_read_by_name() {
        let task = archive("small.tflite", SMALL);
        assert_eq!(
            read_task_member(&task, "small.tflite").expect("there"),
            SMALL
        );
        assert_eq!(
            read_task_member(&task, "large.tflite")
                .expect_err("not there")
                .to_string(),
            "task file is malformed: no member `large.tflite` (there are `small.tflite`)"
        );
        let text = read_task_member(&task[..100], "small.tflite")
            .expect_err("truncated")
            .to_string();
        assert!(text.starts_with("task file is malformed: "), "{text}");
    }

    #[test]
    fn members_that_unpack_to_too_much_are_refused() {
        let bomb = archive("a", &[0; 100_000]);
        assert!(bomb.len() < 1000);
        assert_eq!(
            member_within(&bomb, "a", 1000)
                .expect_err("too large")
                .to_string(),
            "task file is malformed: member `a` is larger than 1000 bytes"
        );
    }

    proptest! {
        #[test]
        fn damaged_models_never_panic(
            cut in 0_usize..2000,
            flips in prop::collection::vec((0_usize..2000, any::<u8>()), 0..8),
        ) {
            let mut bytes = SMALL.to_vec();
            for (index, mask) in flips {
                let index = index % bytes.len();
                bytes[index] ^= mask;
            }
            bytes.truncate(cut);
            let _ = read_graph(&bytes);
        }

        #[test]
        fn damaged_archives_never_panic(
            cut in 0_usize..2000,
            flips in prop::collection::vec((0_usize..2000, any::<u8>()), 0..8),
        ) {
            let mut bytes = archive("small.tflite", SMALL);
            for (index, mask) in flips {
                let index = index % bytes.len();
                bytes[index] ^= mask;
            }
            bytes.truncate(cut);
            let _ = member_within(&bytes, "small.tflite", 10_000);
        }
    }
}
