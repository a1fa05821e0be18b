//! The forward pass of a BERT encoder.
//!
//! The tokens of all texts of a batch stand below each other in one matrix, without padding: dense layers multiply it
//! as a whole, and only attention goes text by text.

use memory_core::{Error, ErrorKind, Result, Retry};
use ndarray::{Array1, Array2, ArrayView2, Axis, Slice};
use serde::Deserialize;

use crate::folder::Folder;
use crate::tensors::Tensors;

const CONFIG: &str = "config.json";
/// Bounds the work for a forged configuration; large models have 24 layers.
const MAX_LAYERS: usize = 96;

/// What `config.json` says that the weights do not.
#[derive(Deserialize)]
pub(super) struct BertConfig {
    hidden_size: usize,
    intermediate_size: usize,
    num_attention_heads: usize,
    num_hidden_layers: usize,
    pub(super) max_position_embeddings: usize,
    type_vocab_size: usize,
    vocab_size: usize,
    layer_norm_eps: f32,
    hidden_act: String,
    position_embedding_type: Option<String>,
}

impl BertConfig {
    /// Checks what the shapes of the weights cannot show.
    pub(super) fn check(&self, folder: &Folder) -> Result<()> {
        let unsupported = |problem: String| Err(folder.error(ErrorKind::Unsupported, CONFIG, problem));
        if !["gelu", "gelu_python"].contains(&&*self.hidden_act) {
            return unsupported(format!("the activation {:?} is not known", self.hidden_act));
        }
        if let Some(kind) = self.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
            return unsupported(format!("position embeddings of type {kind:?} are not known"));
        }
        if self.num_attention_heads == 0 || !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(folder.corrupt(CONFIG, "hidden_size is no multiple of num_attention_heads"));
        }
        if self.num_hidden_layers > MAX_LAYERS {
            return unsupported(format!(
                "{} layers are more than the limit of {MAX_LAYERS}",
                self.num_hidden_layers
            ));
        }
        if !(self.layer_norm_eps.is_finite() && self.layer_norm_eps >= 0.0) {
            return Err(folder.corrupt(CONFIG, "layer_norm_eps is no small positive number"));
        }
        Ok(())
    }
}

/// The encoder with its weights.
pub(super) struct Bert {
    words: Array2<f32>,
    /// With the embedding of token type 0 added.
    positions: Array2<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    heads: usize,
}

struct Layer {
    query: Dense,
    key: Dense,
    value: Dense,
    attention: Dense,
    attention_norm: Norm,
    up: Dense,
    down: Dense,
    norm: Norm,
}

struct Dense {
    /// Outputs by inputs, as the file has it.
    weight: Array2<f32>,
    bias: Array1<f32>,
}

struct Norm {
    weight: Array1<f32>,
    bias: Array1<f32>,
    epsilon: f32,
}

/// Reads weights by their names, with the prefix that some files have.
struct Reader<'a> {
    tensors: &'a Tensors<'a>,
    prefix: &'static str,
    epsilon: f32,
}

impl Reader<'_> {
    fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Array2<f32>> {
        let values = self.tensors.shaped(&format!("{}{name}", self.prefix), &[rows, columns])?;
        Array2::from_shape_vec((rows, columns), values).map_err(|error| {
            Error::new(ErrorKind::Corrupt, "load an embedding model", name).with_source(error)
        })
    }

    fn vector(&self, name: &str, length: usize) -> Result<Array1<f32>> {
        Ok(Array1::from_vec(self.tensors.shaped(&format!("{}{name}", self.prefix), &[length])?))
    }

    fn dense(&self, name: &str, inputs: usize, outputs: usize) -> Result<Dense> {
        Ok(Dense {
            weight: self.matrix(&format!("{name}.weight"), outputs, inputs)?,
            bias: self.vector(&format!("{name}.bias"), outputs)?,
        })
    }

    fn norm(&self, name: &str, length: usize) -> Result<Norm> {
        Ok(Norm {
            weight: self.vector(&format!("{name}.weight"), length)?,
            bias: self.vector(&format!("{name}.bias"), length)?,
            epsilon: self.epsilon,
        })
    }

    fn layer(&self, number: usize, hidden: usize, intermediate: usize) -> Result<Layer> {
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        Ok(Layer {
            query: self.dense(&name("attention.self.query"), hidden, hidden)?,
            key: self.dense(&name("attention.self.key"), hidden, hidden)?,
            value: self.dense(&name("attention.self.value"), hidden, hidden)?,
            attention: self.dense(&name("attention.output.dense"), hidden, hidden)?,
            attention_norm: self.norm(&name("attention.output.LayerNorm"), hidden)?,
            up: self.dense(&name("intermediate.dense"), hidden, intermediate)?,
            down: self.dense(&name("output.dense"), intermediate, hidden)?,
            norm: self.norm(&name("output.LayerNorm"), hidden)?,
        })
    }
}

impl Bert {
    /// Reads the weights, each of which must have the shape that the configuration says.
    pub(super) fn new(config: &BertConfig, tensors: &Tensors<'_>) -> Result<Self> {
        const WORDS: &str = "embeddings.word_embeddings.weight";
        let prefix = if tensors.has(&format!("bert.{WORDS}")) { "bert." } else { "" };
        let reader = Reader { tensors, prefix, epsilon: config.layer_norm_eps };
        let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
        let mut positions =
            reader.matrix("embeddings.position_embeddings.weight", config.max_position_embeddings, hidden)?;
        let types =
            reader.matrix("embeddings.token_type_embeddings.weight", config.type_vocab_size, hidden)?;
        // A text alone is all of type 0.
        if let Some(first) = types.rows().into_iter().next() {
            positions += &first;
        }
        let layers = (0..config.num_hidden_layers).map(|number| reader.layer(number, hidden, intermediate));
        Ok(Self {
            words: reader.matrix(WORDS, config.vocab_size, hidden)?,
            positions,
            norm: reader.norm("embeddings.LayerNorm", hidden)?,
            layers: layers.collect::<Result<_>>()?,
            heads: config.num_attention_heads,
        })
    }

    /// Returns the length of each state.
    pub(super) fn hidden(&self) -> usize {
        self.words.ncols()
    }

    /// Returns the last state of each token, the tokens of all texts below each other.
    pub(super) fn encode(&self, texts: &[Vec<u32>]) -> Result<Array2<f32>> {
        let mut states = self.embed(texts)?;
        self.norm.apply(&mut states);
        for layer in &self.layers {
            let attended = layer.attention.apply(&self.attend(layer, &states, texts));
            states += &attended;
            layer.attention_norm.apply(&mut states);
            let mut inner = layer.up.apply(&states);
            inner.mapv_inplace(gelu);
            states += &layer.down.apply(&inner);
            layer.norm.apply(&mut states);
        }
        Ok(states)
    }

    fn embed(&self, texts: &[Vec<u32>]) -> Result<Array2<f32>> {
        let count = texts.iter().map(Vec::len).sum();
        let mut states = Array2::zeros((count, self.hidden()));
        let tokens = texts.iter().flat_map(|text| text.iter().enumerate());
        for (mut state, (position, token)) in states.rows_mut().into_iter().zip(tokens) {
            if *token as usize >= self.words.nrows() || position >= self.positions.nrows() {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "embed",
                    format!("the model has no token {token} at position {position}"),
                )
                .with_retry(Retry::Permanent)
                .with_hint("tokenizer.json and model.safetensors are of different models"));
            }
            state += &self.words.row(*token as usize);
            state += &self.positions.row(position);
        }
        Ok(states)
    }

    /// Lets the tokens of each text look at each other (Vaswani et al., "Attention is all you need", 2017).
    fn attend(&self, layer: &Layer, states: &Array2<f32>, texts: &[Vec<u32>]) -> Array2<f32> {
        let (queries, keys, values) =
            (layer.query.apply(states), layer.key.apply(states), layer.value.apply(states));
        let mut attended = Array2::zeros(states.dim());
        let width = self.hidden() / self.heads;
        let scale = (width as f32).sqrt().recip();
        let mut start = 0;
        for text in texts {
            let end = start + text.len();
            for head in 0..self.heads {
                let rows = Slice::from(start..end);
                let columns = Slice::from(head * width..(head + 1) * width);
                let mut scores = part(&queries, rows, columns).dot(&part(&keys, rows, columns).t());
                for scores in scores.rows_mut() {
                    softmax(scores, scale);
                }
                let mixed = scores.dot(&part(&values, rows, columns));
                attended.slice_axis_mut(Axis(0), rows).slice_axis_mut(Axis(1), columns).assign(&mixed);
            }
            start = end;
        }
        attended
    }
}

/// Returns some rows and columns of a matrix.
fn part(matrix: &Array2<f32>, rows: Slice, columns: Slice) -> ArrayView2<'_, f32> {
    let mut part = matrix.view();
    part.slice_axis_inplace(Axis(0), rows);
    part.slice_axis_inplace(Axis(1), columns);
    part
}

impl Dense {
    fn apply(&self, states: &Array2<f32>) -> Array2<f32> {
        let weight: ArrayView2<'_, f32> = self.weight.t();
        states.dot(&weight) + &self.bias
    }
}

impl Norm {
    /// Ba, Kiros, Hinton: "Layer normalization" (2016).
    fn apply(&self, states: &mut Array2<f32>) {
        for mut state in states.axis_iter_mut(Axis(0)) {
            let count = state.len() as f32;
            let mean = state.sum() / count;
            let variance = state.iter().map(|component| (component - mean).powi(2)).sum::<f32>() / count;
            let scale = (variance + self.epsilon).sqrt().recip();
            for ((component, weight), bias) in state.iter_mut().zip(&self.weight).zip(&self.bias) {
                *component = (*component - mean) * scale * weight + bias;
            }
        }
    }
}

/// Scales scores and turns them into shares of one; the largest is taken off so that no power overflows.
fn softmax(mut scores: ndarray::ArrayViewMut1<'_, f32>, scale: f32) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in &mut scores {
        *score = ((*score - largest) * scale).exp();
        sum += *score;
    }
    scores /= sum;
}

/// Hendrycks & Gimpel, "Gaussian error linear units" (2016), with the error function itself.
fn gelu(value: f32) -> f32 {
    0.5 * value * (1.0 + libm::erff(value * std::f32::consts::FRAC_1_SQRT_2))
}
