//! Products of small matrices of networks that run on the CPU.

use burn::tensor::{Tensor, TensorData};

/// Matrices of the last two axes multiplied; a batch of one matrix goes with every one of the other side.
///
/// Natively this is Burn's product, which carries gradients. In wasm, which does not train, the host multiplies: Burn's
/// products would link their kernels for GPUs too, and with them their compiler, half of what a browser would have to
/// load.
///
/// # Panics
///
/// If the shapes do not fit.
pub(crate) fn product<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
    if cfg!(not(target_family = "wasm")) {
        return left.matmul(right);
    }
    let (mut shape, others, device) = (left.dims(), right.dims(), left.device());
    let [rows, inner, columns] = [shape[D - 2], shape[D - 1], others[D - 1]];
    assert_eq!(
        inner,
        others[D - 2],
        "columns of the left, rows of the right"
    );
    for (axis, other) in shape.iter_mut().zip(others).take(D - 2) {
        *axis = (*axis).max(other);
    }
    shape[D - 1] = columns;
    let [left, right] =
        [left, right].map(|it| it.into_data().try_to_vec::<f32>().expect("32-bit floats"));
    let values = multiply(
        &left,
        &right,
        [rows, inner, columns],
        shape.iter().product(),
    );
    Tensor::from_data(TensorData::new(values, shape), &device)
}

/// `count` values of row-major products; where one side has fewer matrices, they are taken again from the first.
fn multiply(
    left: &[f32],
    right: &[f32],
    [rows, inner, columns]: [usize; 3],
    count: usize,
) -> Vec<f32> {
    let mut products = vec![0.0; count];
    if count == 0 || inner == 0 {
        return products;
    }
    let lefts = left.chunks_exact(rows * inner).cycle();
    let rights = right.chunks_exact(inner * columns).cycle();
    let sides = lefts.zip(rights);
    for (product, (left, right)) in products.chunks_exact_mut(rows * columns).zip(sides) {
        for (sums, row) in product
            .chunks_exact_mut(columns)
            .zip(left.chunks_exact(inner))
        {
            for (factor, values) in row.iter().zip(right.chunks_exact(columns)) {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += factor * value;
                }
            }
        }
    }
    products
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn host_products_are_those_of_burn() {
        let numbers = |count: usize, step: usize| -> Vec<f32> {
            (0..count)
                .map(|at| ((at * step) % 17) as f32 / 8.0 - 1.0)
                .collect()
        };
        let device = Device::flex();
        for (lefts, rights, [rows, inner, columns]) in
            [(3, 3, [4, 5, 6]), (1, 3, [2, 7, 1]), (3, 1, [1, 1, 9])]
        {
            let (left, right) = (
                numbers(lefts * rows * inner, 5),
                numbers(rights * inner * columns, 7),
            );
            let got = multiply(&left, &right, [rows, inner, columns], 3 * rows * columns);
            let left = Tensor::<3>::from_data(TensorData::new(left, [lefts, rows, inner]), &device);
            let right =
                Tensor::<3>::from_data(TensorData::new(right, [rights, inner, columns]), &device);
            let expected = left
                .expand([3, rows, inner])
                .matmul(right.expand([3, inner, columns]));
            for (got, expected) in got.iter().zip(expected.into_data().iter::<f32>()) {
                assert!((got - expected).abs() < 1e-5, "{got}, expected {expected}");
            }
        }
        assert!(multiply(&[], &[], [0, 2, 3], 0).is_empty());
    }
}
