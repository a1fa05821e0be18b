//! The weights of a model, as `f32`.

use half::{bf16, f16};
use memory_core::{ErrorKind, Result};
use safetensors::{Dtype, SafeTensors};

use crate::folder::Folder;

/// The tensors of one safetensors file. Opening it checks the header against the length of the file, so that
/// nothing larger than the file is ever allocated for it.
pub(crate) struct Tensors<'a> {
    folder: &'a Folder,
    file: &'a str,
    tensors: SafeTensors<'a>,
}

/// Numbers with the shape they have.
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

impl<'a> Tensors<'a> {
    pub(crate) fn open(folder: &'a Folder, file: &'a str, bytes: &'a [u8]) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|error| folder.corrupt(file, "it is no safetensors file").with_source(error))?;
        Ok(Self { folder, file, tensors })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    /// Returns a tensor of any shape.
    pub(crate) fn tensor(&self, name: &str) -> Result<Tensor> {
        let view = self.tensors.tensor(name).map_err(|error| {
            self.folder.corrupt(self.file, format!("it has no tensor {name:?}")).with_source(error)
        })?;
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => numbers(data, f32::from_le_bytes),
            Dtype::F16 => numbers(data, |bytes| f16::from_le_bytes(bytes).to_f32()),
            Dtype::BF16 => numbers(data, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            Dtype::F64 => numbers(data, |bytes| f64::from_le_bytes(bytes) as f32),
            Dtype::I8 => numbers(data, |bytes| f32::from(i8::from_le_bytes(bytes))),
            other => {
                let problem = format!("tensor {name:?} has the type {other:?}");
                return Err(self
                    .folder
                    .error(ErrorKind::Unsupported, self.file, problem)
                    .with_hint("convert it to F32, F16 or BF16"));
            }
        };
        if values.iter().any(|value| !value.is_finite()) {
            return Err(self
                .folder
                .corrupt(self.file, format!("tensor {name:?} has values that are not finite")));
        }
        Ok(Tensor { shape: view.shape().to_vec(), values })
    }

    /// Returns a tensor that must have this shape.
    #[cfg(feature = "sentence-transformer")]
    pub(crate) fn shaped(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let tensor = self.tensor(name)?;
        if tensor.shape != shape {
            let problem = format!("tensor {name:?} has the shape {:?}, expected {shape:?}", tensor.shape);
            return Err(self.folder.corrupt(self.file, problem));
        }
        Ok(tensor.values)
    }

    /// Returns a matrix that has rows and columns: its rows, its columns and its values by row.
    #[cfg(feature = "static-embedding")]
    pub(crate) fn matrix(&self, name: &str) -> Result<(usize, usize, Vec<f32>)> {
        let tensor = self.tensor(name)?;
        match tensor.shape[..] {
            [rows, columns] if rows > 0 && columns > 0 => Ok((rows, columns, tensor.values)),
            _ => {
                let problem = format!("tensor {name:?} has the shape {:?}, expected a matrix", tensor.shape);
                Err(self.folder.corrupt(self.file, problem))
            }
        }
    }

    /// Returns a vector of whole numbers.
    #[cfg(feature = "static-embedding")]
    pub(crate) fn indices(&self, name: &str) -> Result<Vec<i64>> {
        let wrong = |problem: String| self.folder.corrupt(self.file, format!("tensor {name:?} {problem}"));
        let view = self.tensors.tensor(name).map_err(|_| wrong("is missing".to_owned()))?;
        let data = view.data();
        match view.dtype() {
            Dtype::I64 => Ok(numbers(data, i64::from_le_bytes)),
            Dtype::I32 => Ok(numbers(data, |bytes| i64::from(i32::from_le_bytes(bytes)))),
            other => Err(wrong(format!("has the type {other:?}, expected I32 or I64"))),
        }
    }
}

fn numbers<const N: usize, T>(data: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}
