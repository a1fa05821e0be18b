//! Small models, written as files.

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::{Value, json};

/// The words that the models know; their numbers are their places.
pub(crate) const WORDS: [&str; 8] =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "reset", "password", "book", "flight"];

/// A tensor in a file to be.
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) dtype: Dtype,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn floats(name: &str, shape: &[usize], values: &[f32]) -> Tensor {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor { name: name.to_owned(), shape: shape.to_vec(), dtype: Dtype::F32, bytes }
}

pub(crate) fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let views = tensors.iter().map(|tensor| {
        let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes).unwrap();
        (tensor.name.clone(), view)
    });
    serialize(views, None).unwrap()
}

/// A tokenizer of whole words.
pub(crate) fn tokenizer(special: bool) -> Value {
    let vocabulary: serde_json::Map<String, Value> =
        WORDS.iter().enumerate().map(|(id, word)| ((*word).to_owned(), json!(id))).collect();
    let template = json!({
        "type": "TemplateProcessing",
        "single": [
            { "SpecialToken": { "id": "[CLS]", "type_id": 0 } },
            { "Sequence": { "id": "A", "type_id": 0 } },
            { "SpecialToken": { "id": "[SEP]", "type_id": 0 } },
        ],
        "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 0 } }],
        "special_tokens": {
            "[CLS]": { "id": "[CLS]", "ids": [2], "tokens": ["[CLS]"] },
            "[SEP]": { "id": "[SEP]", "ids": [3], "tokens": ["[SEP]"] },
        },
    });
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": { "type": "Lowercase" },
        "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": if special { template } else { Value::Null },
        "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]" },
    })
}

pub(crate) fn write_json(folder: &Path, name: &str, value: &Value) {
    write(folder, name, value.to_string().as_bytes());
}

pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Checks that no damage to a file makes loading or using the model do worse than fail.
pub(crate) async fn survive_damage(folder: &Path, name: &str) {
    let whole = std::fs::read(folder.join(name)).unwrap();
    let mut cases: Vec<Vec<u8>> = (0..whole.len().min(400)).map(|length| whole[..length].to_vec()).collect();
    cases.push(whole[..whole.len() - 1].to_vec());
    for place in (0..whole.len()).step_by(whole.len().div_ceil(300)) {
        for flip in [1, 0x10, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[place] ^= flip;
            cases.push(bytes);
        }
    }
    for bytes in cases {
        write(folder, name, &bytes);
        if let Ok(model) = memory_embed::load(folder)
            && let Ok(vectors) = model.embed(&["Reset password".to_owned()]).await
        {
            assert!(vectors[0].iter().all(|component| component.is_finite()));
        }
    }
    write(folder, name, &whole);
}
