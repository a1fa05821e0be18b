//! Replaces secrets in text before it is stored.
//!
//! A rule has a *trigger*, a few letters that every match contains, and a pattern. All triggers are searched in
//! one pass, so text without any costs one pass; the patterns of the triggered rules then find the secrets. All
//! patterns run in linear time. A secret is replaced by `[REDACTED:<rule>]`, which no rule looks into. A
//! further pass finds secrets that a replacement exposes. The number of passes is bounded, so that the cost of
//! hostile text stays linear; after the last one, formats are found anywhere in the text.

mod assignment;
mod domain;
mod field;
mod pairs;
mod pii;
mod rules;
mod shape;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use memory_core::{Error, Result};
use regex::{Regex, RegexSet};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::redact::rules::PII;
use crate::redact::rules::{Accept, BUILT_IN};

const MARK_START: &str = "[REDACTED:";
const MARK_END: char = ']';
/// The groups that hold the secret of a pattern; at most one takes part in a match. Without any, all of it is
/// secret.
const SECRET_GROUPS: [&str; 6] = ["secret", "double", "escaped", "single", "tick", "bare"];

/// Configures redaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RedactionConfig {
    /// Whether anything is redacted; true by default.
    pub enabled: bool,
    /// Names of built-in rules to leave out, as [`Redactor::rule_names`] lists them; none by default.
    pub disabled_rules: Vec<String>,
    /// The application's own rules; none by default.
    pub extra_rules: Vec<RedactionRule>,
    /// Whether e-mail addresses, telephone numbers, and numbers of payment cards and bank accounts are
    /// replaced, too; false by default.
    pub pii: bool,
}

impl Default for RedactionConfig {
    fn default() -> Self {
        Self { enabled: true, disabled_rules: Vec::new(), extra_rules: Vec::new(), pii: false }
    }
}

/// A rule of the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RedactionRule {
    /// Its name in `[REDACTED:<name>]`: 1 to 64 ASCII letters, digits, `-` and `_`.
    pub name: String,
    /// A regular expression in the syntax of the `regex` crate; if it has a group named `secret`, only that
    /// part is replaced.
    pub pattern: String,
}

/// Finds secrets and replaces them with `[REDACTED:<rule>]`.
///
/// Cloning is cheap.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Redactor {
    /// `None` when redaction is off.
    rules: Option<Arc<Rules>>,
}

#[derive(Debug)]
struct Rules {
    triggers: RegexSet,
    rules: Vec<Rule>,
    /// Whether names of JSON fields are looked at.
    fields: bool,
}

#[derive(Debug)]
struct Rule {
    name: String,
    pattern: &'static str,
    /// The format alone, for text left after the last pass.
    glued: Option<&'static str>,
    /// Compiled when first triggered.
    regex: OnceLock<Regex>,
    glued_regex: OnceLock<Regex>,
    accept: Accept,
}

/// The most passes over a text before the last one, which searches without edges.
const PASSES: usize = 4;

/// How much of the text around a match is used to judge it, in bytes.
const CONTEXT: usize = 512;

impl Default for Redactor {
    /// Creates a redactor with all built-in rules.
    fn default() -> Self {
        static BUILT: OnceLock<Redactor> = OnceLock::new();
        BUILT.get_or_init(|| Self::build(&[], Vec::new(), false)).clone()
    }
}

impl Redactor {
    /// Creates a redactor.
    ///
    /// # Errors
    /// [`memory_core::ErrorKind::InvalidInput`] for a rule that does not exist, a name that cannot be one, or a
    /// pattern that does not compile or matches empty text.
    pub fn new(config: &RedactionConfig) -> Result<Self> {
        if !config.enabled {
            return Ok(Self::off());
        }
        for name in &config.disabled_rules {
            if !Self::rule_names().any(|rule| rule == name) {
                let known: Vec<_> = Self::rule_names().collect();
                let problem = format!("no rule is named {name:?}; rules are {}", known.join(", "));
                return Err(Error::invalid("configure", "redaction.disabled_rules", problem));
            }
        }
        let extra = config.extra_rules.iter().map(compile_extra).collect::<Result<Vec<_>>>()?;
        if extra.is_empty() && config.disabled_rules.is_empty() && !config.pii {
            return Ok(Self::default());
        }
        Ok(Self::build(&config.disabled_rules, extra, config.pii))
    }

    /// Creates a redactor that changes nothing.
    pub fn off() -> Self {
        Self { rules: None }
    }

    /// Lists the names of the built-in rules, for [`RedactionConfig::disabled_rules`].
    pub fn rule_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().chain(PII).map(|rule| rule.name).chain([field::RULE])
    }

    fn build(disabled: &[String], extra: Vec<(Rule, String)>, pii: bool) -> Self {
        let enabled = |name: &str| !disabled.iter().any(|disabled| disabled == name);
        let pii = if pii { PII } else { &[] };
        let built_in = BUILT_IN.iter().chain(pii).filter(|rule| enabled(rule.name)).map(|rule| {
            let compiled = Rule {
                name: rule.name.to_owned(),
                pattern: rule.pattern,
                glued: rule.glued,
                regex: OnceLock::new(),
                glued_regex: OnceLock::new(),
                accept: rule.accept,
            };
            (compiled, rule.trigger.to_owned())
        });
        let (rules, triggers): (Vec<_>, Vec<_>) = built_in.chain(extra).unzip();
        #[expect(
            clippy::expect_used,
            reason = "built-in triggers are tested, those of others compiled before"
        )]
        let triggers = RegexSet::new(triggers).expect("every trigger compiles");
        Self { rules: Some(Arc::new(Rules { triggers, rules, fields: enabled(field::RULE) })) }
    }

    /// Replaces the secrets in a text; returns how many.
    pub fn redact_text(&self, text: &mut String) -> u32 {
        self.rules.as_ref().map_or(0, |rules| rules.redact_text(text))
    }

    /// Replaces the secrets in a JSON value: in strings, in names of fields, and in the values of fields with a
    /// secret name; returns how many.
    pub fn redact_json(&self, value: &mut Value) -> u32 {
        self.rules.as_ref().map_or(0, |rules| rules.redact_json(value))
    }
}

fn compile_extra(rule: &RedactionRule) -> Result<(Rule, String)> {
    const FIELD: &str = "redaction.extra_rules";
    let invalid = |problem: String| Error::invalid("configure", FIELD, problem);
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if rule.name.is_empty() || rule.name.len() > 64 || !rule.name.bytes().all(valid) {
        let problem = format!("{:?} is not a name of 1 to 64 letters, digits, '-' and '_'", rule.name);
        return Err(invalid(problem));
    }
    let regex = Regex::new(&rule.pattern).map_err(|source| {
        invalid(format!("the pattern of {:?} does not compile", rule.name)).with_source(source)
    })?;
    if regex.is_match("") {
        return Err(invalid(format!("the pattern of {:?} matches empty text", rule.name)));
    }
    let compiled = Rule {
        name: rule.name.clone(),
        pattern: "",
        glued: None,
        regex: OnceLock::from(regex),
        glued_regex: OnceLock::new(),
        accept: Accept::Always,
    };
    Ok((compiled, rule.pattern.clone()))
}

impl Rules {
    fn redact_text(&self, text: &mut String) -> u32 {
        self.redact_counted(text, &mut 0)
    }

    /// Redacts a text, and counts the bytes that rules go over.
    fn redact_counted(&self, text: &mut String, work: &mut usize) -> u32 {
        let mut total = 0;
        for _ in 0..PASSES {
            *work += text.len();
            let triggered = self.triggers.matches(text);
            let mut count = 0;
            for index in triggered.iter() {
                let rule = &self.rules[index];
                count += rule.apply(rule.regex(), text, work);
            }
            total += count;
            if count == 0 {
                return total;
            }
        }
        // Secrets may still be adjacent to other text: search without edges.
        let triggered = self.triggers.matches(text);
        for index in triggered.iter() {
            if let Some(regex) = self.rules[index].glued_regex() {
                total += self.rules[index].apply(regex, text, work);
            }
        }
        total
    }

    fn redact_json(&self, value: &mut Value) -> u32 {
        let mut total = 0;
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            match value {
                Value::String(text) => total += self.redact_text(text),
                Value::Array(items) => {
                    if self.fields {
                        total += pairs::redact_list(items);
                    }
                    open.extend(items);
                }
                Value::Object(fields) => {
                    total += self.redact_names(fields);
                    if self.fields {
                        total += pairs::redact_object(fields);
                    }
                    for (name, value) in fields.iter_mut() {
                        let count = if self.fields { field::redact(name, value) } else { 0 };
                        total += count;
                        if count == 0 {
                            open.push(value);
                        }
                    }
                }
                _ => {}
            }
        }
        total
    }

    /// Replaces secrets in the names of fields. Names that become equal are numbered.
    fn redact_names(&self, fields: &mut serde_json::Map<String, Value>) -> u32 {
        let secret: Vec<(String, String, u32)> = fields
            .keys()
            .filter_map(|name| {
                let mut redacted = name.clone();
                let count = self.redact_text(&mut redacted);
                (count > 0).then(|| (name.clone(), redacted, count))
            })
            .collect();
        let mut total = 0;
        for (name, mut redacted, count) in secret {
            let Some(value) = fields.remove(&name) else { continue };
            let base = redacted.len();
            let mut number = 1;
            while fields.contains_key(&redacted) {
                number += 1;
                redacted.truncate(base);
                let _ = write!(redacted, "#{number}");
            }
            fields.insert(redacted, value);
            total += count;
        }
        total
    }
}

impl Rule {
    fn regex(&self) -> &Regex {
        #[expect(
            clippy::expect_used,
            reason = "built-in patterns are tested, those of others compiled before"
        )]
        self.regex.get_or_init(|| Regex::new(self.pattern).expect("every pattern compiles"))
    }

    fn glued_regex(&self) -> Option<&Regex> {
        let pattern = self.glued?;
        #[expect(clippy::expect_used, reason = "built-in patterns are tested")]
        Some(self.glued_regex.get_or_init(|| Regex::new(pattern).expect("every pattern compiles")))
    }

    /// Replaces the matches of a pattern of this rule between marks; returns how many.
    fn apply(&self, regex: &Regex, text: &mut String, work: &mut usize) -> u32 {
        let mut count = 0;
        let mut output = String::new();
        // Up to where the text is copied to the output.
        let mut copied = 0;
        let mut start = 0;
        while start < text.len() {
            let gap = next_mark(&text[start..]);
            let end = gap.map_or(text.len(), |(mark, _)| start + mark);
            let (mut base, mut at) = (start, start);
            while at < end {
                // A word begins after a replacement: a secret adjacent to it is found in the same pass.
                let Some(captures) = regex.captures_at(&text[base..end], at - base) else {
                    *work += end - at;
                    break;
                };
                let whole = captures.get_match();
                *work += base + whole.end() - at;
                let secret = SECRET_GROUPS.iter().find_map(|group| captures.name(group)).unwrap_or(whole);
                let (from, to) = (base + secret.start(), base + secret.end());
                let found = assignment::Found {
                    name: captures.name("name").map_or("", |name| name.as_str()),
                    before: tail(&text[base..from]),
                    secret: secret.as_str(),
                    after: head(&text[to..end]),
                };
                match self.accept.length(&found) {
                    Some(length) => {
                        output.push_str(&text[copied..from]);
                        output.push_str(MARK_START);
                        output.push_str(&self.name);
                        output.push(MARK_END);
                        copied = from + length;
                        count += 1;
                        (base, at) = (copied, copied);
                    }
                    None => at = base + whole.end(),
                }
            }
            start = gap.map_or(text.len(), |(_, behind)| start + behind);
        }
        if count > 0 {
            output.push_str(&text[copied..]);
            *text = output;
        }
        count
    }
}

/// Returns how often each rule has replaced something in a text.
pub(crate) fn marks(text: &str) -> BTreeMap<String, u64> {
    let mut marks = BTreeMap::new();
    let mut from = 0;
    while let Some((start, end)) = next_mark(&text[from..]) {
        let rule = &text[from + start + MARK_START.len()..from + end - MARK_END.len_utf8()];
        *marks.entry(rule.to_owned()).or_default() += 1;
        from += end;
    }
    marks
}

/// Returns the end of a text.
fn tail(text: &str) -> &str {
    let from = text.len().saturating_sub(CONTEXT);
    (from..=text.len()).find(|at| text.is_char_boundary(*at)).map_or("", |at| &text[at..])
}

/// Returns the beginning of a text.
fn head(text: &str) -> &str {
    let to = text.len().min(CONTEXT);
    (0..=to).rev().find(|at| text.is_char_boundary(*at)).map_or("", |at| &text[..at])
}

/// Finds the next mark: its start, and where the text continues after it.
fn next_mark(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find(MARK_START)?;
        let name = start + MARK_START.len();
        let valid = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let length = text.as_bytes()[name..].iter().take(65).take_while(|byte| valid(byte)).count();
        // A secret inside a forged mark is found, too.
        let forged = length > 20 && shape::mixed(&text[name..name + length]);
        if (1..=64).contains(&length) && !forged && text[name + length..].starts_with(MARK_END) {
            return Some((start, name + length + 1));
        }
        from = name;
    }
}

#[cfg(test)]
mod probes;
#[cfg(test)]
mod tests;
