//! Rules `condition → action`: their identity, their refinement by new evidence, and relations between their
//! conditions.

pub(crate) mod conflict;
pub mod generalise;
pub(crate) mod prune;

use memory_core::{Advice, Heuristic, HeuristicId, RuleCondition, Standing};
use memory_recall::tokenize::normalize_label;

use crate::identity;

/// Returns the identifier of a heuristic: the same domain, condition, advice and tool are the same heuristic.
pub fn id_of(domain: Option<&str>, condition: &RuleCondition, advice: Advice, tool: &str) -> HeuristicId {
    // The sign distinguishes an absent part from an empty one.
    let part = |part: Option<&str>| part.map_or_else(|| "-".to_owned(), |text| format!("+{text}"));
    let advice = match advice {
        Advice::Use => "use",
        Advice::Avoid => "avoid",
    };
    // However people spell a domain or a kind, it is the same one.
    let [domain, task_kind] = [domain, condition.task_kind.as_deref()].map(|name| name.map(normalize_label));
    let options =
        [part(domain.as_deref()), part(task_kind.as_deref()), part(condition.after_tool.as_deref())];
    let mut parts = vec!["heuristic", advice, tool];
    parts.extend(options.iter().map(String::as_str));
    parts.extend(condition.terms.iter().map(String::as_str));
    HeuristicId(identity::id_of(&parts))
}

/// Returns true if `general` holds wherever `special` does: each of its parts is a part of `special`.
pub(crate) fn implies(special: &RuleCondition, general: &RuleCondition) -> bool {
    let held = |special: &Option<String>, general: &Option<String>| general.is_none() || special == general;
    general.terms.iter().all(|term| special.terms.contains(term))
        && held(&special.task_kind, &general.task_kind)
        && held(&special.after_tool, &general.after_tool)
}

/// Returns true if recall may use a heuristic.
pub fn is_recalled(heuristic: &Heuristic) -> bool {
    !heuristic.is_rejected() && (heuristic.is_pinned() || heuristic.standing != Standing::Withheld)
}

/// Heuristics for tests.
#[cfg(any(test, feature = "testing"))]
pub mod fixtures {
    use memory_core::{Tally, Timestamp};

    use super::*;
    use crate::confidence::{Confidence, ConfidenceConfig};

    /// Builds a heuristic of a tool with evidence for and against.
    pub fn heuristic(terms: &[&str], advice: Advice, tool: &str, for_it: u32, against: u32) -> Heuristic {
        let condition = RuleCondition {
            terms: terms.iter().map(|term| (*term).to_owned()).collect(),
            ..RuleCondition::default()
        };
        let (config, now) = (ConfidenceConfig::default(), Timestamp(1_000));
        let tally = Tally {
            successes: for_it,
            failures: against,
            success_weight: f64::from(for_it),
            failure_weight: f64::from(against),
            as_of: now,
        };
        Heuristic {
            id: id_of(None, &condition, advice, tool),
            condition,
            advice,
            tool: tool.into(),
            action: format!("use {tool}"),
            domain: None,
            tally,
            confidence: tally.lower_bound(now, &config),
            used: Tally::default(),
            standing: Standing::Active,
            weight: 2.0,
            supporting: Vec::new(),
            contradicting: Vec::new(),
            generalises: Vec::new(),
            ruling: None,
            created_at: now,
            updated_at: now,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn premise(terms: &[&str], task_kind: Option<&str>) -> RuleCondition {
        RuleCondition {
            terms: terms.iter().map(|term| (*term).to_owned()).collect(),
            task_kind: task_kind.map(str::to_owned),
            ..RuleCondition::default()
        }
    }

    #[test]
    fn every_part_is_part_of_the_identity() {
        let base = premise(&["a", "b"], None);
        let id = |domain, premise: &RuleCondition, advice, tool| id_of(domain, premise, advice, tool);
        let one = id(None, &base, Advice::Use, "t");
        assert_eq!(one, id(None, &base.clone(), Advice::Use, "t"));
        let others = [
            id(Some(""), &base, Advice::Use, "t"),
            id(None, &base, Advice::Avoid, "t"),
            id(None, &base, Advice::Use, "u"),
            id(None, &premise(&["a b"], None), Advice::Use, "t"),
            id(None, &premise(&["a", "b"], Some("k")), Advice::Use, "t"),
            id(None, &RuleCondition { after_tool: Some("k".into()), ..base.clone() }, Advice::Use, "t"),
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(one, *other, "{at}");
            assert!(!others[..at].contains(other), "{at}");
        }
        // However people spell a name.
        let spelt = |domain, kind: &str| id(Some(domain), &premise(&["a"], Some(kind)), Advice::Use, "t");
        assert_eq!(spelt("Web-API", "Bug fix"), spelt("web_api", "bug-fix"));
    }

    #[test]
    fn special_conditions_imply_general_ones() {
        let check = |special: RuleCondition, general: RuleCondition, expected| {
            assert_eq!(implies(&special, &general), expected, "{special} implies {general}");
        };
        check(premise(&["a", "b"], None), premise(&["b"], None), true);
        check(premise(&["a", "b"], Some("k")), premise(&["a", "b"], None), true);
        check(premise(&["a"], Some("k")), RuleCondition::default(), true);
        check(premise(&["a"], None), premise(&["a", "b"], None), false);
        check(premise(&["a"], None), premise(&["a"], Some("k")), false);
        check(premise(&["a"], Some("l")), premise(&["a"], Some("k")), false);
    }
}
