//! A lesson from failing.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::clock::Timestamp;
use crate::id::{EpisodeId, FailureId};
use crate::model::ruling::Decision;

/// What stands between the calls of a fix.
pub(crate) const THEN: &str = ", then ";

/// What is known of one kind of error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The identifier, derived from domain, tool and the normalised error.
    pub id: FailureId,
    /// The class of error: `timeout`, `not_found`, `permission`, `invalid_input`, `conflict`, `unavailable`,
    /// `limit`, `test`, `syntax` or `other`.
    pub category: String,
    /// The error text with what varies (numbers, ids, paths, quoted text, names) replaced by placeholders.
    pub error: String,
    /// The error text as it was last seen.
    pub example: String,
    /// The tool that failed; empty if the episode failed as a whole.
    pub tool: String,
    /// What led to it, as far as contrast with episodes that did not fail shows.
    pub root_cause: Option<String>,
    /// What was done about it, best first: what resolved it and was not in vain since (what did so last, then what does so
    /// most surely), what was in vain since, and what never helped. At most sixteen that resolved it, and sixteen others.
    pub resolutions: Vec<Resolution>,
    /// The subject area.
    pub domain: Option<String>,
    /// The kind of task.
    pub task_kind: String,
    /// Episodes that had it.
    pub occurrences: u32,
    /// Episodes that had it, got over it and succeeded.
    pub resolved: u32,
    /// Some of the newest episodes that had it.
    pub episodes: Vec<EpisodeId>,
    /// When it was first seen.
    pub first_at: Timestamp,
    /// When it was last seen.
    pub last_at: Timestamp,
    /// What somebody decided about it. Not stored with it: the [`crate::Ruling`] is a record of its own.
    #[serde(skip)]
    pub ruling: Option<Decision>,
}

impl Failure {
    /// Returns what got over it at least once, best first, those that somebody pinned before the others; what somebody
    /// rejected is left out.
    pub fn remedies(&self) -> impl Iterator<Item = &Resolution> {
        let ruled = |pinned: bool| {
            let is_one = move |it: &&Resolution| it.is_remedy() && it.is_pinned() == pinned;
            self.resolutions.iter().filter(is_one)
        };
        ruled(true).chain(ruled(false))
    }

    /// Returns what never helped, the newest first; but what somebody rejected or pinned.
    pub fn in_vain(&self) -> impl Iterator<Item = &Resolution> {
        self.resolutions.iter().filter(|it| it.worked == 0 && it.ruling.is_none())
    }
}

/// Something that was done about an error, and what came of it. What differs in values and names alone is one.
///
/// As text it is the fix with what came of it: `login, then deploy (3 times)`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Resolution {
    /// The calls, with `, then ` between them; the last is the one that failed before, or one that took its place. Where one
    /// of the calls failed itself, and so the remedy did, it is the last.
    pub fix: String,
    /// Episodes that succeeded in which it got over the error.
    pub worked: u32,
    /// Episodes, however they ended, in which the error came again after it, or a call of it failed.
    pub failed: u32,
    /// When it last got over the error; `None` if it never did, or if that was not recorded.
    pub worked_at: Option<Timestamp>,
    /// When it was last in vain.
    pub failed_at: Option<Timestamp>,
    /// What somebody decided about it. Not stored with it: the [`crate::Ruling`] is a record of its own.
    #[serde(skip)]
    pub ruling: Option<Decision>,
}

impl Resolution {
    /// Returns the tools of the fix, in order of their first call.
    pub fn tools(&self) -> Vec<&str> {
        let mut tools: Vec<&str> = Vec::new();
        for call in self.fix.split(THEN) {
            let ends = [": ", " with ", " without "].into_iter().filter_map(|end| call.find(end));
            let tool = call[..ends.min().unwrap_or(call.len())].trim();
            if !tool.is_empty() && !tools.contains(&tool) {
                tools.push(tool);
            }
        }
        tools
    }

    fn is_remedy(&self) -> bool {
        self.ruling != Some(Decision::Rejected) && (self.worked > 0 || self.is_pinned())
    }

    /// Returns true if it is the remedy whatever its evidence, because somebody said so.
    pub fn is_pinned(&self) -> bool {
        self.ruling == Some(Decision::Pinned)
    }

    /// Returns true if it resolved the error and was not in vain since, as far as is known.
    pub fn works(&self) -> bool {
        self.worked > 0 && self.worked_at.is_none_or(|worked_at| Some(worked_at) >= self.failed_at)
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = |count: u32| if count == 1 { "once".to_owned() } else { format!("{count} times") };
        let in_vain = match self.failed {
            1 if self.worked > 0 && !self.works() => "in vain the last time".to_owned(),
            failed if self.worked > 0 && !self.works() => {
                format!("in vain {failed} times, also the last time")
            }
            failed => format!("in vain {}", times(failed)),
        };
        f.write_str(&self.fix)?;
        match (self.worked, self.failed) {
            (0, _) => write!(f, " ({in_vain})"),
            (1, 0) => Ok(()),
            (worked, 0) => write!(f, " ({worked} times)"),
            (worked, _) => write!(f, " (worked {}, {in_vain})", times(worked)),
        }
    }
}

impl<'de> Deserialize<'de> for Resolution {
    /// Reads also what was stored before times in vain were counted: a text such as `login, then deploy (3 times)`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(remote = "Resolution")]
        struct Whole {
            fix: String,
            worked: u32,
            failed: u32,
            worked_at: Option<Timestamp>,
            failed_at: Option<Timestamp>,
            #[serde(skip)]
            ruling: Option<Decision>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Stored {
            Text(String),
            #[serde(with = "Whole")]
            Whole(Resolution),
        }
        if !deserializer.is_human_readable() {
            return Whole::deserialize(deserializer);
        }
        Ok(match Stored::deserialize(deserializer)? {
            Stored::Whole(resolution) => resolution,
            Stored::Text(text) => {
                let (fix, worked) = uncounted(&text);
                Self {
                    fix: fix.to_owned(),
                    worked,
                    failed: 0,
                    worked_at: None,
                    failed_at: None,
                    ruling: None,
                }
            }
        })
    }
}

/// Splits a text into the fix and the number of episodes in which it worked.
fn uncounted(text: &str) -> (&str, u32) {
    text.strip_suffix(" times)")
        .and_then(|rest| rest.rsplit_once(" ("))
        .and_then(|(fix, count)| Some((fix, count.parse().ok()?)))
        .unwrap_or((text, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolution(worked: u32, failed: u32, worked_at: Option<u64>, failed_at: Option<u64>) -> Resolution {
        let (worked_at, failed_at) = (worked_at.map(Timestamp), failed_at.map(Timestamp));
        Resolution { fix: "login, then deploy".into(), worked, failed, worked_at, failed_at, ruling: None }
    }

    #[test]
    fn tells_what_came_of_it() {
        let check = |resolution: Resolution, text: &str, works: bool| {
            assert_eq!(resolution.to_string(), format!("login, then deploy{text}"));
            assert_eq!(resolution.works(), works, "{text}");
        };
        check(resolution(1, 0, Some(1), None), "", true);
        check(resolution(3, 0, None, None), " (3 times)", true);
        check(resolution(3, 1, None, Some(1)), " (worked 3 times, in vain once)", true);
        check(resolution(3, 1, Some(2), Some(1)), " (worked 3 times, in vain once)", true);
        check(
            resolution(1, 2, Some(2), Some(3)),
            " (worked once, in vain 2 times, also the last time)",
            false,
        );
        check(resolution(2, 1, Some(2), Some(3)), " (worked 2 times, in vain the last time)", false);
        check(resolution(0, 1, None, Some(3)), " (in vain once)", false);
    }

    #[test]
    fn the_tools_of_a_fix_are_those_that_it_calls() {
        let check = |fix: &str, tools: &[&str]| {
            assert_eq!(Resolution { fix: fix.into(), ..resolution(1, 0, None, None) }.tools(), tools);
        };
        check("login: log in first, with the admin account, then deploy", &["login", "deploy"]);
        check("pay with method changed from voucher to cash", &["pay"]);
        check("list_cards, then pay without voucher", &["list_cards", "pay"]);
        check(
            "bash with command = `cargo fmt: all`, then edit_file: a with b, then bash",
            &["bash", "edit_file"],
        );
        check("", &[]);
    }

    #[test]
    fn texts_stored_before_are_read() {
        let read = |json: &str| serde_json::from_str::<Resolution>(json).unwrap();
        assert_eq!(read("\"login, then deploy (3 times)\""), resolution(3, 0, None, None));
        assert_eq!(read("\"login, then deploy\""), resolution(1, 0, None, None));
        let whole = resolution(3, 1, Some(2), Some(1));
        assert_eq!(read(&serde_json::to_string(&whole).unwrap()), whole);
        serde_json::from_str::<Resolution>("7").unwrap_err();
    }
}
