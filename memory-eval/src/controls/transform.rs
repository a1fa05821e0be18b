//! Changes of a data set that leave the right answer as it was.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::data::{DataSet, SolvedTask};
use crate::dice::Dice;

/// What is put before the name of a renamed tool or argument.
const PREFIX: &str = "zz_";
/// Every so many-th training episode is multiplied, by so many near-duplicates.
const DUPLICATED: usize = 5;
const DUPLICATES: usize = 4;

/// A change of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Every tool's name gets the same prefix.
    ToolsRenamed,
    /// Tools are called T00, T01, …: their names say nothing.
    ToolsOpaque,
    /// Every argument's name gets the same prefix.
    ArgumentsRenamed,
    /// The training episodes come in another order.
    OrderPermuted,
    /// Texts are in rot13: no rule about English applies.
    TextsRot13,
    /// Training tasks of another data set are added under the same labels.
    DomainsMixed,
    /// Every fifth training episode has four near-duplicates.
    NearDuplicates,
    /// Training tasks of another data set are added under another domain.
    ForeignDomain,
}

/// A changed data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Transformed {
    /// The data set.
    pub data: DataSet,
    /// For each renamed tool the original name.
    back: BTreeMap<String, String>,
}

impl Transformed {
    /// Returns the original name of a tool.
    pub fn original<'a>(&'a self, tool: &'a str) -> &'a str {
        self.back.get(tool).map_or(tool, String::as_str)
    }
}

impl Control {
    /// All controls.
    pub const ALL: [Self; 8] = [
        Self::ToolsRenamed,
        Self::ToolsOpaque,
        Self::ArgumentsRenamed,
        Self::OrderPermuted,
        Self::TextsRot13,
        Self::DomainsMixed,
        Self::NearDuplicates,
        Self::ForeignDomain,
    ];

    /// Returns the name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::ToolsRenamed => "tools_renamed",
            Self::ToolsOpaque => "tools_opaque",
            Self::ArgumentsRenamed => "arguments_renamed",
            Self::OrderPermuted => "order_permuted",
            Self::TextsRot13 => "texts_rot13",
            Self::DomainsMixed => "domains_mixed",
            Self::NearDuplicates => "near_duplicates",
            Self::ForeignDomain => "foreign_domain",
        }
    }

    /// Changes a data set. `foreign` are the tasks that the last kinds add; their tools are told from the data set's own by
    /// a prefix.
    pub fn apply(self, data: &DataSet, foreign: &[SolvedTask], seed: u64) -> Transformed {
        let mut data = data.clone();
        let mut back = BTreeMap::new();
        let each = |data: &mut DataSet, change: &dyn Fn(&mut SolvedTask)| {
            data.train.iter_mut().chain(&mut data.test).for_each(change);
        };
        match self {
            Self::ToolsRenamed | Self::ToolsOpaque => {
                let tools = data.train.iter().chain(&data.test).flat_map(SolvedTask::tools);
                let tools: std::collections::BTreeSet<String> = tools.map(str::to_owned).collect();
                let renamed = tools.iter().enumerate().map(|(place, tool)| match self {
                    Self::ToolsRenamed => (tool.clone(), format!("{PREFIX}{tool}")),
                    _ => (tool.clone(), format!("T{place:02}")),
                });
                let names: BTreeMap<String, String> = renamed.collect();
                each(&mut data, &|task| {
                    for call in &mut task.actions {
                        if let Some(name) = names.get(&call.name) {
                            call.name.clone_from(name);
                        }
                    }
                });
                back = names.into_iter().map(|(old, new)| (new, old)).collect();
            }
            Self::ArgumentsRenamed => each(&mut data, &|task| {
                for call in &mut task.actions {
                    if let Value::Object(fields) = std::mem::take(&mut call.kwargs) {
                        let fields =
                            fields.into_iter().map(|(name, value)| (format!("{PREFIX}{name}"), value));
                        call.kwargs = Value::Object(fields.collect());
                    }
                }
            }),
            Self::OrderPermuted => Dice::new(seed, &[1]).shuffle(&mut data.train),
            Self::TextsRot13 => each(&mut data, &|task| task.instruction = rot13(&task.instruction)),
            Self::DomainsMixed => {
                let labels = data.train.first().map(|task| (task.kind.clone(), task.domain.clone()));
                let (kind, domain) = labels.unwrap_or_default();
                add(&mut data, foreign, kind.as_ref(), domain.as_ref(), seed);
            }
            Self::ForeignDomain => add(&mut data, foreign, None, Some(&"foreign".to_owned()), seed),
            Self::NearDuplicates => {
                let copies: Vec<SolvedTask> = data
                    .train
                    .iter()
                    .step_by(DUPLICATED)
                    .flat_map(|task| {
                        (1..=DUPLICATES).map(|copy| SolvedTask {
                            instruction: format!("{} Thanks{}", task.instruction, "!".repeat(copy)),
                            ..task.clone()
                        })
                    })
                    .collect();
                data.train.extend(copies);
            }
        }
        Transformed { data, back }
    }
}

/// Adds foreign training tasks among the others.
fn add(
    data: &mut DataSet,
    foreign: &[SolvedTask],
    kind: Option<&String>,
    domain: Option<&String>,
    seed: u64,
) {
    data.train.extend(foreign.iter().cloned().map(|mut task| {
        (task.kind, task.domain) = (kind.cloned(), domain.cloned());
        task.actions.iter_mut().for_each(|call| call.name = format!("foreign_{}", call.name));
        task
    }));
    Dice::new(seed, &[2]).shuffle(&mut data.train);
}

fn rot13(text: &str) -> String {
    let turn = |c: char, first: u8| char::from((c as u8 - first + 13) % 26 + first);
    text.chars()
        .map(|c| match c {
            'a'..='z' => turn(c, b'a'),
            'A'..='Z' => turn(c, b'A'),
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(text: &str, tool: &str) -> SolvedTask {
        let actions = json!([{"name": tool, "kwargs": {"size": 1}}]);
        serde_json::from_value(json!({"instruction": text, "actions": actions, "domain": "d"})).unwrap()
    }

    #[test]
    fn each_control_changes_what_it_says_and_nothing_else() {
        let train: Vec<SolvedTask> =
            (0..6).map(|at| task(&format!("Do {at}."), ["b", "a"][at % 2])).collect();
        let data = DataSet { train, test: vec![task("Say no.", "a")] };
        let foreign = [task("Elsewhere", "a")];
        let of = |control: Control| control.apply(&data, &foreign, 1);
        let renamed = of(Control::ToolsRenamed);
        assert_eq!(renamed.data.test[0].tools(), ["zz_a"]);
        assert_eq!((renamed.original("zz_a"), renamed.original("other")), ("a", "other"));
        let opaque = of(Control::ToolsOpaque);
        assert_eq!((opaque.data.train[0].tools(), opaque.original("T01")), (vec!["T01"], "b"));
        assert_eq!(of(Control::ArgumentsRenamed).data.train[0].actions[0].kwargs, json!({"zz_size": 1}));
        let mut permuted = of(Control::OrderPermuted).data;
        assert_ne!(permuted.train, data.train);
        permuted.train.sort_by(|a, b| a.instruction.cmp(&b.instruction));
        assert_eq!(permuted, data);
        assert_eq!(of(Control::TextsRot13).data.test[0].instruction, "Fnl ab.");
        let labels = |control| {
            let data = of(control).data;
            let added = data.train.iter().find(|task| task.tools() == ["foreign_a"]).unwrap().clone();
            (data.train.len(), added.domain)
        };
        assert_eq!(labels(Control::DomainsMixed), (7, Some("d".into())));
        assert_eq!(labels(Control::ForeignDomain), (7, Some("foreign".into())));
        let copied = of(Control::NearDuplicates).data;
        assert_eq!((copied.train.len(), copied.train[6].instruction.as_str()), (14, "Do 0. Thanks!"));
        for control in Control::ALL {
            assert_eq!(json!(control), control.name());
        }
    }
}
