//! The built-in rules.

use crate::redact::assignment::{self, Found};
use crate::redact::shape;

/// A built-in rule.
pub(super) struct BuiltIn {
    pub(super) name: &'static str,
    /// Matches a part of every match; small, for all triggers are searched at once.
    pub(super) trigger: &'static str,
    /// The secret is the group of that name, or the whole match.
    pub(super) pattern: &'static str,
    pub(super) accept: Accept,
}

/// Decides whether what a pattern found is a secret.
#[derive(Debug, Clone, Copy)]
pub(super) enum Accept {
    /// The shape says enough.
    Always,
    /// Letters and digits.
    Mixed,
    /// Exactly this long: a longer run is something else.
    Length(usize),
    /// A private key block that holds a key.
    KeyBlock,
    /// The value of an `Authorization` header.
    Header,
    /// Base64 of `user:password`.
    Basic,
    /// A password in a URL.
    UrlPassword,
    /// The value of an assignment to a secret name.
    Assignment,
    /// A password said in a sentence.
    Prose,
    /// The value of a cookie header.
    Cookie,
}

impl Accept {
    /// Returns how many bytes of what was found are the secret; `None` if it is none.
    pub(super) fn length(self, found: &Found<'_>) -> Option<usize> {
        let secret = found.secret;
        let whole = |accepted: bool| accepted.then_some(secret.len());
        match self {
            Self::Always => Some(secret.len()),
            Self::Mixed => whole(shape::mixed(secret)),
            Self::Length(length) => whole(secret.len() == length),
            Self::KeyBlock => key_block_length(secret),
            Self::Header => whole(is_header_secret(found)),
            Self::Basic => whole(shape::basic_credentials(secret)),
            Self::UrlPassword => {
                let reference = secret.starts_with(['$', '{', '<', '%', '*']) && !shape::mixed(secret);
                whole(!reference && !secret.starts_with("${") && !secret.starts_with("{{"))
            }
            Self::Assignment => assignment::secret_length(found),
            Self::Prose => assignment::prose_length(found),
            Self::Cookie => {
                whole(secret.split([';', '=']).any(|part| part.trim().len() >= 16 && shape::mixed(part)))
            }
        }
    }
}

/// Returns the length of a key block that holds a key. One without an end, cut off somewhere, goes up to the last line
/// of the key.
fn key_block_length(block: &str) -> Option<usize> {
    let mut end = None;
    let mut start = 0;
    for run in block.split(|c| !is_base64(c)) {
        let behind = start + run.len();
        let between = |end: usize| block[end..start].chars().all(|c| c.is_whitespace() || c == '\\');
        let last_line = !run.is_empty() && behind == block.len() && end.is_some_and(between);
        if run.len() >= 32 || last_line {
            end = Some(behind);
        }
        // What separates runs may be longer than a byte.
        start = behind + block[behind..].chars().next().map_or(0, char::len_utf8);
    }
    let complete = block.ends_with("KEY-----") || block.ends_with("BLOCK-----");
    if complete { end.map(|_| block.len()) } else { end }
}

/// After a scheme ("Bearer") more passes for credentials than without one.
fn is_header_secret(found: &Found<'_>) -> bool {
    let secret = found.secret;
    if shape::placeholder(secret) || shape::code(secret) || shape::is_remark(secret) {
        return false;
    }
    let scheme = found.before.trim_end().ends_with(|c: char| c.is_ascii_alphanumeric());
    let lower = secret.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_' | b'.'));
    if scheme { secret.len() >= 6 && !lower } else { secret.len() >= 8 && shape::mixed(secret) }
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')
}

/// What may stand right before a secret: the start of a word, an escape (`\n`, `%20`, `\u0022`), a colour code.
macro_rules! edge {
    () => {
        r"(?:(?-u:\b)|\\+[nrtbf]|%[0-9A-Fa-f]{2}|\\+u[0-9A-Fa-f]{4}|\x1b\[[0-9;]*m)"
    };
}

macro_rules! token {
    ($name:literal, $trigger:literal, $pattern:literal, $accept:expr) => {
        BuiltIn {
            name: $name,
            trigger: $trigger,
            pattern: concat!(edge!(), "(?P<secret>", $pattern, ")"),
            accept: $accept,
        }
    };
}

const fn rule(name: &'static str, trigger: &'static str, pattern: &'static str, accept: Accept) -> BuiltIn {
    BuiltIn { name, trigger, pattern, accept }
}

/// In the order in which they are applied: the more specific first.
pub(super) const BUILT_IN: &[BuiltIn] = &[
    rule(
        "private-key",
        "PRIVATE KEY",
        // The body ends at the next five dashes, so that what one match scans no other scans again.
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-{1,4}[^-])*(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----)?",
        Accept::KeyBlock,
    ),
    token!("age-key", "AGE-SECRET-KEY-", r"AGE-SECRET-KEY-1[0-9A-Z]{50,}", Accept::Always),
    rule(
        "url-password",
        r"://[^\s/]*@",
        r#"(?-u:\b)[A-Za-z][A-Za-z0-9+.-]*://[^\s/?\#:@"'<>`]*:(?P<secret>[^\s/?\#"'<>`]+)@[A-Za-z0-9\[_.$%{-]"#,
        Accept::UrlPassword,
    ),
    token!("anthropic-key", "sk-ant-", r"sk-ant-[A-Za-z0-9_-]{20,}", Accept::Mixed),
    token!(
        "openai-key",
        "sk-",
        r"sk-(?:(?:proj|svcacct|admin|None|or-v1)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{20,})",
        Accept::Mixed
    ),
    token!("google-key", "AIza", r"AIza[A-Za-z0-9_-]{35,}", Accept::Length(39)),
    token!(
        "google-oauth",
        r"GOCSPX-|ya29\.",
        r"(?:GOCSPX-[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9_-]{20,})",
        Accept::Always
    ),
    token!(
        "github-token",
        "gh[pousr]_|github_pat_",
        r"(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})",
        Accept::Mixed
    ),
    token!(
        "gitlab-token",
        "gl[a-z]+-",
        r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas|imt|ffct)-[A-Za-z0-9_-]{20,}(?:\.[0-9a-z]{2}\.[0-9a-z]+)?",
        Accept::Mixed
    ),
    token!(
        "slack-token",
        "xox[a-z]-|xapp-",
        r"(?:xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{20,})",
        Accept::Mixed
    ),
    rule(
        "webhook",
        "hooks.slack.com|/api/webhooks/",
        r"https://(?:hooks\.slack\.com/(?:services|workflows|triggers)|(?:ptb\.|canary\.)?discord(?:app)?\.com/api/webhooks)/(?P<secret>[A-Za-z0-9/_-]{20,})",
        Accept::Mixed,
    ),
    token!(
        "stripe-key",
        "[sr]k_live_|[sr]k_test_|whsec_",
        r"(?:[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{24,})",
        Accept::Always
    ),
    token!("huggingface-token", "hf_|api_org_", r"(?:hf_|api_org_)[A-Za-z0-9]{30,}", Accept::Always),
    token!("npm-token", "npm_", r"npm_[A-Za-z0-9]{36,}", Accept::Always),
    token!("pypi-token", "pypi-", r"pypi-[A-Za-z0-9_-]{50,}", Accept::Mixed),
    token!("crates-token", "cio", r"cio[A-Za-z0-9]{32,}", Accept::Length(35)),
    token!("sendgrid-key", r"SG\.", r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}", Accept::Always),
    token!("twilio-key", "SK[0-9a-f]", r"SK[0-9a-f]{32,}", Accept::Length(34)),
    token!("digitalocean-token", "do[opr]_v1_", r"do[opr]_v1_[a-f0-9]{64}", Accept::Always),
    token!("shopify-token", "shp[a-z][a-z]_", r"shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32,}", Accept::Always),
    token!("databricks-token", "dapi", r"dapi[a-f0-9]{32}(?:-\d)?", Accept::Always),
    token!("telegram-token", ":AA", r"\d{8,10}:AA[A-Za-z0-9_-]{33}", Accept::Always),
    token!("vault-token", r"hv[sbr]\.", r"hv[sbr]\.[A-Za-z0-9_-]{24,}", Accept::Mixed),
    token!(
        "grafana-token",
        "glsa_|glc_",
        r"(?:glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|glc_[A-Za-z0-9+/=]{32,})",
        Accept::Always
    ),
    token!("atlassian-token", "ATATT3|ATCTT3", r"AT[AC]TT3[A-Za-z0-9_=-]{60,}", Accept::Always),
    token!("docker-token", "dckr_", r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}", Accept::Always),
    token!(
        "supabase-token",
        "sbp_|sb_secret_",
        r"(?:sbp_[a-f0-9]{40}|sb_secret_[A-Za-z0-9_-]{20,})",
        Accept::Always
    ),
    token!(
        "model-provider-key",
        "gsk_|xai-|pplx-|r8_|tvly-|fw_|nvapi-|jina_|csk-",
        r"(?:gsk_[A-Za-z0-9]{40,}|xai-[A-Za-z0-9]{40,}|pplx-[A-Za-z0-9]{40,}|r8_[A-Za-z0-9]{37,}|tvly-(?:dev-|prod-)?[A-Za-z0-9]{28,}|fw_[A-Za-z0-9]{20,}|nvapi-[A-Za-z0-9_-]{40,}|jina_[A-Za-z0-9_]{40,}|csk-[a-z0-9]{40,})",
        Accept::Mixed
    ),
    token!(
        "service-token",
        "lin_api_|ntn_|dp.pt.|PMAK-|NRAK-|pscale_|HRKU-|rubygems_|fm2_|ATTA|secret_|sntry[su]_",
        r"(?:lin_api_[A-Za-z0-9]{32,}|ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43}|dp\.pt\.[A-Za-z0-9]{40,}|PMAK-[a-f0-9]{24}-[a-f0-9]{34}|NRAK-[A-Z0-9]{27}|pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{32,}|HRKU-[A-Za-z0-9_-]{36,}|rubygems_[a-f0-9]{48}|fm2_[A-Za-z0-9+/=_-]{60,}|ATTA[a-f0-9]{64,}|sntry[su]_[A-Za-z0-9+/=_-]{40,})",
        Accept::Mixed
    ),
    token!(
        "jwt",
        r"eyJ[A-Za-z0-9_-]*\.eyJ",
        r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)?",
        Accept::Always
    ),
    token!(
        "aws-access-key-id",
        "AKIA|ASIA|ABIA|ACCA",
        r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16,}",
        Accept::Length(20)
    ),
    rule(
        "aws-secret-key",
        r"(?i-u:aws|secret)(?i-u:[a-z_ .-]*key)",
        r#"(?i-u:(?:aws[_ .-]?)?secret[_ .-]?(?:access[_ .-]?)?key)\\*["']?\s*(?:=>|[:=])\s*\\*["']?(?P<secret>[A-Za-z0-9+/]{40,})"#,
        Accept::Length(40),
    ),
    rule(
        "azure-key",
        "(?i-u:accountkey|sharedaccesskey|[?&]sig)=",
        r"(?i-u:accountkey|sharedaccesskey|[?&]sig)=(?P<secret>[A-Za-z0-9%+/=_-]{30,})",
        Accept::Mixed,
    ),
    rule(
        "authorization",
        "(?i-u:authorization)",
        r#"(?i-u:(?:proxy-)?authorization)\\*["']?\s*(?:=>|[:=,])\s*\\*["']?(?:(?i-u:bearer|basic|token|digest|apikey|negotiate|aws4-hmac-sha256)[ \t]+)?(?P<secret>[A-Za-z0-9$<{*%][^\s"'`,;\\]*)"#,
        Accept::Header,
    ),
    rule(
        "bearer",
        "(?i-u:bearer)",
        r#"(?i-u:\bbearer)(?:[ \t]+|%20|\+|:[ \t]*)(?P<secret>[A-Za-z0-9_~+/.-]{16,}=*)"#,
        Accept::Mixed,
    ),
    rule("basic", "(?i-u:basic) ", r"(?i-u:\bbasic) +(?P<secret>[A-Za-z0-9+/_-]{8,}=*)", Accept::Basic),
    rule(
        "cookie",
        "(?i-u:cookie)",
        r#"(?i-u:\b(?:set-)?cookie)\\*["']?\s*:\s*\\*["']?(?P<secret>[A-Za-z0-9_.-]+=[^\r\n"'\\]+)"#,
        Accept::Cookie,
    ),
    rule(
        "curl-user",
        "(?i-u:curl) ",
        r#"(?-u:\b)curl[ \t][^\r\n|;]*?(?:-u|--user)[ \t=]*["']?[^\s:"']+:(?P<secret>[^\s"'\\]+)"#,
        Accept::UrlPassword,
    ),
    rule("assignment", assignment::TRIGGER, assignment::PATTERN, Accept::Assignment),
    rule(
        "option",
        "--(?i-u:[a-z-]*(?:pass|token|secret|key))",
        assignment::OPTION_PATTERN,
        Accept::Assignment,
    ),
    rule("password-said", r"(?i-u:pass(?:word|code|phrase)) ", assignment::PROSE_PATTERN, Accept::Prose),
];

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn patterns_compile_and_never_match_empty_text() {
        for rule in BUILT_IN {
            for pattern in [rule.trigger, rule.pattern] {
                let regex = Regex::new(pattern).unwrap_or_else(|error| panic!("{}: {error}", rule.name));
                assert!(!regex.is_match(""), "{}", rule.name);
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = BUILT_IN.iter().map(|rule| rule.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
