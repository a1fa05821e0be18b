//! The built-in rules.

use crate::redact::assignment::{Found, secret_name, value};
use crate::redact::field::{Name, classify, is_secret};
use crate::redact::{assignment, pii, shape};

/// A built-in rule.
pub(super) struct BuiltIn {
    pub(super) name: &'static str,
    /// Matches a part of every match; small, for all triggers are searched at once.
    pub(super) trigger: &'static str,
    /// The secret is the group of that name, or the whole match.
    pub(super) pattern: &'static str,
    /// The format alone, for secrets adjacent to other text.
    pub(super) glued: Option<&'static str>,
    pub(super) accept: Accept,
}

/// Decides whether a match is a secret.
#[derive(Debug, Clone, Copy)]
pub(super) enum Accept {
    /// The format is sufficient.
    Always,
    /// Letters and digits.
    Mixed,
    /// Letters of both cases and digits.
    Cased,
    /// Exactly this long: a longer run is no secret of this kind.
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
    /// A password in a sentence.
    Prose,
    /// The value of a cookie header.
    Cookie,
    /// A password after an option of a command or a statement.
    Argument,
    /// A word that a sentence calls a password.
    Said,
    /// The text of an element with a secret name.
    Element,
    /// A number of a payment card.
    Card,
    /// A number of a bank account.
    Iban,
    /// A telephone number.
    Phone,
}

impl Accept {
    /// Returns how many bytes of the match are the secret; `None` if it is none.
    pub(super) fn length(self, found: &Found<'_>) -> Option<usize> {
        let secret = found.secret;
        let whole = |accepted: bool| accepted.then_some(secret.len());
        match self {
            Self::Always => Some(secret.len()),
            Self::Mixed => whole(shape::mixed(secret)),
            Self::Cased => {
                let has = |class: fn(&u8) -> bool| secret.as_bytes().iter().any(class);
                whole(shape::mixed(secret) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase))
            }
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
                whole(secret.split([';', '=']).any(|part| part.trim().len() >= 8 && shape::mixed(part)))
            }
            Self::Argument => {
                let reference =
                    shape::variable(secret) || shape::placeholder(secret) || secret.starts_with('-');
                whole(!reference && !shape::place(secret) && secret.len() >= 3)
            }
            Self::Said => {
                let value = secret.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '。']);
                let plain = shape::variable(value) || shape::placeholder(value) || shape::is_remark(value);
                let secret = shape::mixed(value) || value.contains(['!', '#', '$', '%', '^', '*', '?', '@']);
                let path = value.contains('/') || value.contains("::") || value.ends_with(']');
                (!plain && !path && secret && shape::password_like(value)).then_some(value.len())
            }
            Self::Element => {
                let class = if found.name.is_empty() { Some(Name::Key) } else { classify(found.name) };
                whole(class.is_some_and(|class| is_secret(class, secret)))
            }
            Self::Card => whole(pii::luhn(secret)),
            Self::Iban => whole(pii::iban(secret)),
            Self::Phone => whole(pii::phone(secret)),
        }
    }
}

/// Returns the length of a key block that holds a key. A truncated block without an end extends to the last
/// line of the key.
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
        // A separator between runs may be longer than a byte.
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

/// Characters that may precede a secret directly: the start of a word, an escape (`\n`, `%20`, `\u0022`), a
/// colour code.
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
            glued: Some($pattern),
            accept: $accept,
        }
    };
}

pub(super) const fn rule(
    name: &'static str,
    trigger: &'static str,
    pattern: &'static str,
    accept: Accept,
) -> BuiltIn {
    BuiltIn { name, trigger, pattern, glued: None, accept }
}

/// In the order in which they are applied: the more specific first.
pub(super) const BUILT_IN: &[BuiltIn] = &[
    rule(
        "private-key",
        "PRIVATE KEY",
        // The body ends at the next five dashes, so that no two matches scan the same text.
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
        r"GOCSPX-|ya29\.|AQ\.|1//",
        r"(?:GOCSPX-[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9_-]{20,}|AQ\.[A-Za-z0-9_-]{30,}|1//[A-Za-z0-9_-]{30,})",
        Accept::Mixed
    ),
    token!(
        "github-token",
        "gh[pousr]_|github_pat_",
        r"(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})",
        Accept::Mixed
    ),
    token!(
        "gitlab-token",
        "gl[a-z]+-|GR1348941",
        r"(?:gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas|imt|ffct)-[A-Za-z0-9_-]{20,}(?:\.[0-9a-z]{2}\.[0-9a-z]+)?|GR1348941[A-Za-z0-9_-]{20,})",
        Accept::Mixed
    ),
    token!(
        "slack-token",
        "xox[a-z]-|xapp-",
        r"(?:xox[a-z]-[A-Za-z0-9%+/=_-]{10,}|xapp-[A-Za-z0-9-]{20,})",
        Accept::Mixed
    ),
    rule(
        "webhook",
        "hooks.slack.com|/api/webhooks/|webhook.office.com",
        r"https://(?:[A-Za-z0-9-]+\.webhook\.office\.com|hooks\.slack\.com/(?:services|workflows|triggers)|(?:ptb\.|canary\.)?discord(?:app)?\.com/api/webhooks)/(?P<secret>[A-Za-z0-9/_-]{20,})",
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
    token!("telegram-token", ":AA", r"(?:bot)?\d{8,10}:AA[A-Za-z0-9_-]{33}", Accept::Always),
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
        "vendor-token",
        r"figd_|EAA|sk-lf-|CFPAT-|sgp_|vercel_blob|sk\.eyJ|-[0-9a-f]{8}-[0-9a-f]{8}|atlasv1|sq0|EAAA|xkeysib-|nfp_|ATBB|AKCp|oy2|LTAI|pul-|phx_|sl\.|AQE|ops_eyJ|dop_|PRIVATE-|shippo_|key-[0-9a-f]|-us\d|Q~|\bpat[A-Za-z0-9]{14}\.|[MNO][A-Za-z0-9_-]{23,27}\.|dG9r|sk_|rk_|pk_|api-|v1\.0-|lsv2_|pcsk_|ghu_|dvc_|A3-|EZ[AT]K|ak_live|r8_|ATCTT",
        r"(?:figd_[A-Za-z0-9_-]{30,}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{40,}|sq0(?:atp|csp|idp)-[A-Za-z0-9_-]{22,}|EAAA[A-Za-z0-9_-]{56,}|EAA[A-Za-z0-9]{60,}|sk-lf-[0-9a-f-]{36}|CFPAT-[A-Za-z0-9_-]{40,}|sgp_[A-Za-z0-9_]{40,}|vercel_blob_rw_[A-Za-z0-9_]{30,}|sk\.eyJ[A-Za-z0-9_-]{30,}(?:\.[A-Za-z0-9_-]+)?|xkeysib-[a-f0-9]{40,}-[A-Za-z0-9]{10,}|nfp_[A-Za-z0-9]{30,}|ATBB[A-Za-z0-9]{24,}|AKCp[A-Za-z0-9]{50,}|oy2[a-z0-9]{43}|LTAI[A-Za-z0-9]{12,}|pul-[a-f0-9]{40}|phx_[A-Za-z0-9]{32,}|sl\.(?:u\.)?[A-Za-z0-9_-]{60,}|AQE[A-Za-z0-9+/=]{60,}|ops_eyJ[A-Za-z0-9_-]{60,}|key-[0-9a-f]{32}|[0-9a-f]{32}-us\d{1,2}|[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}|[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}|pat[A-Za-z0-9]{14}\.[A-Za-z0-9]{32,}|[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}|sk_[a-f0-9]{40,}|v1\.0-[a-f0-9]{24}-[a-f0-9]{60,}|lsv2_(?:pt|sk)_[A-Za-z0-9_]{32,}|pcsk_[A-Za-z0-9_]{30,}|EZ[AT]K[A-Za-z0-9]{50,}|A3-[A-Z0-9]{6}-[A-Z0-9]{6}-[A-Z0-9-]{15,})",
        Accept::Mixed
    ),
    token!(
        "encoded-key",
        "LS0tLS1CRUdJTi|eyJhdXRocyI6|eyJhY2Nlc3NfdG9rZW4i",
        r"(?:LS0tLS1CRUdJTi(?:BQUklWQVRF|BSU0Eg|BFQyBQ|BPUEVO|BFTkNS|BEU0Eg|BQR1Ag)[A-Za-z0-9+/_-]{24,}(?:\\?\r?\n[ \t]*[A-Za-z0-9+/_-]{20,})*[A-Za-z0-9+/_-]*=*|eyJhdXRocyI6[A-Za-z0-9+/_-]{20,}=*|eyJhY2Nlc3NfdG9rZW4i[A-Za-z0-9+/_-]{20,}=*)",
        Accept::Always
    ),
    rule(
        "putty-key",
        "Private-Lines",
        r"Private-Lines:[ \t]*\d+(?P<secret>(?:[\s\\rn]+[A-Za-z0-9+/]{12,}={0,2})+)",
        Accept::Always,
    ),
    rule(
        "url-token",
        r"://[^\s/]*@",
        r#"(?-u:\b)[A-Za-z][A-Za-z0-9+.-]*://(?P<secret>[A-Za-z0-9_.~%-]{16,})@[A-Za-z0-9\[_.$%{-]"#,
        Accept::Mixed,
    ),
    rule("okta-token", "SSWS", r"\bSSWS[ \t]+(?P<secret>[A-Za-z0-9_-]{20,})", Accept::Mixed),
    token!(
        "jwt",
        r"eyJ[A-Za-z0-9_-]*\.eyJ",
        r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)?",
        Accept::Always
    ),
    rule(
        "aws-secret-key",
        "AKIA|ASIA|(?i-u:secret_?access_?key|session_?token)",
        r#"(?:(?:AKIA|ASIA)[A-Z0-9]{16}[^A-Za-z0-9+/]{1,40}(?:(?i-u:aws_?)?(?i-u:secret_?access_?key)[^A-Za-z0-9+/]{1,20})?|(?i-u:secret[ _]?access[ _]?key)(?:[ \t]*\[[^\]\r\n]*\])?[^A-Za-z0-9+/]{1,20}|(?i-u:session[ _]?token)[^A-Za-z0-9+/]{1,20})(?P<secret>[A-Za-z0-9+/]{40,}={0,2})"#,
        Accept::Cased,
    ),
    token!(
        "aws-access-key-id",
        "AKIA|ASIA|ABIA|ACCA",
        r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16,}",
        Accept::Length(20)
    ),
    rule(
        "aws-secret",
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
    rule(
        "curl-cookie",
        "(?i-u:curl) ",
        r#"(?-u:\b)curl[ \t][^\r\n|]*?(?:-b|--cookie)[ \t=]*["']?(?P<secret>[A-Za-z0-9_.-]+=[^\r\n"']+)"#,
        Accept::Cookie,
    ),
    rule(
        "command-password",
        r"(?i-u:sshpass|login|redis-cli|mysql|mariadb|mongo|ldap|unzip|7z|smbclient|openssl|htpasswd|chpasswd|net use|net user|rclone|password-stdin|from-literal|SecureString|sqlcmd|isql|sqlplus|jdbc:oracle|sudo -S|lftp|http |https |<\(echo|auth ?= ?\(|BasicAuth|DigestAuth|Credential|PasswordAuthentication|send |cloudsmith|keytool|rabbitmqctl|zip )",
        r#"(?x)(?:
          (?-u:\b)sshpass[\x20\t]+-p[\x20\t]*["']?
        | (?-u:\b)(?:docker|podman|buildah|skopeo|helm(?:[\x20\t]+registry)?|az|oc|nerdctl|crane|oras|argocd|snow|databricks)[\x20\t]+(?:auth[\x20\t]+)?login\b[^\r\n|;]*?[\x20\t]-p[\x20\t]+["']?
        | (?-u:\b)redis-cli\b[^\r\n|;]*?[\x20\t](?:-a|--pass)[\x20\t]+["']?
        | (?-u:\b)(?:mysql|mysqldump|mysqladmin|mysqlimport|mariadb|mariadb-dump)\b[^\r\n|;]*?[\x20\t]-p["']?
        | (?-u:\b)(?:mongo|mongosh|mongodump|mongorestore)\b[^\r\n|;]*?[\x20\t]-p[\x20\t]+["']?
        | (?-u:\b)ldap(?:search|modify|add|delete|whoami)\b[^\r\n|;]*?[\x20\t]-w[\x20\t]+["']?
        | (?-u:\b)(?:unzip|zip)\b[^\r\n|;]*?[\x20\t]-P[\x20\t]+["']?
        | (?-u:\b)7z[ar]?\b[^\r\n|;]*?[\x20\t]-p["']?
        | (?-u:\b)smbclient\b[^\r\n|;]*?[\x20\t]-U[\x20\t]+["']?[^\s%"']+%
        | (?-u:\b)(?:sqlcmd|isql)\b[^\r\n|;]*?[\x20\t]-P[\x20\t]+["']?
        | (?-u:\b)openssl\b[^\r\n|;]*?[\x20\t]-pass(?:in|out)?[\x20\t]+["']?pass:
        | (?-u:\b)htpasswd[\x20\t]+-[a-zA-Z]*b[a-zA-Z]*[\x20\t]+\S+[\x20\t]+\S+[\x20\t]+["']?
        | (?-u:\b)net[\x20\t]+user[\x20\t]+\S+[\x20\t]+["']?
        | (?-u:\b)net[\x20\t]+use[\x20\t]+[^\r\n]*?/user:\S+[\x20\t]+["']?
        | (?-u:\b)rabbitmqctl[\x20\t]+(?:add_user|change_password)[\x20\t]+\S+[\x20\t]+["']?
        | (?-u:\b)sudo[\x20\t]+-S\b[^\r\n|;]{0,80}?<<<[\x20\t]*["']?
        | (?-u:\b)https?[\x20\t][^\r\n|;]*?(?:-a|--auth)[\x20\t=]+["']?[^\s:"']+:
        | (?-u:\b)lftp\b[^\r\n|;]*?-u[\x20\t]+["']?[^\s,"']+,
        | (?-u:\b)openssl\b[^\r\n|;]*?[\x20\t](?:-k|-K)[\x20\t]+["']?
        | (?-u:\b)sqlplus[\x20\t]+(?:-\S+[\x20\t]+)*[^\s/@"']+/
        | jdbc:oracle:(?:thin|oci):[^\s/@"']+/
        | <\(echo[\x20\t]+(?:-n[\x20\t]+)?["']?
        | (?-u:\b)(?:auth[\x20\t]*=[\x20\t]*\(|(?:HTTPBasicAuth|HTTPDigestAuth|BasicAuth|UsernamePasswordCredentials|NetworkCredential|PasswordAuthentication)\()[\x20\t]*["'][^"'\r\n]*["'],[\x20\t]*["']
        | (?i-u:assword)[^\r\n]{0,40}[\r\n\x20\t;}]+send[\x20\t]+(?:--[\x20\t]+)?["']
        | --from-literal[=\x20]["']?[A-Za-z0-9_.-]+=
        | ConvertTo-SecureString[\x20\t]+(?:-String[\x20\t]+)?["']
        )(?P<secret>[^\s"'|;@\\)]+)"#,
        Accept::Argument,
    ),
    rule(
        "piped-password",
        "(?i-u:password-stdin|chpasswd|with-token|passwd --stdin|sudo -S)",
        r#"(?-u:\b)(?:echo|printf)[ \t]+(?:-n[ \t]+|"%s"[ \t]+|'%s'[ \t]+)?["']?(?:[A-Za-z0-9_.-]+:)?(?P<secret>[^\s"'|]+)["']?[ \t]*\|[^\r\n]{0,200}?(?:password-stdin|chpasswd|with-token|passwd --stdin|sudo -S)"#,
        Accept::Argument,
    ),
    rule(
        "sql-password",
        "(?i-u:identified by|password |password=)",
        r#"(?:(?i-u:\bidentified)[ \t]+(?:(?i-u:with)[ \t]+\S+[ \t]+)?(?i-u:by)[ \t]+(?:(?i-u:password)[ \t]+)?|(?i-u:\b(?:user|role|login))[ \t]+\S+[^;\r\n]*?(?i-u:\bpassword)[ \t]*=?[ \t]*)\\*["'](?P<secret>[^"'\\\r\n]+)"#,
        Accept::Argument,
    ),
    rule(
        "password-file",
        r":(?:\d+|\*):",
        r"(?m)^[^\s:/]+:(?:\d{2,5}|\*):[^\s:]+:[^\s:]+:(?P<secret>[^\s:]{4,})\r?$",
        Accept::Argument,
    ),
    rule(
        "initial-password",
        "(?i-u:password)",
        r"(?i-u:\bpassword)[^\r\n]{0,80}\r?\n\s*(?P<secret>[A-Fa-f0-9]{24,64}|[A-Za-z0-9+/_-]{16,64})[ \t]*(?:\r?\n|$)",
        Accept::Mixed,
    ),
    rule(
        "used-as-password",
        "(?i-u: as )",
        r#"(?i-u:\b(?:use|using|with|try|set))[ \t]+["'`]?(?P<secret>[^\s"'`]{6,})["'`]?[ \t]+as[ \t]+(?i-u:(?:the|your|my|our|its)[ \t]+)?(?:[A-Za-z]+[ \t]+){0,2}?(?i-u:password|passwd|passphrase|passcode|token|secret|api[ _-]?key)"#,
        Accept::Said,
    ),
    rule(
        "login-pair",
        "(?i-u:login|cred|user)",
        r#"(?i-u:\b(?:login|credentials?|creds|user(?:name)?|account))[ \t]*(?i-u:is|are|with)?[ \t]*[:=]?[ \t]*[^\s/:]+[ \t]+(?:/|:|and)[ \t]+(?P<secret>[^\s"'`]{6,})"#,
        Accept::Said,
    ),
    rule(
        "password-abroad",
        "пароль|Пароль|密码|密碼|パスワード|비밀번호|has[łl]o|Has[łl]o|[şŞ]ifre|m[ậa]t kh[ẩa]u|รหัสผ่าน|clave|Clave|chl[üu]ssel|heslo|Heslo|parola|Parola|wachtwoord|la password|salasana|jelszó|lösenord|adgangskode|contraseña|Contraseña",
        r#"(?:[Пп]ароль|密码|密碼|パスワード|비밀번호|[Hh]as[łl]o|[şŞ]ifre(?:niz)?|m[ậa]t kh[ẩa]u|รหัสผ่าน|[Cc]lave|[A-Za-z-]*[Ss]chl[üu]ssel|[Hh]eslo|[Pp]arola|[Ww]achtwoord|la password|[Ss]alasana|[Jj]elszó|[Ll]ösenord(?:et)?|[Aa]dgangskode|[Cc]ontraseña)(?:[ \t]+(?:del?|para|für|do|dla|voor|per|к|для|for)[ \t]+[^\s.,:;]+(?:[ \t]+[^\s.,:;]+){0,3}?)?[ \t]*(?:[:：=]|是|は|为|為|es|jest|to|ist|lautet|это|è|e'|là|on|är|er|is)?[ \t]*["'`«「]?(?P<secret>[^\s"'`»」,;。]{6,})"#,
        Accept::Said,
    ),
    rule(
        "block-value",
        r":[ \t]*[|>][+-]?[ \t]*\r?\n",
        concat!(
            r"(?P<name>",
            secret_name!(),
            r#")["']?[ \t]*:[ \t]*[|>][+-]?[ \t]*\r?\n[ \t]+(?P<secret>[^\s]+)"#
        ),
        Accept::Element,
    ),
    rule(
        "reversed-pair",
        "(?i-u:val(?:ue)?)",
        concat!(
            r#"(?i-u:\bval(?:ue)?)\\*["']?[ \t]*[:=][ \t]*\\*["']?(?P<secret>[^\s"'`,;\\]+)\\*["']?[\s,;]{1,40}\\*["']?(?i-u:name|key)\\*["']?[ \t]*[:=][ \t]*\\*["']?(?P<name>"#,
            secret_name!(),
            r#")\\*["']?(?:[\s,}\]]|$)"#,
        ),
        Accept::Element,
    ),
    rule(
        "netrc",
        "(?i-u:login)",
        r"(?i-u:\blogin)[ \t\r\n]+\S+[ \t\r\n]+(?i-u:password)[ \t\r\n]+(?P<secret>[^\s]+)",
        Accept::Argument,
    ),
    rule(
        "redis-config",
        "requirepass|masterauth|sentinel auth-pass",
        r#"(?:requirepass|masterauth|auth-pass[ \t]+\S+)[ \t]+["']?(?P<secret>[^\s"']+)"#,
        Accept::Argument,
    ),
    rule(
        "xml-secret",
        "</|<key>",
        concat!(
            r#"(?:<key>[^<]*(?i-u:password|passwd|secret|token|apikey)[^<]*</key>\s*<string>|(?i-u:key|name)=["'][^"'<>]*(?i-u:password|passwd|pwd|secret|token|api[_-]?key)["'][^<>]*>\s*|<(?P<name>(?:[A-Za-z0-9]+:)?"#,
            secret_name!(),
            r#")(?:\s[^<>]*)?>\s*)(?P<secret>[^<>\s][^<>\r\n]*)</"#,
        ),
        Accept::Element,
    ),
    rule(
        "pair",
        "(?i-u:val)",
        concat!(
            r#"(?i-u:\b(?:name|key|header|variable|option))\\*["']?\s*[:=]\s*\\*["']?(?P<name>(?i-u:authorization|cookie|"#,
            secret_name!(),
            r#"))\\*["']?[\s,;]{0,40}\\*["']?(?i-u:val(?:ue)?)\\*["']?\s*[:=]\s*"#,
            value!(),
        ),
        Accept::Assignment,
    ),
    rule(
        "encoded-auth",
        r#"_?auth\\*["']?\s*[:=]"#,
        r#"_?auth\\*["']?\s*[:=]\s*\\*["']?(?P<secret>[A-Za-z0-9+/_-]{8,}=*)"#,
        Accept::Basic,
    ),
    rule("assignment", assignment::TRIGGER, assignment::PATTERN, Accept::Assignment),
    rule(
        "option",
        "--?(?i-u:[a-z-]*(?:pass|pwd|token|secret|key))",
        assignment::OPTION_PATTERN,
        Accept::Assignment,
    ),
    rule(
        "password-said",
        r"(?i-u:pass|token|key|secret|pin|pwd|kennwort|contrase|senha|wachtwoord) ?",
        assignment::PROSE_PATTERN,
        Accept::Prose,
    ),
];

/// E-mail addresses, telephone numbers, numbers of payment cards and bank accounts.
pub(super) const PII: &[BuiltIn] = &[
    rule(
        "email",
        "@",
        r"(?-u:\b)[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.){1,8}[A-Za-z]{2,24}(?-u:\b)",
        Accept::Always,
    ),
    rule(
        "iban",
        r"[A-Z]{2}\d{2} ?[A-Z0-9]{4}",
        r"(?-u:\b)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?-u:\b)",
        Accept::Iban,
    ),
    rule("card", r"\d{4}[ -]?\d", r"(?-u:\b)\d(?:[ -]?\d){12,18}(?-u:\b)", Accept::Card),
    rule(
        "phone",
        r"\+\d|\(\d{3}\)|\d{3}[-. ]\d{3}[-. ]\d{4}",
        r"(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){2,4}|\(\d{3}\)[ .-]?\d{3}[ .-]\d{4}|(?-u:\b)\d{3}[-. ]\d{3}[-. ]\d{4})(?-u:\b)",
        Accept::Phone,
    ),
];

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn patterns_compile_and_never_match_empty_text() {
        for rule in BUILT_IN.iter().chain(PII) {
            for pattern in [rule.trigger, rule.pattern] {
                let regex = Regex::new(pattern).unwrap_or_else(|error| panic!("{}: {error}", rule.name));
                assert!(!regex.is_match(""), "{}", rule.name);
                // The Unicode tables for it are not compiled in; features that other crates enable in tests
                // must not hide that.
                assert!(!pattern.contains("(?i:") && !pattern.contains("(?i)"), "{}", rule.name);
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
