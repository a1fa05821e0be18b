//! Compares values of the parameters on pairs of task files: `sweep [CASE ...] TRAIN.jsonl DEV.jsonl ...`; all cases, or those named.
#![expect(clippy::unwrap_used, reason = "a program for developers: bad files may end it")]

use std::collections::BTreeSet;
use std::time::Instant;

use memory_learn::advise::{Example, Model, Params, Query};

type Task = (String, Vec<String>);

fn load(path: &str) -> Vec<Task> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let names = row["actions"].as_array().unwrap().iter();
            let mut tools: Vec<String> = Vec::new();
            for name in names.map(|it| it["name"].as_str().unwrap().to_owned()) {
                if !tools.contains(&name) {
                    tools.push(name);
                }
            }
            (row["instruction"].as_str().unwrap().to_owned(), tools)
        })
        .collect()
}

fn f1(train: &[Task], dev: &[Task], params: &Params, seed: u128) -> (f64, f64, f64, [f64; 2]) {
    let known: BTreeSet<&String> = train.iter().flat_map(|(_, tools)| tools).collect();
    let mut order: Vec<usize> = (0..train.len()).collect();
    order.sort_by_key(|at| {
        (*at as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_1234_5678_9abc_def1 ^ (seed << 9)) >> 30
            & 0xffff_ffff
    });
    let start = Instant::now();
    let mut model = Model::new(params.clone());
    for (id, at) in order.into_iter().enumerate() {
        model.learn(Example::new(id as u128, &train[at].0).used(train[at].1.iter().cloned()));
    }
    model.calibrate();
    let learned = start.elapsed().as_secs_f64();
    let (mut sum, mut count) = (0.0, 0);
    let start = Instant::now();
    for (text, tools) in dev {
        let wanted: BTreeSet<&str> =
            tools.iter().filter(|it| known.contains(it)).map(String::as_str).collect();
        if wanted.is_empty() {
            continue;
        }
        let advice = model.predict(&Query::new(text));
        let named = advice.named();
        let right = named.iter().filter(|it| wanted.contains(*it)).count();
        sum += 2.0 * right as f64 / (named.len() + wanted.len()) as f64;
        count += 1;
    }
    let ms = start.elapsed().as_secs_f64() * 1e3 / f64::from(count);
    let skill = model.skill();
    (
        sum / f64::from(count),
        learned / train.len() as f64 * 1e6,
        ms,
        [skill.mean_f1, skill.predictions as f64],
    )
}

fn main() {
    let is_file = |argument: &String| argument.ends_with(".jsonl");
    let (files, wanted): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(is_file);
    let base = Params::default();
    let cases = [
        ("default", base.clone()),
        ("cost 1", Params { cost: 1.0, ..base.clone() }),
        ("cost 10", Params { cost: 10.0, ..base.clone() }),
        ("bias 0.2", Params { bias: 0.2, ..base.clone() }),
        ("bias 1", Params { bias: 1.0, ..base.clone() }),
        ("few 10", Params { replays_of_few: 10, ..base.clone() }),
        ("few to 1000", Params { few: 1_000, ..base.clone() }),
        ("under way 8", Params { under_way: 8, ..base.clone() }),
        ("replays 10", Params { replays: 10, ..base.clone() }),
        ("window 150", Params { window: 150, ..base.clone() }),
        ("window 1000", Params { window: 1_000, ..base.clone() }),
        ("near 5", Params { neighbours: 5, ..base.clone() }),
        ("near 32", Params { neighbours: 32, ..base.clone() }),
        ("no near", Params { neighbours: 0, ..base.clone() }),
        ("no forget", Params { contradicted: 0.0, ..base.clone() }),
        ("no whole", Params { predictors: [false, true, true], ..base.clone() }),
        ("no clause", Params { predictors: [true, false, true], ..base.clone() }),
        ("no usual", Params { predictors: [true, true, false], ..base.clone() }),
    ];
    for (name, params) in cases {
        if !wanted.is_empty() && wanted.iter().all(|wanted| wanted != name) {
            continue;
        }
        print!("{name:12}");
        let mut mean = 0.0;
        for pair in files.chunks(2) {
            let (train, dev) = (load(&pair[0]), load(&pair[1]));
            let runs: Vec<_> = (0..2).map(|seed| f1(&train, &dev, &params, seed)).collect();
            let f = runs.iter().map(|it| it.0).sum::<f64>() / runs.len() as f64;
            mean += f;
            let (_, us, ms, skill) = runs[0];
            print!(" | {f:.3} ({:.3}) {us:.0}us {ms:.2}ms", skill[0]);
        }
        println!(" || {:.4}", mean / (files.len() / 2) as f64);
    }
}
