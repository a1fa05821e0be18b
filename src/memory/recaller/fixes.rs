//! Fixes of errors like the last one.

use std::cmp::Ordering;
use std::collections::HashSet;

use memory_core::Remedy as ModelRemedy;
use memory_core::{Entity, Failure, Kind, RecallId, Result, Timestamp};
use memory_learn::errors;
use memory_recall::query::RecallQuery;
use uuid::Uuid;

use crate::memory::Listed;
use crate::memory::advise::{PINNED, Remedy};
use crate::memory::recalled::{Recall, Recalled};
use crate::memory::recaller::Reached;
use crate::memory::recaller::Recaller;

/// Lessons that are shown.
const FIXES: usize = 3;
/// Lessons that are compared, those with the most words in common.
const CANDIDATES: usize = 32;
/// The factor on the similarity of an error of another domain than the query's: such an error must be nearly
/// the same.
const OTHER_DOMAIN: f64 = 0.7;
/// The similarity from which two errors are the same problem.
pub(super) const SAME_ERROR: f64 = 0.5;
/// The similarity from which the fix of one error is the first remedy for the other.
const SAME_FIX: f64 = 0.7;
/// The share of the recovered episodes in which a fix must have worked to be the first remedy.
const USUAL: f64 = 0.75;
/// A tool is not called again if it failed this many times and never recovered from an error.
const GIVEN_UP_FROM: u32 = 3;

impl Recaller {
    /// Returns lessons of errors like a query's, of its domain if it has one.
    pub(in crate::memory) async fn fixes_of(&self, query: &RecallQuery) -> Result<Listed<Recalled<Failure>>> {
        let mut recall = Recall::nothing(RecallId(Uuid::nil()), 0, self.records.engine.index_freshness());
        self.find_fixes(query, self.records.engine.now(), &mut recall).await?;
        recall.fixes.retain(|found| !query.is_elsewhere(found.item.domain.as_deref()));
        recall.fixes.truncate(FIXES);
        Ok(Listed { items: recall.fixes, freshness: recall.freshness })
    }

    /// Adds the best lessons of errors like the last one.
    pub(super) async fn add_fixes(
        &self,
        query: &RecallQuery,
        now: Timestamp,
        recall: &mut Recall,
    ) -> Result<()> {
        self.find_fixes(query, now, recall).await?;
        recall.fixes.truncate(FIXES);
        Ok(())
    }

    /// Finds lessons of errors like the last one, by any of its lines, the best first.
    async fn find_fixes(&self, query: &RecallQuery, now: Timestamp, recall: &mut Recall) -> Result<()> {
        let Some(error) = query.last_error() else { return Ok(()) };
        let mut seen = HashSet::new();
        for text in errors::normal_lines(error) {
            let mut asked = query.about(text);
            asked.tags.clear();
            // A name that no error had before would outweigh everything in common, so similarity is checked
            // below.
            let mut hits = self.search_learned(Kind::Failure, &asked, (CANDIDATES, f64::MIN_POSITIVE), now);
            hits.retain(|hit| seen.insert(hit.key.id.clone()));
            for Reached { entity, origin, .. } in self.reach(hits, query, now, recall).await? {
                let Entity::Failure(failure) = entity.as_ref() else { continue };
                let likeness = errors::likeness(error, &failure.error, &failure.example);
                let elsewhere = query.is_elsewhere(failure.domain.as_deref());
                let likeness = if elsewhere { OTHER_DOMAIN * likeness } else { likeness };
                if likeness >= SAME_ERROR {
                    let same_tool = query.failed_tool().is_some_and(|tool| *tool == failure.tool);
                    let score = if same_tool { likeness } else { 0.9 * likeness };
                    recall.fixes.push(Recalled {
                        score,
                        reasons: fix_reasons(failure),
                        origin,
                        item: failure.clone(),
                    });
                }
            }
        }
        recall.fixes.sort_by(better_fix);
        Ok(())
    }
}

/// Returns the remedy of an error similar to the last one, if its best fix has not failed since and is nearly
/// always the one used: an unspecific error has many remedies, depending on the place. If the tool that failed
/// last never recovered from it, the remedy is the common one of other tools, if there is one.
pub(super) fn remedy(query: &RecallQuery, recall: &Recall) -> Option<Remedy> {
    let failed = query.failed_tool()?;
    let like = || recall.fixes.iter().filter(|found| found.score >= SAME_FIX);
    let own: Vec<&Recalled<Failure>> = like().filter(|found| found.item.tool == *failed).collect();
    let mut known = own.iter().filter(|found| found.item.helped().next().is_some());
    if let Some(first) = known.next() {
        let fix = usual_fix(&first.item)?;
        // Errors that differ only by a name have separate lessons; a common fix counts for both.
        let fixes = known.filter_map(|found| usual_fix(&found.item));
        let same = fixes.filter(|other| other.tools() == fix.tools());
        let more = same.fold(0_u32, |sum, other| sum.saturating_add(other.worked));
        let tools = fix.tools().into_iter().map(str::to_owned).collect();
        return Some(remedy_by(failed, first, (fix, more), tools));
    }
    let mut others =
        like().filter(|found| found.item.tool != *failed && found.item.helped().next().is_some());
    let Some(first) = others.next() else { return given_up(failed, &own) };
    let fix = usual_fix(&first.item)?;
    let before = before_the_next_try(fix, &first.item)?;
    let agrees = |found: &Recalled<Failure>| {
        usual_fix(&found.item).and_then(|fix| before_the_next_try(fix, &found.item)).as_ref() == Some(&before)
    };
    let tools: Vec<String> = before.iter().copied().chain([failed]).map(str::to_owned).collect();
    let was_in_vain = own.iter().any(|own| own.item.in_vain().any(|fix| fix.tools() == tools));
    (others.all(agrees) && !was_in_vain).then(|| remedy_by(failed, first, (fix, 0), tools))
}

/// Returns an empty remedy if the tool was only ever repeated without success and no missing call is known.
fn given_up(failed: &str, own: &[&Recalled<Failure>]) -> Option<Remedy> {
    let first = own.first().filter(|_| own.iter().all(|found| found.item.root_cause.is_none()))?;
    let again = own.iter().flat_map(|found| found.item.in_vain());
    let again = again.filter(|fix| fix.tools().last() == Some(&failed));
    let times = again.fold(0_u32, |sum, fix| sum.saturating_add(fix.failed));
    (times >= GIVEN_UP_FROM).then(|| Remedy {
        failed: failed.to_owned(),
        tools: Vec::new(),
        text: String::new(),
        known_of: None,
        worked: 0,
        pinned: false,
        confidence: 0.0,
        lesson: first.item.id,
    })
}

/// Returns the remedy of a lesson by its fix, with how often the same worked against errors like it.
fn remedy_by(
    failed: &str,
    found: &Recalled<Failure>,
    (fix, more): (&ModelRemedy, u32),
    tools: Vec<String>,
) -> Remedy {
    let worked = fix.worked.saturating_add(more);
    // Its success rate, smoothed towards even by one success and one failure.
    let share =
        f64::from(worked.saturating_add(1)) / f64::from(worked.saturating_add(fix.failed).saturating_add(2));
    Remedy {
        failed: failed.to_owned(),
        tools,
        text: fix.text(),
        known_of: (found.item.tool != failed).then(|| found.item.tool.clone()),
        worked,
        pinned: fix.is_pinned(),
        confidence: found.score * if fix.is_pinned() { share.max(PINNED) } else { share },
        lesson: found.item.id,
    }
}

/// Returns the fix of an error that is nearly always used and works, or that a person pinned.
fn usual_fix(failure: &Failure) -> Option<&ModelRemedy> {
    let fix = failure.helped().next().filter(|fix| fix.works() || fix.is_pinned())?;
    (fix.is_pinned() || f64::from(fix.worked) >= USUAL * f64::from(failure.resolved)).then_some(fix)
}

/// Returns the tools of a fix before it tries the tool that failed again; `None` if it does not, or if it only
/// calls that one otherwise.
fn before_the_next_try<'f>(fix: &'f ModelRemedy, failure: &Failure) -> Option<Vec<&'f str>> {
    let mut tools = fix.tools();
    let last = tools.pop()?;
    (last == failure.tool && !tools.is_empty()).then_some(tools)
}

/// Orders errors like the last one: resolved ones before unresolved ones, then by similarity; among equally
/// similar ones first those with a fix that has not failed since, then those with a fix that worked more often.
fn better_fix(a: &Recalled<Failure>, b: &Recalled<Failure>) -> Ordering {
    let fixed = |it: &Recalled<Failure>| it.item.helped().next().is_some();
    let works = |it: &Recalled<Failure>| it.item.helped().next().is_some_and(ModelRemedy::works);
    let by_score = fixed(b).cmp(&fixed(a)).then(b.score.total_cmp(&a.score));
    let by_fix = by_score.then(works(b).cmp(&works(a))).then(b.item.resolved.cmp(&a.item.resolved));
    by_fix.then(a.item.id.cmp(&b.item.id))
}

fn fix_reasons(failure: &Failure) -> Vec<String> {
    let times =
        if failure.occurrences == 1 { "once".into() } else { format!("{} times", failure.occurrences) };
    let mut reasons = vec![match failure.resolved {
        0 => format!("seen {times}, no success followed it so far"),
        resolved => format!("seen {times}; {resolved} of them recovered and succeeded"),
    }];
    reasons.extend(failure.helped().next().map(|fix| format!("this error was fixed before by {fix}")));
    reasons
}

#[cfg(test)]
mod tests {
    use memory_core::{FailureId, Freshness, RecallId, RemedyCall};

    use super::*;
    use crate::memory::recalled::Origin;

    fn calls(tools: &[&str]) -> Vec<RemedyCall> {
        tools.iter().copied().map(RemedyCall::new).collect()
    }

    fn lesson(score: f64, remedies: &[(u32, u64, u64)]) -> Recalled<Failure> {
        let at = |time: &u64| (*time > 0).then_some(Timestamp(*time));
        let item = Failure {
            id: FailureId(uuid::Uuid::nil()),
            category: memory_core::ErrorCategory::Other,
            error: "no".into(),
            example: "no".into(),
            tool: "pay".into(),
            root_cause: None,
            remedies: remedies
                .iter()
                .map(|(worked, worked_at, failed_at)| ModelRemedy {
                    calls: calls(&["login", "pay"]),
                    worked: *worked,
                    failed: u32::from(*failed_at > 0),
                    worked_at: at(worked_at),
                    failed_at: at(failed_at),
                    ruling: None,
                })
                .collect(),
            domain: None,
            task_kind: None,
            occurrences: 1,
            resolved: 1,
            episodes: Vec::new(),
            first_at: Timestamp(0),
            last_at: Timestamp(0),
            ruling: None,
        };
        Recalled { score, reasons: Vec::new(), origin: Origin::default(), item }
    }

    #[test]
    fn a_remedy_is_the_fix_that_nearly_always_worked_and_works() {
        let told = |found: Recalled<Failure>, failed: &str| {
            let mut recall = Recall::nothing(RecallId(uuid::Uuid::nil()), 1, Freshness::Fresh);
            recall.fixes.push(found);
            let query = RecallQuery::new("x").done(["look"]).failed(failed, "no");
            remedy(&query, &recall).map(|remedy| remedy.tools)
        };
        let resolved = |found: Recalled<Failure>, resolved: u32| {
            let item = Failure { resolved, ..found.item };
            Recalled { item, ..found }
        };
        let works = || lesson(1.0, &[(3, 5, 0)]);
        assert_eq!(told(resolved(works(), 4), "pay"), Some(vec!["login".to_owned(), "pay".to_owned()]));
        assert_eq!(told(resolved(works(), 5), "pay"), None, "others got over it otherwise");
        let told_of = |fixes: [Recalled<Failure>; 2]| {
            let mut recall = Recall::nothing(RecallId(uuid::Uuid::nil()), 1, Freshness::Fresh);
            recall.fixes.extend(fixes);
            let query = RecallQuery::new("x").done(["look"]).failed("pay", "no");
            remedy(&query, &recall).unwrap().worked
        };
        let once = || lesson(0.9, &[(1, 5, 0)]);
        let mut other = once();
        other.item.remedies[0].calls = calls(&["ask", "pay"]);
        assert_eq!(told_of([once(), once()]), 2, "lessons that differ by a name count together");
        assert_eq!(told_of([once(), other]), 1);
        assert_eq!(told(lesson(0.6, &[(3, 5, 0)]), "pay"), None, "another error");
        assert_eq!(told(lesson(1.0, &[(3, 5, 6)]), "pay"), None, "in vain since");
    }

    #[test]
    fn a_tool_that_was_only_called_again_in_vain_is_given_up() {
        let told = |times: u32, fix: &[&str], cause: Option<&str>| {
            let mut found = lesson(1.0, &[(0, 0, 6)]);
            found.item.root_cause = cause.map(str::to_owned);
            (found.item.remedies[0].failed, found.item.remedies[0].calls) = (times, calls(fix));
            let mut recall = Recall::nothing(RecallId(uuid::Uuid::nil()), 1, Freshness::Fresh);
            recall.fixes.push(found);
            let query = RecallQuery::new("x").done(["look"]).failed("pay", "no");
            remedy(&query, &recall).map(|remedy| remedy.tools)
        };
        assert_eq!(told(3, &["pay"], None), Some(Vec::new()));
        assert_eq!(told(3, &["login", "pay"], None), Some(Vec::new()));
        assert_eq!(told(2, &["pay"], None), None, "twice may be chance");
        assert_eq!(told(3, &["hand_over"], None), None, "another tool was called");
        assert_eq!(told(3, &["pay"], Some("pay was called without login before")), None);
    }

    #[test]
    fn a_tool_that_never_got_over_an_error_takes_what_the_others_did() {
        let of = |tool: &str, fix: &[&str], worked: u32| {
            let found = lesson(0.9, &[(worked, 5, u64::from(worked == 0))]);
            let mut item = Failure { tool: tool.into(), resolved: worked, ..found.item };
            item.remedies[0].calls = calls(fix);
            Recalled { item, ..found }
        };
        let told = |fixes: &[Recalled<Failure>]| {
            let mut recall = Recall::nothing(RecallId(uuid::Uuid::nil()), 1, Freshness::Fresh);
            recall.fixes.extend_from_slice(fixes);
            let query = RecallQuery::new("x").done(["look"]).failed("mail", "no");
            remedy(&query, &recall).map(|remedy| (remedy.tools.join(" "), remedy.known_of.unwrap()))
        };
        let pay = || of("pay", &["login", "pay"], 3);
        let taken = Some(("login mail".to_owned(), "pay".to_owned()));
        assert_eq!(told(&[pay()]), taken);
        assert_eq!(told(&[pay(), of("order", &["login", "order"], 1)]), taken);
        assert_eq!(told(&[pay(), of("order", &["ask", "order"], 1)]), None, "they did not do the same");
        assert_eq!(told(&[of("pay", &["pay"], 3)]), None, "only that tool was called otherwise");
        assert_eq!(told(&[of("pay", &["hand_over"], 3)]), None, "that tool was not tried again");
        assert_eq!(told(&[pay(), of("mail", &["mail"], 0)]), taken, "trying again is not all there is to do");
        assert_eq!(told(&[pay(), of("mail", &["login", "mail"], 0)]), None, "it was in vain here");
    }

    #[test]
    fn of_errors_equally_alike_the_one_with_a_fix_that_works_comes_first() {
        let (works, in_vain) = (&[(1, 5, 0)][..], &[(9, 5, 6)][..]);
        let check = |a: Recalled<Failure>, b: Recalled<Failure>| {
            assert_eq!(better_fix(&a, &b), Ordering::Less);
            assert_eq!(better_fix(&b, &a), Ordering::Greater);
        };
        check(lesson(1.0, works), lesson(1.0, in_vain));
        // One failed attempt does not discard the lesson of exactly this error.
        check(lesson(1.0, in_vain), lesson(0.7, works));
        check(lesson(0.7, in_vain), lesson(1.0, &[(0, 0, 6)]));
        check(lesson(0.7, works), lesson(1.0, &[]));
    }
}
