use std::path::Path;

use memory_core::ErrorKind;
use safetensors::tensor::Dtype;
use serde_json::json;

use crate::files::{Tensor, WORDS, floats, safetensors, survive_damage, tokenizer, write, write_json};

/// One vector in two dimensions a word.
const ROWS: [f32; 16] = [9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 3.0, 0.0, 0.0, 4.0, -1.0, 0.0, 0.0, -1.0];

fn model2vec(folder: &Path, tensors: &[Tensor]) {
    write_json(folder, "config.json", &json!({ "model_type": "model2vec", "normalize": true }));
    write_json(folder, "tokenizer.json", &tokenizer(false));
    write(folder, "model.safetensors", &safetensors(tensors));
}

async fn embed(folder: &Path, text: &str) -> Vec<f32> {
    memory_embed::load(folder).unwrap().embed(&[text.to_owned()]).await.unwrap().remove(0)
}

fn close(one: &[f32], other: &[f32]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| (one - other).abs() < 1e-6)
}

#[tokio::test]
async fn a_text_has_the_mean_of_its_tokens() {
    let folder = tempfile::tempdir().unwrap();
    model2vec(folder.path(), &[floats("embeddings", &[8, 2], &ROWS)]);
    let model = memory_embed::load(folder.path()).unwrap();
    assert_eq!(model.dimensions(), 2);
    let texts = ["reset", "Reset PASSWORD", "password unheard", "", "unheard", "reset book book book"];
    let vectors = model.embed(&texts.map(str::to_owned)).await.unwrap();
    let expected = [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]];
    for (text, (vector, expected)) in texts.iter().zip(vectors.iter().zip(expected)) {
        assert!(close(vector, &expected), "{text:?}: {vector:?}, expected {expected:?}");
    }
}

#[tokio::test]
async fn tokens_share_rows_and_have_weights() {
    let folder = tempfile::tempdir().unwrap();
    let mapping: [i64; 8] = [0, 0, 0, 0, 1, 1, 0, 0];
    let mapping = Tensor {
        name: "mapping".to_owned(),
        shape: vec![8],
        dtype: Dtype::I64,
        bytes: mapping.iter().flat_map(|row| row.to_le_bytes()).collect(),
    };
    let rows = floats("embeddings", &[2, 2], &[1.0, 0.0, 0.0, 1.0]);
    let weights = floats("weights", &[8], &[0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 3.0, 0.0]);
    model2vec(folder.path(), &[rows, mapping, weights]);
    assert!(close(&embed(folder.path(), "reset password book").await, &[0.6, 0.8]));
}

#[tokio::test]
async fn reads_half_precision_and_the_layout_of_wordllama() {
    let folder = tempfile::tempdir().unwrap();
    let halves = |value: f32| match value {
        3.0 => 0x4200_u16,
        4.0 => 0x4400,
        -1.0 => 0xbc00,
        9.0 => 0x4880,
        _ => 0,
    };
    let table = Tensor {
        name: "embedding.weight".to_owned(),
        shape: vec![8, 2],
        dtype: Dtype::F16,
        bytes: ROWS.iter().flat_map(|value| halves(*value).to_le_bytes()).collect(),
    };
    write(folder.path(), "weights/l2_supercat_256.safetensors", &safetensors(&[table]));
    write_json(folder.path(), "tokenizers/l2_supercat_tokenizer_config.json", &tokenizer(true));
    assert!(close(&embed(folder.path(), "reset password").await, &[0.6, 0.8]));
    write(folder.path(), "weights/another.safetensors", b"");
    let error = memory_embed::load(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("another.safetensors, l2_supercat_256.safetensors"), "{error}");
}

#[tokio::test]
async fn the_identity_changes_with_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let identity = || memory_embed::load(folder.path()).unwrap().model().to_owned();
    model2vec(folder.path(), &[floats("embeddings", &[8, 2], &ROWS)]);
    let first = identity();
    assert_eq!(first, identity());
    let mut rows = ROWS;
    rows[15] = -2.0;
    write(folder.path(), "model.safetensors", &safetensors(&[floats("embeddings", &[8, 2], &rows)]));
    let second = identity();
    write_json(folder.path(), "tokenizer.json", &tokenizer(true));
    assert!(first != second && second != identity());
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let check = |kind: ErrorKind, part: &str| {
        let error = memory_embed::load(path).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(part), "{error} does not say {part:?}");
    };
    check(ErrorKind::InvalidInput, "config.json: the model has no such file");
    write_json(path, "config.json", &json!({ "model_type": "gpt2" }));
    check(ErrorKind::Unsupported, "\"gpt2\"");
    write_json(path, "config.json", &json!({ "model_type": "model2vec" }));
    check(ErrorKind::InvalidInput, "tokenizer.json: the model has no such file");
    write_json(path, "tokenizer.json", &json!({ "version": "1.0" }));
    check(ErrorKind::Corrupt, "tokenizer.json: it is no tokenizer");
    write_json(path, "tokenizer.json", &tokenizer(false));
    check(ErrorKind::InvalidInput, "model.safetensors: the model has no such file");
    write(path, "model.safetensors", &u64::MAX.to_le_bytes());
    check(ErrorKind::Corrupt, "model.safetensors: it is no safetensors file");
    let header = br#"{"embeddings":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#;
    let absurd: Vec<u8> =
        (header.len() as u64).to_le_bytes().iter().chain(header).chain(&[0; 4]).copied().collect();
    write(path, "model.safetensors", &absurd);
    check(ErrorKind::Corrupt, "model.safetensors: it is no safetensors file");
    write(path, "model.safetensors", &safetensors(&[floats("other", &[1], &[1.0])]));
    check(ErrorKind::Corrupt, "no tensor \"embeddings\"");
    write(path, "model.safetensors", &safetensors(&[floats("embeddings", &[16], &ROWS)]));
    check(ErrorKind::Corrupt, "expected a matrix");
    write(path, "model.safetensors", &safetensors(&[floats("embeddings", &[8, 2], &[f32::NAN; 16])]));
    check(ErrorKind::Corrupt, "not finite");
    let error = memory_embed::load(&path.join("nowhere")).unwrap_err();
    assert!(error.to_string().contains("nowhere is no folder"), "{error}");
}

#[tokio::test]
async fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    model2vec(folder.path(), &[floats("embeddings", &[WORDS.len(), 2], &ROWS)]);
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        survive_damage(folder.path(), name).await;
    }
    assert!(close(&embed(folder.path(), "reset").await, &[1.0, 0.0]));
}
