//! Both directions: secrets are replaced, other text stays.

use memory_core::{Action, Feedback, NewArtifact, Outcome, Quality, Task};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn redacted(text: &str) -> (String, u32) {
    let mut text = text.to_owned();
    let count = Redactor::default().redact_text(&mut text);
    (text, count)
}

/// Letters of both cases and digits, the same for the same seed.
fn key(length: usize, seed: u64) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut key: String = (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(ALPHABET[(state >> 33) as usize % ALPHABET.len()])
        })
        .collect();
    key.replace_range(..3, "aB1");
    key
}

fn hex(length: usize, seed: u64) -> String {
    key(length * 2, seed)
        .bytes()
        .map(|byte| char::from(b"0123456789abcdef"[byte as usize % 16]))
        .take(length - 2)
        .collect::<String>()
        + "a1"
}

/// Secrets that are known by their shape alone, with the rule that takes them.
fn shaped(seed: u64) -> Vec<(&'static str, String)> {
    let key = |length| key(length, seed);
    let hex = |length| hex(length, seed);
    let upper = |length| key(length).to_uppercase();
    vec![
        ("openai-key", format!("sk-{}T3BlbkFJ{}", key(20), key(20))),
        ("openai-key", format!("sk-proj-{}_{}-{}", key(40), key(40), key(20))),
        ("openai-key", format!("sk-svcacct-{}", key(60))),
        ("openai-key", format!("sk-or-v1-{}", hex(64))),
        ("openai-key", format!("sk-{}", hex(32))),
        ("anthropic-key", format!("sk-ant-api03-{}-{}AA", key(40), key(50))),
        ("google-key", format!("AIza{}", key(35))),
        ("google-oauth", format!("GOCSPX-{}", key(28))),
        ("github-token", format!("ghp_{}", key(36))),
        ("github-token", format!("gho_{}", key(36))),
        ("github-token", format!("ghs_{}", key(36))),
        ("github-token", format!("ghu_{}", key(36))),
        ("github-token", format!("ghr_{}", key(76))),
        ("github-token", format!("github_pat_{}_{}", key(22), key(59))),
        ("gitlab-token", format!("glpat-{}", key(20))),
        ("slack-token", format!("xoxb-1234567890-1234567890123-{}", key(24))),
        ("slack-token", format!("xoxp-1234567890-{}", key(24))),
        ("slack-token", format!("xapp-1-A012345-1234567890-{}", hex(64))),
        ("stripe-key", format!("sk_live_{}", key(24))),
        ("stripe-key", format!("rk_live_{}", key(24))),
        ("stripe-key", format!("whsec_{}", key(32))),
        ("huggingface-token", format!("hf_{}", key(34))),
        ("npm-token", format!("npm_{}", key(36))),
        ("pypi-token", format!("pypi-AgEIcHlwaS5vcmc{}", key(100))),
        ("crates-token", format!("cio{}", key(32))),
        ("sendgrid-key", format!("SG.{}.{}", key(22), key(43))),
        ("twilio-key", format!("SK{}", hex(32))),
        ("digitalocean-token", format!("dop_v1_{}", hex(64))),
        ("shopify-token", format!("shpat_{}", hex(32))),
        ("databricks-token", format!("dapi{}", hex(32))),
        ("telegram-token", format!("123456789:AA{}", key(33))),
        ("vault-token", format!("hvs.{}", key(90))),
        ("grafana-token", format!("glsa_{}_{}", key(32), hex(8))),
        ("docker-token", format!("dckr_pat_{}", key(27))),
        ("supabase-token", format!("sbp_{}", hex(40))),
        ("model-provider-key", format!("gsk_{}", key(52))),
        ("model-provider-key", format!("xai-{}", key(80))),
        ("model-provider-key", format!("pplx-{}", key(48))),
        ("model-provider-key", format!("r8_{}", key(37))),
        ("service-token", format!("lin_api_{}", key(40))),
        ("jwt", format!("eyJhbGciOiJFZERTQSJ9.eyJ{}.{}", key(40), key(86))),
        ("aws-access-key-id", format!("AKIA{}", upper(16))),
        ("aws-access-key-id", format!("ASIA{}", upper(16))),
        (
            "private-key",
            format!(
                "-----BEGIN RSA PRIVATE KEY-----\n{}\n{}\n-----END RSA PRIVATE KEY-----",
                key(64),
                key(64)
            ),
        ),
        (
            "private-key",
            format!(
                "-----BEGIN PRIVATE KEY-----\\n{}\\n{}==\\n-----END PRIVATE KEY-----\\n",
                key(64),
                key(20)
            )
            .trim_end_matches("\\n")
            .to_owned(),
        ),
        (
            "private-key",
            format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----", key(70)),
        ),
        (
            "private-key",
            format!(
                "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\n\n{}\n-----END PGP PRIVATE KEY BLOCK-----",
                key(64)
            ),
        ),
    ]
}

#[test]
fn shapes_are_taken_whole_by_their_rule() {
    let surroundings = [
        ("", ""),
        ("call with ", " please"),
        ("\"", "\""),
        ("key='", "'"),
        ("(", ")"),
        ("<", ">"),
        ("https://x.io/?k=", "&y=1"),
        ("line\n", "\nline"),
        ("{\\n", "\\n}"),
        ("a,", ",b"),
        ("`", "`"),
        ("\u{1b}[31m", "\u{1b}[0m"),
        ("key%3D", ""),
        ("ключ:", "。"),
        ("export KEY=", "\n"),
        ("[", "]"),
        ("see ", "."),
    ];
    for (rule, secret) in shaped(7) {
        for (before, after) in surroundings {
            let text = format!("{before}{secret}{after}");
            let (found, count) = redacted(&text);
            assert_eq!(
                (found.as_str(), count),
                (format!("{before}[REDACTED:{rule}]{after}").as_str(), 1),
                "{text}"
            );
        }
    }
}

#[test]
fn secrets_in_context() {
    let check = |text: &str, expected: &str| assert_eq!(redacted(text).0, expected, "{text}");
    check("Authorization: Bearer abcDEF123", "Authorization: Bearer [REDACTED:authorization]");
    check("authorization: bearer abcdef-123456.xyz_7", "authorization: bearer [REDACTED:authorization]");
    check("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [REDACTED:authorization]");
    check(
        "curl -H 'Authorization: token 0123abcdef'",
        "curl -H 'Authorization: token [REDACTED:authorization]'",
    );
    check(
        r#"{\"Authorization\": \"Bearer abcDEF123\"}"#,
        r#"{\"Authorization\": \"Bearer [REDACTED:authorization]\"}"#,
    );
    check("sent Bearer 0123456789abcdef0123", "sent Bearer [REDACTED:bearer]");
    check("used Basic YWxpY2U6aHVudGVyMg==", "used Basic [REDACTED:basic]");
    check("postgres://app:s3cr3t@db.local:5432/x", "postgres://app:[REDACTED:url-password]@db.local:5432/x");
    check("https://u:p%40ss@host/a?b=c", "https://u:[REDACTED:url-password]@host/a?b=c");
    check("redis://:letmein@10.0.0.1:6379", "redis://:[REDACTED:url-password]@10.0.0.1:6379");
    check("mongodb+srv://u:p@ss@c.net", "mongodb+srv://u:[REDACTED:url-password]@c.net");
    check("curl -u admin:hunter2 http://x", "curl -u admin:[REDACTED:curl-user] http://x");
    check("PASSWORD=hunter2", "PASSWORD=[REDACTED:assignment]");
    check("DB_PASSWORD=letmein\nPORT=5432", "DB_PASSWORD=[REDACTED:assignment]\nPORT=5432");
    check("password: hunter2.", "password: [REDACTED:assignment].");
    check("  password: letmein\n  user: bob", "  password: [REDACTED:assignment]\n  user: bob");
    check("password = 'correct horse'", "password = '[REDACTED:assignment]'");
    check(r#"let password: &str = "hunter2";"#, r#"let password: &str = "[REDACTED:assignment]";"#);
    check(
        r#"{"user":"bob","password":"hunter2","x":1}"#,
        r#"{"user":"bob","password":"[REDACTED:assignment]","x":1}"#,
    );
    check(
        r#"{\"password\": \"hunter2\", \"x\": 1}"#,
        r#"{\"password\": \"[REDACTED:assignment]\", \"x\": 1}"#,
    );
    check(r#"dbPassword: "a\"b c""#, r#"dbPassword: "[REDACTED:assignment]""#);
    check("api_key=abc123def456&x=1", "api_key=[REDACTED:assignment]&x=1");
    check("X-Api-Key: 0a1b2c3d4e", "X-Api-Key: [REDACTED:assignment]");
    check("GITHUB_TOKEN=0a1b2c3d4e5f", "GITHUB_TOKEN=[REDACTED:assignment]");
    check("client_secret = \"Zx8~q2.abc\"", "client_secret = \"[REDACTED:assignment]\"");
    check("token: '8f14e45fceea167a5a36dedd4bea2543'", "token: '[REDACTED:assignment]'");
    check("user=bob token=5 password=a1b2c3", "user=bob token=5 password=[REDACTED:assignment]");
    check(
        "password=aaa111 and password=bbb222",
        "password=[REDACTED:assignment] and password=[REDACTED:assignment]",
    );
    check("--token abc123def456 --verbose", "--token [REDACTED:option] --verbose");
    check("--password=hunter2", "--password=[REDACTED:assignment]");
    check("my password is hunter2, ok?", "my password is [REDACTED:password-said], ok?");
    check(
        "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_SECRET_ACCESS_KEY=[REDACTED:aws-secret-key]",
    );
    check(
        r#""SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY""#,
        r#""SecretAccessKey": "[REDACTED:aws-secret-key]""#,
    );
    check(
        "AccountName=a;AccountKey=aB1+aB1/aB1+aB1/aB1+aB1/aB1+aB1/==;",
        "AccountName=a;AccountKey=[REDACTED:azure-key];",
    );
    check("Cookie: session=0123456789abcdef0123; theme=dark\n", "Cookie: [REDACTED:cookie]\n");
    check(
        "https://hooks.slack.com/services/T000/B000/aB1aB1aB1aB1aB1aB1aB1aB1",
        "https://hooks.slack.com/services/[REDACTED:webhook]",
    );
}

#[test]
fn a_key_that_is_cut_off_goes_up_to_where_it_ends() {
    let line = key(64, 5);
    let check = |text: String, expected: &str| assert_eq!(redacted(&text).0, expected, "{text}");
    let begin = "-----BEGIN PRIVATE KEY-----";
    check(format!("a {begin}\n{line}\n{line}"), "a [REDACTED:private-key]");
    check(format!("a {begin}\n{line}\nMIIE"), "a [REDACTED:private-key]");
    check(format!("a {begin}\n{line}\n… is a key, länger"), "a [REDACTED:private-key]\n… is a key, länger");
    check(format!("{begin}\n{line}\n{begin}\n{line}"), "[REDACTED:private-key]\n[REDACTED:private-key]");
}

/// Text that must stay unchanged.
const HARMLESS: &[&str] = &[
    "",
    "The quick brown fox",
    "550e8400-e29b-41d4-a716-446655440000",
    "id: 019a2b3c-4d5e-7f80-9a1b-2c3d4e5f6071",
    "commit 3c8acc7f0e1d2b3a4c5d6e7f8091a2b3c4d5e6f7",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "md5 d41d8cd98f00b204e9800998ecf8427e",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "Return #W6067464 via credit_card_4190576",
    "user_id mia_li_3668, gift_card_1725971, paypal_3738584, certificate_7504069",
    "call_oIHazX6yQrB8hUwl4cRilFKj",
    "max_tokens: 100",
    "max_tokens=4096, n=1",
    "\"max_tokens\": 100, \"token_count\": 25",
    "token count: 512",
    "the token count is 12345678",
    "prompt_token: 1234abcd",
    "next_page_token=abc123def456",
    "eos_token = \"</s>\"",
    "token: EOF",
    "tokens: [\"a1b2c3d4\", \"b\"]",
    "the password field is required",
    "password: required",
    "Password: must be at least 8 characters",
    "password: 8-20 characters",
    "the password is incorrect",
    "the password is required to have 8 characters",
    "reset the password: see the wiki",
    "your password was changed",
    "I forgot my password",
    "The secret: practice every day",
    "the secret to success",
    "password = input(\"Password: \")",
    "password = getpass.getpass()",
    "def getpass(prompt='Password: ', stream=None):",
    "ask(\"Token: \", default=\"\", retries=3)",
    "password = \":****\"",
    "api_key = os.environ[\"API_KEY\"]",
    "api_key=os.getenv(\"OPENAI_API_KEY\")",
    "apiKey: process.env.OPENAI_API_KEY",
    "OpenAI(api_key=settings.openai_api_key)",
    "login(user=user, password=password)",
    "connect(password=pw)",
    "password: String,",
    "password: str, token: Optional[str] = None",
    "pub password: Option<String>",
    "let token = lexer.next();",
    "token = next_token();",
    "self.token = token",
    "API_KEY=${API_KEY}",
    "TOKEN=$TOKEN",
    "password: {{ db_password }}",
    "password=<your-password>",
    "password=****",
    "api_key: your-api-key",
    "api_key = \"YOUR_API_KEY\"",
    "secret_name: my-secret",
    "password_hash, secret_name, token_type",
    "private_key: /etc/ssl/private/server.pem",
    "token_url: https://auth.example.com/token",
    "token = \"https://auth.example.com/oauth/token\"",
    "/home/user/.ssh/id_rsa",
    "C:\\Users\\bob\\secrets.txt",
    "src/auth/token.rs:17: error",
    "http://localhost:8080/@user/path",
    "https://example.com:8443/a@b",
    "https://www.npmjs.com/package/@scope/name",
    "git@github.com:owner/repo.git",
    "ssh://git@github.com:22/owner/repo.git",
    "https://user@host.example/path",
    "mail mia.li3818@example.com or bob:bob@example.com",
    "postgres://app:${DB_PASSWORD}@db/x",
    "sk-learn",
    "pip install sk-learn-contrib-imbalanced-ensemble",
    "skip-this-very-long-kebab-case-name-that-goes-on",
    "task-sk-estimation-of-the-next-sprint",
    "hf_hub_download(repo_id)",
    "npm_config_registry",
    "ghp_short",
    "AKIA is the prefix of AWS keys",
    "eyJhbGciOiJIUzI1NiJ9 is only a header",
    "Bearer token is required",
    "the bearer of bad news",
    "Authorization header missing",
    "Authorization: required",
    "Authorization: Bearer <token>",
    "Authorization: Bearer $TOKEN",
    "Basic authentication is supported, Basic understanding helps",
    "-----BEGIN PRIVATE KEY----- starts and -----END PRIVATE KEY----- ends a key",
    "-----BEGIN CERTIFICATE-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2v8kG bob@host",
    "primary key: id, foreign key: user_id",
    "press any key: continue",
    "keyboard, monkey=1, turkey: 2",
    "I would like two chocolate cookies: one=1",
    "flight HAT136 on 2024-05-20 for $130",
    "1.2.3.4:8080, ::1, 10:30:00",
    "if password == \"\": raise",
    "grep -n 'token' src/*.rs",
    "[REDACTED:openai-key]",
];

#[test]
fn what_is_no_secret_stays() {
    for text in HARMLESS {
        assert_eq!(redacted(text), ((*text).to_owned(), 0));
        let mut value = json!({"text": text, "list": [text]});
        let before = value.clone();
        assert_eq!(Redactor::default().redact_json(&mut value), 0, "{text}");
        assert_eq!(value, before);
    }
}

#[test]
fn fields_are_known_by_their_name() {
    let check = |mut value: Value, expected: Value, count: u32| {
        let redactor = Redactor::default();
        let text = value.to_string();
        assert_eq!(redactor.redact_json(&mut value), count, "{text}");
        assert_eq!(value, expected);
        assert_eq!(redactor.redact_json(&mut value), 0, "{value}");
    };
    let mark = "[REDACTED:secret-field]";
    for name in [
        "password",
        "Passwd",
        "db_password",
        "secret",
        "api_key",
        "apiKey",
        "X-API-Key",
        "accessToken",
        "refresh_token",
        "client_secret",
        "private_key",
        "authorization",
    ] {
        check(json!({name: "abcd efgh".replace(' ', "")}), json!({name: mark}), 1);
        check(json!({"a": [{name: "hunter2"}]}), json!({"a": [{name: mark}]}), 1);
        check(json!({name: ""}), json!({name: ""}), 0);
        check(json!({name: "${VALUE}"}), json!({name: "${VALUE}"}), 0);
        check(json!({name: null}), json!({name: null}), 0);
        check(json!({name: {"type": "string"}}), json!({name: {"type": "string"}}), 0);
    }
    check(json!({"password": 123_456}), json!({"password": mark}), 1);
    check(json!({"token": "f00dfeed12"}), json!({"token": mark}), 1);
    check(json!({"token": "hello"}), json!({"token": "hello"}), 0);
    check(json!({"next_page_token": "f00dfeed12"}), json!({"next_page_token": "f00dfeed12"}), 0);
    check(json!({"tokens": ["hello", "a1b2c3d4"]}), json!({"tokens": ["hello", "a1b2c3d4"]}), 0);
    check(json!({"max_tokens": 100}), json!({"max_tokens": 100}), 0);
    check(json!({"password": "is too short"}), json!({"password": "is too short"}), 0);
    check(
        json!({"password": "The password of the user"}),
        json!({"password": "The password of the user"}),
        0,
    );
    check(json!({"private_key": "/etc/ssl/key.pem"}), json!({"private_key": "/etc/ssl/key.pem"}), 0);
    let token = format!("ghp_{}", key(36, 1));
    check(
        json!({"nested": {"deep": [[token]]}}),
        json!({"nested": {"deep": [["[REDACTED:github-token]"]]}}),
        1,
    );
    let other = format!("ghp_{}", key(36, 2));
    let mut keys = json!({token.as_str(): 1, other.as_str(): 2});
    assert_eq!(Redactor::default().redact_json(&mut keys), 2);
    let names: Vec<_> = keys.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["[REDACTED:github-token]", "[REDACTED:github-token]#2"]);
    check(json!("{\"password\":\"hunter2\"}"), json!("{\"password\":\"[REDACTED:assignment]\"}"), 1);
}

#[test]
fn every_text_of_the_domain_is_covered() {
    let secret = format!("sk_live_{}", key(24, 3));
    let text = || secret.clone();
    let redactor = Redactor::default();
    let clean = |shown: String| assert!(!shown.contains(&secret[..12]), "{shown}");

    let mut task = Task::new(text()).kind(text()).domain(text()).language(text()).framework(text());
    task = task.tag(text()).tag(text()).agent(text()).correlation_id(text());
    assert_eq!(redactor.redact_task(&mut task), 9);
    clean(format!("{task:?}"));

    let mut action = Action::tool(text()).description(text()).observation(text());
    action = action.arguments(json!({"a": [text()], "b": {"password": "x y z"}}));
    action = action.attributes(json!({"c": text()}));
    assert_eq!(redactor.redact_action(&mut action), 6);
    clean(format!("{action:?}"));

    for mut outcome in [
        Outcome::success(text()),
        Outcome::Partial { fraction: 0.5, summary: text() },
        Outcome::failure(text()),
        Outcome::abstained(text()),
    ] {
        assert_eq!(redactor.redact_outcome(&mut outcome), 1);
        clean(format!("{outcome:?}"));
    }

    let mut product = NewArtifact::new(text(), text())
        .media_type(text())
        .language(text())
        .quality(Quality::default().measure(text(), 1.0))
        .attributes(json!({"c": text()}));
    assert_eq!(redactor.redact_product(&mut product), 6);
    clean(format!("{product:?}"));

    let reviewed = Quality::default().measure(text(), 1.0);
    let mut feedback =
        Feedback::new(text()).outcome(Outcome::failure(text())).comment(text()).quality(reviewed);
    assert_eq!(redactor.redact_feedback(&mut feedback), 4);
    clean(format!("{feedback:?}"));
}

#[test]
fn configuration() {
    let token = format!("ghp_{}", key(36, 1));
    let redact = |config: &RedactionConfig| {
        let mut text = format!("{token} TICKET-17 password=hunter2");
        Redactor::new(config).unwrap().redact_text(&mut text);
        text
    };
    let mut config = RedactionConfig::default();
    assert_eq!(redact(&config), "[REDACTED:github-token] TICKET-17 password=[REDACTED:assignment]");
    config.disabled_rules = vec!["github-token".into()];
    config.extra_rules =
        vec![RedactionRule { name: "ticket".into(), pattern: r"TICKET-(?P<secret>\d+)".into() }];
    assert_eq!(redact(&config), format!("{token} TICKET-[REDACTED:ticket] password=[REDACTED:assignment]"));
    config.enabled = false;
    assert_eq!(redact(&config), format!("{token} TICKET-17 password=hunter2"));

    let check = |disabled: &[&str], name: &str, pattern: &str| {
        let config = RedactionConfig {
            disabled_rules: disabled.iter().map(|name| (*name).to_owned()).collect(),
            extra_rules: vec![RedactionRule { name: name.into(), pattern: pattern.into() }],
            ..RedactionConfig::default()
        };
        assert!(Redactor::new(&config).is_err(), "{config:?}");
    };
    check(&["no-such-rule"], "ok", "x");
    check(&[], "", "x");
    check(&[], "a]b", "x");
    check(&[], "ok", "(");
    check(&[], "ok", "x*");
}

#[test]
fn patterns_of_the_application_never_look_into_marks() {
    let rule = |name: &str, pattern: &str| RedactionRule { name: name.into(), pattern: pattern.into() };
    let config = RedactionConfig {
        extra_rules: vec![rule("all-caps", "[A-Z]{2,}"), rule("number", "[0-9]+"), rule("any", "z.+")],
        ..RedactionConfig::default()
    };
    let redactor = Redactor::new(&config).unwrap();
    let mut text = "AB 12 cd zxy EF".to_owned();
    assert_eq!(redactor.redact_text(&mut text), 4);
    assert_eq!(text, "[REDACTED:all-caps] [REDACTED:number] cd [REDACTED:any][REDACTED:all-caps]");
    assert_eq!(redactor.redact_text(&mut text), 0);
}

fn innocent() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        8 => "[a-z]{1,12}",
        2 => "[A-Z][a-z]{1,10}",
        1 => "[0-9]{1,6}",
        1 => "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}",
        1 => "[0-9a-f]{40}",
        1 => "#W[0-9]{7}",
        1 => "credit_card_[0-9]{7}",
        1 => "[a-z]{2,6}/[a-z]{2,6}\\.rs",
        1 => "[a-z]{2,6}@[a-z]{2,6}\\.com",
    ];
    let joint =
        prop_oneof![6 => Just(" "), 1 => Just(", "), 1 => Just("\n"), 1 => Just(". "), 1 => Just(" - ")];
    proptest::collection::vec((word, joint), 0..60)
        .prop_map(|words| words.into_iter().map(|(word, joint)| word + joint).collect())
}

proptest! {
    #[test]
    fn innocent_text_never_changes(text in innocent()) {
        prop_assert_eq!(redacted(&text), (text, 0));
    }

    #[test]
    fn a_secret_anywhere_is_removed(
        before in innocent(),
        after in innocent(),
        seed in any::<u64>(),
        which in any::<prop::sample::Index>(),
        quote in prop_oneof![Just(""), Just("\""), Just("'"), Just("`"), Just("\n"), Just("\\n")],
    ) {
        let secrets = shaped(seed);
        let (rule, secret) = which.get(&secrets);
        let (found, count) = redacted(&format!("{before} {quote}{secret}{quote} {after}"));
        prop_assert_eq!(&found, &format!("{before} {quote}[REDACTED:{rule}]{quote} {after}"));
        prop_assert_eq!(count, 1);
    }

    #[test]
    fn redacting_twice_is_redacting_once(
        parts in proptest::collection::vec(prop_oneof![
            "\\PC{0,20}",
            Just("password=".to_owned()), Just("\"token\": \"".to_owned()), Just("Bearer ".to_owned()),
            Just("[REDACTED:jwt]".to_owned()), Just("[REDACTED:".to_owned()), Just("://a:b@c".to_owned()),
            Just("-----BEGIN PRIVATE KEY-----".to_owned()), "[A-Za-z0-9]{8,40}", "\n",
        ], 0..12)
    ) {
        let mut text = parts.concat();
        let redactor = Redactor::default();
        redactor.redact_text(&mut text);
        let once = text.clone();
        prop_assert_eq!(redactor.redact_text(&mut text), 0);
        prop_assert_eq!(text, once);
    }
}

/// Returns the secrets that remain, and how many there are.
fn left_over() -> (Vec<String>, usize) {
    let redactor = Redactor::default();
    let (texts, values) = (probes::secrets(), probes::json_secrets());
    let total = texts.len() + values.len();
    let mut left = Vec::new();
    for (text, secret) in texts {
        let mut redacted = text.clone();
        redactor.redact_text(&mut redacted);
        if redacted.contains(secret) || secret.len() > 6 && redacted.contains(&secret[2..secret.len() - 2]) {
            left.push(format!("{text:?} -> {redacted:?}"));
        }
    }
    for (value, secret) in values {
        let redacted = probes::redacted_json(&redactor, value.clone());
        if redacted.contains(secret) {
            left.push(format!("{value} -> {redacted}"));
        }
    }
    (left, total)
}

#[test]
fn everyday_secrets_go() {
    let (left, total) = left_over();
    assert!(left.len() * 100 <= total * 3, "{} of {total} stay:\n{}", left.len(), left.join("\n"));
}

#[test]
fn look_alikes_stay() {
    let redactor = Redactor::default();
    let changed: Vec<String> = probes::LOOK_ALIKES
        .iter()
        .filter_map(|text| {
            let mut redacted = (*text).to_owned();
            (redactor.redact_text(&mut redacted) > 0).then(|| format!("{text:?} -> {redacted:?}"))
        })
        .collect();
    let total = probes::LOOK_ALIKES.len();
    assert!(changed.len() * 100 <= total * 3, "{} of {total} change:\n{}", changed.len(), changed.join("\n"));
}

#[test]
fn work_grows_with_the_length_of_hostile_text() {
    let work = |text: String| {
        let (mut text, mut work) = (text, 0);
        let redactor = Redactor::default();
        redactor.rules.as_ref().unwrap().redact_counted(&mut text, &mut work);
        work
    };
    let token = format!("dop_v1_{}", "0123456789abcdef".repeat(4));
    let key = format!("AKIA{}", "Z7".repeat(8));
    for piece in [
        token.clone(),
        format!("{token}{key}"),
        format!("-----BEGIN PRIVATE KEY-----\n{}\n", self::key(40, 1)),
        "-----BEGIN PRIVATE KEY-----".into(),
        "curl -x ".into(),
        "://a:b".into(),
        "eyJ".into(),
        "[REDACTED:".into(),
        "echo abc|".into(),
        "password=\"".into(),
        "{\"password\":[".into(),
        "password: abc123 ".into(),
        "curl -u a:b1c2d3 ".into(),
        "<password>".into(),
        "name: DB_PASSWORD ".into(),
        "-----BEGIN PRIVATE KEY-----".into(),
        "https://".into(),
        "aA1@bB2.".into(),
    ] {
        for count in [50, 200, 800] {
            let hostile = |count| format!("{} x --password-stdin password 'x' </", piece.repeat(count));
            let (once, twice) = (work(hostile(count)), work(hostile(2 * count)));
            assert!(
                twice <= 2 * once + once / 8 + 50_000,
                "{piece:.40}: {once} for {count}, {twice} for twice as many"
            );
        }
    }
}
