//! The parameters and running statistics of any network, as a table of named values.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId},
    tensor::{Tensor, TensorData},
};

use affectlens::weights::{Weights, WeightsError};

/// Name of each parameter and running statistic: its path through the network's fields.
pub(crate) fn parameters<N: Module>(network: &N) -> Vec<(String, ParamId)> {
    let mut names = Names::default();
    network.visit(&mut names);
    names.found
}

/// All values under the names of [`parameters`].
///
/// Running statistics are those of the last [`Module::valid`].
pub(crate) fn read<N: Module>(network: &N) -> Weights {
    let mut reader = Reader::default();
    network.visit(&mut reader);
    reader.table
}

/// The network with the values that [`read`] gave, on the devices where it is.
///
/// # Errors
///
/// [`WeightsError`] if a value is missing or has another shape.
pub(crate) fn write<N: Module>(network: N, table: &Weights) -> Result<N, WeightsError> {
    let mut writer = Writer {
        path: Vec::new(),
        table,
        error: None,
    };
    let network = network.map(&mut writer);
    match writer.error {
        None => Ok(network),
        Some(error) => Err(error),
    }
}

/// Values of a tensor in row-major order.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .into_data()
        .convert::<f32>()
        .try_into_vec()
        .expect("just converted to f32")
}

#[derive(Default)]
struct Names {
    path: Vec<String>,
    found: Vec<(String, ParamId)>,
}

impl ModuleVisitor for Names {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.found.push((self.path.join("."), parameter.id));
    }
}

#[derive(Default)]
struct Reader {
    path: Vec<String>,
    table: Weights,
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let tensor = parameter.val();
        let shape = tensor.dims().to_vec();
        self.table
            .insert(self.path.join("."), shape, values(tensor))
            .expect("the shape is the tensor's own");
    }
}

struct Writer<'a> {
    path: Vec<String>,
    table: &'a Weights,
    error: Option<WeightsError>,
}

impl ModuleMapper for Writer<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = parameter.consume();
        let shape = tensor.dims();
        let tensor = match self.table.values(&self.path.join("."), &shape) {
            Ok(values) => {
                let values = TensorData::new(values.to_vec(), shape);
                let is_trained = tensor.is_require_grad();
                Tensor::from_data(values, &tensor.device()).set_require_grad(is_trained)
            }
            Err(error) => {
                self.error.get_or_insert(error);
                tensor
            }
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

#[cfg(test)]
mod tests {
    use affectlens::head::{ActionUnitsConfig, MlpConfig};
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn values_go_from_one_network_to_another_with_their_running_statistics() {
        let device = Device::flex().autodiff();
        let config = ActionUnitsConfig {
            embedding: 3,
            hidden: 4,
            logits: 2,
            units: 5,
        };
        let trained = config.init(1, &device);
        let rows = Tensor::<2>::from_data([[1.0, 2.0, 3.0], [0.5, -1.0, 4.0]], &device);
        let mask = Tensor::ones([2, 4], &device);
        let _ = trained.embedding.forward_training(rows, mask);
        let expected = trained.valid().to_weights();

        let table = read(&trained);
        let other = write(config.init(2, &device), &table).expect("fits");
        assert_eq!(other.valid().to_weights(), expected);
        assert_eq!(read(&other), table);
        let mean = table.get("embedding.bn1.running_mean").expect("is there");
        assert!(mean.values.iter().all(|value| *value != 0.0));
        assert_eq!(parameters(&other).len(), table.iter().count());
    }

    #[test]
    fn values_of_another_network_are_refused() {
        let device = Device::flex();
        let network = |hidden| {
            let config = MlpConfig {
                inputs: 2,
                hidden,
                classes: 2,
            };
            config.init(0, &device)
        };
        let table = read(&network(3));
        let error = write(network(4), &table).expect_err("another width");
        assert!(error.to_string().contains("has shape"), "{error}");
        let error = write(network(3), &Weights::default()).expect_err("nothing there");
        assert!(error.to_string().contains("is missing"), "{error}");
    }
}
