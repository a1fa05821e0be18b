//! How an episode succeeded although an error stayed: by a tool that is otherwise not called.
//!
//! The calls after an error without a recovery may be the next step of the procedure or a workaround. Similar
//! episodes decide: where the failed tool worked, the procedure continues, and the workaround is not taken.

use crate::calls::Call;
use crate::extract::cluster::{Cluster, Member};
use crate::recovery::{Incident, Response, between, incidents};

/// Calls after the last failure within which the workaround begins.
const REACH: usize = 4;
/// Similar episodes in which the failed tool worked that must be there to compare with.
const MIN_COMPARED: usize = 2;
/// The share of them that may call the tool, too.
const SHARED: f64 = 0.25;

/// Returns the errors of an episode of a cluster in order, each kind once, with the workaround if a success
/// recovered from one in no other way.
pub(crate) fn incidents_among<'t>(cluster: &Cluster<'t>, member: &Member<'t>) -> Vec<Incident<'t>> {
    let mut incidents = incidents(&member.calls);
    if member.succeeded {
        for incident in incidents.iter_mut().filter(|incident| incident.recovery.is_none()) {
            incident.recovery = way_out(cluster, member, incident);
            incident.drop_vain_that_worked();
        }
    }
    incidents
}

fn way_out<'t>(cluster: &Cluster<'t>, member: &Member<'t>, incident: &Incident<'t>) -> Option<Response<'t>> {
    let (calls, failed, at) = (&member.calls, incident.failed, incident.last);
    if calls[at..].iter().any(|call| call.tool == failed.tool && call.worked()) {
        return None;
    }
    let others: Vec<&Member<'t>> = cluster
        .members
        .iter()
        .filter(|other| !std::ptr::eq(*other, member))
        .filter(|other| other.calls.iter().any(|call| call.tool == failed.tool && call.worked()))
        .collect();
    let is_unusual = |tool: &str| {
        let calling = others.iter().filter(|other| other.uses(tool)).count();
        others.len() >= MIN_COMPARED && calling as f64 <= SHARED * others.len() as f64
    };
    let worked = |tool: &str| calls[..at].iter().any(|call| call.tool == tool && call.worked());
    let after = &calls[at + 1..];
    let unusual = |call: &Call<'_>| call.worked() && !worked(call.tool) && is_unusual(call.tool);
    let offset = after.iter().take(REACH).position(unusual)?;
    Some(Response { between: between(&after[..offset], &failed), last: after[offset], changes: Vec::new() })
}

#[cfg(test)]
mod tests {
    use memory_core::{Action, in_words};

    use super::*;
    use crate::calls::tests::{failure, success, tools, trace};
    use crate::trace::Trace;

    fn found(own: &Trace, similar: &[Trace]) -> Option<String> {
        let cluster = Cluster::new(own, similar);
        incidents_among(&cluster, cluster.own())[0].recovery.as_ref().map(|remedy| in_words(&remedy.calls()))
    }

    fn refused(then: &str) -> Vec<Action> {
        let refused = || Action::tool("cancel").error("this fare cannot be cancelled");
        let then = then.split_whitespace().map(Action::tool);
        [Action::tool("find"), refused(), refused()].into_iter().chain(then).collect()
    }

    #[test]
    fn what_only_those_do_whose_tool_fails_is_the_way_out() {
        let usual = |number| tools(number, success(), "find cancel refund mail");
        let check = |own: Trace, similar: &[Trace], expected: Option<&str>| {
            assert_eq!(found(&own, similar).as_deref(), expected);
        };
        let similar = [usual(2), usual(3)];
        check(trace(1, success(), refused("transfer")), &similar, Some("transfer"));
        check(trace(1, success(), refused("mail transfer")), &similar, Some("mail, then transfer"));
        // It is the usual next step, was done before, or there is nothing to compare with.
        check(trace(1, success(), refused("mail")), &similar, None);
        check(trace(1, success(), refused("find")), &similar, None);
        check(trace(1, success(), refused("transfer")), &similar[..1], None);
        // The episode failed, or the tool worked in the end.
        check(trace(1, failure(), refused("transfer")), &similar, None);
        let mut again = refused("transfer cancel");
        again[1] = Action::tool("cancel").error("busy");
        let own = trace(1, success(), again);
        assert_eq!(
            found(&own, &similar).as_deref(),
            Some("transfer, then cancel"),
            "the next attempt got over it"
        );
    }
}
