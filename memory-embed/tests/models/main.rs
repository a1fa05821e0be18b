//! Tests with real models: `cargo xtask models` fetches them, and these tests fail without them.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

use std::path::PathBuf;
use std::sync::Arc;

use memory_recall::embedder::Embedder;

/// Loads a model from where `cargo xtask models` puts it.
fn model(name: &str) -> Arc<dyn Embedder> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")));
    let folder = target.join("models").join(name);
    assert!(folder.is_dir(), "there is no model at {}: run `cargo xtask models`", folder.display());
    memory_embed::load(&folder).unwrap()
}

async fn embed(model: &dyn Embedder, texts: &[&str]) -> Vec<Vec<f32>> {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    model.embed(&texts).await.unwrap()
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// Checks the first vectors' first components and their similarities against reference values.
async fn check(
    model: &dyn Embedder,
    texts: &[&str],
    starts: &[[f32; 4]],
    similarities: &[(usize, usize, f32)],
) {
    const TOLERANCE: f32 = 1e-3;
    let vectors = embed(model, texts).await;
    for ((text, vector), start) in texts.iter().zip(&vectors).zip(starts) {
        assert_eq!(vector.len(), model.dimensions());
        for (component, expected) in vector.iter().zip(start) {
            assert!(
                (component - expected).abs() < TOLERANCE,
                "{text:?}: {:?}, expected {start:?}",
                &vector[..4]
            );
        }
    }
    for (one, other, expected) in similarities {
        let found = cosine(&vectors[*one], &vectors[*other]);
        let texts = (texts[*one], texts[*other]);
        assert!((found - expected).abs() < TOLERANCE, "{texts:?}: {found}, expected {expected}");
    }
}

const HAPPY: [&str; 4] =
    ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"];

#[tokio::test]
#[ignore = "needs the models: cargo xtask models"]
async fn minilm_gives_the_published_similarities() {
    // From the model's page: 0.695, 0.943, 0.257.
    let similarities = [(0, 1, 0.694_58), (0, 2, 0.942_91), (0, 3, 0.256_88)];
    check(&*model("minilm"), &HAPPY, &[], &similarities).await;
}

/// Texts with the cases that tokenizers differ in: accents, scripts, nothing, and more than the model takes.
fn texts(long: &str) -> [&str; 7] {
    [
        "How do I reset my password?",
        "I forgot my login credentials",
        "The cat sits on the mat",
        "Cancel the reservation and refund the customer",
        "Book a flight from Boston to Seattle",
        "Größe prüfen: naïve café — 東京 2026!",
        long,
    ]
}

#[tokio::test]
#[ignore = "needs the models: cargo xtask models"]
async fn minilm_agrees_with_the_reference() {
    // Computed in double precision with NumPy from the same weights and tokens.
    let starts = [
        [0.006_90, -0.063_02, -0.072_04, -0.032_50],
        [-0.022_65, -0.010_49, 0.000_84, 0.002_71],
        [0.134_89, -0.032_06, -0.020_34, 0.035_90],
        [-0.005_35, 0.101_69, 0.022_49, -0.004_55],
        [0.116_76, 0.008_49, 0.030_61, 0.062_94],
        [0.035_95, 0.055_35, 0.027_80, -0.021_33],
        [-0.008_12, -0.095_59, -0.038_67, 0.049_66],
    ];
    let similarities =
        [(0, 1, 0.677_62), (0, 3, 0.167_19), (2, 5, -0.105_95), (4, 5, 0.154_53), (0, 6, 0.096_43)];
    let long = "word ".repeat(400);
    check(&*model("minilm"), &texts(&long), &starts, &similarities).await;
}

#[tokio::test]
#[ignore = "needs the models: cargo xtask models"]
async fn wordllama_agrees_with_the_reference() {
    // Computed with NumPy from the same table and tokens.
    let starts = [
        [0.228_51, 0.135_35, 0.108_87, -0.018_51],
        [0.065_44, 0.012_98, 0.050_19, -0.021_69],
        [-0.044_70, 0.038_11, -0.055_09, 0.073_08],
        [-0.045_10, 0.031_39, -0.129_38, 0.039_29],
        [-0.109_30, -0.028_44, 0.032_09, 0.158_56],
        [-0.061_72, -0.015_81, 0.056_16, -0.114_19],
        [-0.106_25, -0.025_82, -0.034_89, 0.003_75],
    ];
    let similarities =
        [(0, 1, 0.548_42), (0, 3, 0.131_43), (3, 4, 0.144_88), (1, 6, -0.100_23), (5, 6, 0.128_30)];
    let long = "word ".repeat(400);
    let model = model("wordllama");
    check(&*model, &texts(&long), &starts, &similarities).await;
    assert_eq!(embed(&*model, &[""]).await, [vec![0.0; 256]], "an empty text is like nothing");
    let words = embed(&*model, &["refund", "return", "cancel"]).await;
    let near = [cosine(&words[0], &words[1]), cosine(&words[0], &words[2])];
    assert!((near[0] - 0.56).abs() < 0.01 && (near[1] - 0.23).abs() < 0.01, "{near:?}");
}

#[tokio::test]
#[ignore = "needs the models: cargo xtask models"]
async fn alike_texts_come_first() {
    for name in ["minilm", "wordllama"] {
        let vectors = embed(&*model(name), &texts("An aeroplane ticket, please")).await;
        let nearest = |to: usize| {
            let others = (0..vectors.len()).filter(|other| *other != to);
            others.max_by(|one, other| {
                cosine(&vectors[to], &vectors[*one]).total_cmp(&cosine(&vectors[to], &vectors[*other]))
            })
        };
        assert_eq!((nearest(0), nearest(6)), (Some(1), Some(4)), "{name}");
    }
}
