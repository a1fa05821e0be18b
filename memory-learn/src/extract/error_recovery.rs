//! Errors and the recoveries from them.

use memory_core::PatternBody;
use serde_json::json;

use crate::extract::Found;
use crate::recovery::Incident;

/// Pairs returned.
const MAX_FOUND: usize = 4;

pub(super) fn find(incidents: &[Incident<'_>]) -> Vec<Found> {
    incidents
        .iter()
        .filter_map(|incident| Some((incident, incident.recovery.as_ref()?)))
        .take(MAX_FOUND)
        .map(|(incident, recovery)| Found {
            identity: json!([incident.failed.tool, incident.error, recovery.identity()]).to_string(),
            body: PatternBody::ErrorRecovery { error: incident.error.clone(), remedy: recovery.calls() },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use memory_core::{Action, in_words};

    use super::*;
    use crate::calls::calls;
    use crate::calls::tests::{success, trace};
    use crate::recovery::incidents;

    #[test]
    fn one_identity_whatever_the_values() {
        let pair = |id: &str, amount: u32| {
            let pay = |amount: u32| Action::tool("pay").arguments(json!({"id": id, "amount": amount}));
            let actions =
                vec![pay(1).error(format!("{id}: total is {amount}")), Action::tool("sum"), pay(amount)];
            let trace = trace(1, success(), actions);
            let found = find(&incidents(&calls(&trace)));
            assert_eq!(found.len(), 1);
            let PatternBody::ErrorRecovery { error, remedy } = &found[0].body else { panic!() };
            assert_eq!(
                (error.as_str(), in_words(remedy).as_str()),
                ("<id>: total is <n>", "sum, then pay with amount changed")
            );
            found[0].identity.clone()
        };
        assert_eq!(pair("X12345", 7), pair("Y99999", 8));
    }
}
