use std::path::Path;

use memory_core::ErrorKind;
use serde_json::{Value, json};

use crate::files::{Tensor, WORDS, floats, safetensors, survive_damage, tokenizer, write, write_json};

const HIDDEN: usize = 8;
const INNER: usize = 12;
const POSITIONS: usize = 10;

fn config() -> Value {
    json!({
        "model_type": "bert",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2,
        "vocab_size": WORDS.len(),
        "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
    })
}

/// The weights of one layer, all different and none large.
fn weights(prefix: &str) -> Vec<Tensor> {
    let mut tensors = Vec::new();
    let mut add = |name: &str, shape: &[usize]| {
        let seed = tensors.len() as f32;
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|place| ((place as f32 * 1.7 + seed) * 12.9).sin()).collect();
        tensors.push(floats(&format!("{prefix}{name}"), shape, &values));
    };
    add("embeddings.word_embeddings.weight", &[WORDS.len(), HIDDEN]);
    add("embeddings.position_embeddings.weight", &[POSITIONS, HIDDEN]);
    add("embeddings.token_type_embeddings.weight", &[2, HIDDEN]);
    for name in ["embeddings", "encoder.layer.0.attention.output", "encoder.layer.0.output"] {
        add(&format!("{name}.LayerNorm.weight"), &[HIDDEN]);
        add(&format!("{name}.LayerNorm.bias"), &[HIDDEN]);
    }
    let dense = [
        ("attention.self.query", HIDDEN, HIDDEN),
        ("attention.self.key", HIDDEN, HIDDEN),
        ("attention.self.value", HIDDEN, HIDDEN),
        ("attention.output.dense", HIDDEN, HIDDEN),
        ("intermediate.dense", INNER, HIDDEN),
        ("output.dense", HIDDEN, INNER),
    ];
    for (name, outputs, inputs) in dense {
        add(&format!("encoder.layer.0.{name}.weight"), &[outputs, inputs]);
        add(&format!("encoder.layer.0.{name}.bias"), &[outputs]);
    }
    tensors
}

fn model(folder: &Path) {
    write_json(folder, "config.json", &config());
    write_json(folder, "tokenizer.json", &tokenizer(true));
    write(folder, "model.safetensors", &safetensors(&weights("")));
}

async fn embed(folder: &Path, texts: &[&str]) -> Vec<Vec<f32>> {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    memory_embed::load(folder).unwrap().embed(&texts).await.unwrap()
}

fn close(one: &[f32], other: &[f32]) -> bool {
    one.iter().zip(other).all(|(one, other)| (one - other).abs() < 1e-5)
}

#[tokio::test]
async fn a_batch_gives_what_its_texts_give_alone() {
    let folder = tempfile::tempdir().unwrap();
    model(folder.path());
    let texts = ["reset password", "", "book flight book flight", "password reset", "unheard"];
    let together = embed(folder.path(), &texts).await;
    for (text, vector) in texts.iter().zip(&together) {
        let alone = embed(folder.path(), &[text]).await.remove(0);
        assert!(close(vector, &alone), "{text:?}: {vector:?} together, {alone:?} alone");
        assert!((vector.iter().map(|component| component * component).sum::<f32>() - 1.0).abs() < 1e-5);
    }
    assert!(!close(&together[0], &together[3]), "the order of words matters");
    // More tokens than one computation takes: batches are cut between texts.
    let many = vec!["book flight reset"; 700];
    let vectors = embed(folder.path(), &many).await;
    assert_eq!(vectors.len(), 700);
    assert!(vectors.iter().all(|vector| close(vector, &vectors[0])));
}

#[tokio::test]
async fn long_texts_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    model(folder.path());
    let cut = format!("{}flight", "book ".repeat(POSITIONS - 2));
    let vectors =
        embed(folder.path(), &[&cut, &"book ".repeat(POSITIONS - 2), &"book ".repeat(100_000)]).await;
    assert!(close(&vectors[0], &vectors[1]) && close(&vectors[0], &vectors[2]));
    write_json(folder.path(), "sentence_bert_config.json", &json!({ "max_seq_length": 3 }));
    let vectors = embed(folder.path(), &["book flight", "book"]).await;
    assert!(close(&vectors[0], &vectors[1]));
}

#[tokio::test]
async fn reads_weights_with_a_prefix_and_pools_as_configured() {
    let folder = tempfile::tempdir().unwrap();
    model(folder.path());
    let mean = embed(folder.path(), &["reset password"]).await;
    write(folder.path(), "model.safetensors", &safetensors(&weights("bert.")));
    assert_eq!(embed(folder.path(), &["reset password"]).await, mean);
    write_json(folder.path(), "1_Pooling/config.json", &json!({ "pooling_mode_cls_token": true }));
    assert!(!close(&embed(folder.path(), &["reset password"]).await[0], &mean[0]));
    write_json(folder.path(), "1_Pooling/config.json", &json!({ "pooling_mode_max_tokens": true }));
    assert_eq!(memory_embed::load(folder.path()).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn refuses_what_it_cannot_compute() {
    let folder = tempfile::tempdir().unwrap();
    model(folder.path());
    let check = |name: &str, value: Value, kind: ErrorKind, part: &str| {
        let mut config = config();
        config[name] = value;
        write_json(folder.path(), "config.json", &config);
        let error = memory_embed::load(folder.path()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(part), "{error} does not say {part:?}");
    };
    check("hidden_act", json!("relu"), ErrorKind::Unsupported, "\"relu\"");
    check("position_embedding_type", json!("relative_key"), ErrorKind::Unsupported, "relative_key");
    check("num_attention_heads", json!(0), ErrorKind::Corrupt, "num_attention_heads");
    check("num_attention_heads", json!(3), ErrorKind::Corrupt, "num_attention_heads");
    check("hidden_size", json!(1_u64 << 62), ErrorKind::Corrupt, "expected [10, 4611686018427387904]");
    check("num_hidden_layers", json!(2), ErrorKind::Corrupt, "no tensor \"encoder.layer.1.");
    check("num_hidden_layers", json!(1_000_000), ErrorKind::Unsupported, "layers");
    check("max_position_embeddings", json!(0), ErrorKind::Corrupt, "max_seq_length is 0");
    check(
        "max_position_embeddings",
        json!(11),
        ErrorKind::Corrupt,
        "has the shape [10, 8], expected [11, 8]",
    );
    check("layer_norm_eps", json!(-1.0), ErrorKind::Corrupt, "layer_norm_eps");
    write_json(folder.path(), "config.json", &config());
    let dense = json!([{ "type": "sentence_transformers.models.Dense" }]);
    write_json(folder.path(), "modules.json", &dense);
    let error = memory_embed::load(folder.path()).unwrap_err();
    assert!(error.to_string().contains("models.Dense"), "{error}");
}

#[tokio::test]
async fn a_tokenizer_of_another_model_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    model(folder.path());
    let mut tokenizer = tokenizer(true);
    tokenizer["model"]["vocab"]["flight"] = json!(5_000);
    write_json(folder.path(), "tokenizer.json", &tokenizer);
    let model = memory_embed::load(folder.path()).unwrap();
    let error = model.embed(&["book flight".to_owned()]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, false));
    assert!(error.to_string().contains("no token 5000"), "{error}");
}

#[tokio::test]
async fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    model(folder.path());
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        survive_damage(folder.path(), name).await;
    }
}
