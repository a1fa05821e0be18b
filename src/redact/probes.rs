//! Everyday texts: secrets that must go, and similar text that must stay. All values are invented.

use serde_json::{Value, json};

use super::Redactor;

/// A text and the secret in it.
pub(super) fn secrets() -> Vec<(String, &'static str)> {
    let mut probes: Vec<(String, &'static str)> = Vec::new();
    let mut add = |text: &str, secret: &'static str| probes.push((text.replace("{}", secret), secret));
    const AWS: &str = concat!("wJalrXUtnFEMI/K7MDENG", "/bPxRfiCYzzzzEXAMPLE");
    const HEX: &str = "9f86d081884c7d659a2feaa0c55ad015";
    const MIXED: &str = "Zk8vQ2mX7pLw4RtY9sBn";
    const PW: &str = "hunter2-Blue!";
    // Clouds.
    add(
        "AWS Access Key ID [None]: AKIAZZZZZZZZZZZZZZZ7\nAWS Secret Access Key [None]: {}\nDefault region name [None]:",
        AWS,
    );
    add("| SecretAccessKey |  {}  |", AWS);
    add("export AWS_SECRET_ACCESS_KEY={}", AWS);
    add("aws_secret_access_key = {}", AWS);
    add("creds AKIAZZZZZZZZZZZZZZZ7 {}", AWS);
    add("\"SecretAccessKey\": \"{}\",\n\"SessionToken\": \"x\"", AWS);
    add("|  SessionToken    |  {}  |", "IQoJb3JpZ2luX2VjEHwaCXVzLWVhc3QtMSJHMEUCIQDzzzzzzzzzzzzzzzzzz7zzz");
    add("refresh_token: {}", concat!("1//", "0gzzzzzzzzzzzzCgYIARAAGBASNwF-L9IrzzzzzzzzzzzzzzzzzzzzA1"));
    add(
        "got {} from the console",
        concat!("1//", "0gzzzzzzzzzzzzCgYIARAAGBASNwF-L9IrzzzzzzzzzzzzzzzzzzzzA1"),
    );
    add("key={} for gemini", concat!("AQ", ".Ab8RN6Izzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz7zzzz"));
    add("secret value {} expires 2027", concat!("a1b", "8Q~zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz7zz"));
    add(
        "git clone https://{}@dev.azure.com/org/project/_git/repo",
        "zzzq7zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
    );
    add("remote: https://x-access-token:{}@github.com/a/b", MIXED);
    add(
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={};EndpointSuffix=core.windows.net",
        "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz7zzzzzzzzzzzzzzzz/zzzzzzzzzzzzzzzzzzz==",
    );
    add("Server=tcp:db.example.net;Database=x;User ID=sa;Password={};Encrypt=True", "Sup3rTr0uper");
    add("gcloud auth: client_secret={}", concat!("GOCSPX", "-zzzzzzzzzzzzzzzzzzzzzzz7zzzz"));
    add("az login -u me@example.org -p {}", PW);
    add("runner token {}", concat!("GR1348941", "zzzzzzzz7zzzzzzzzzzz"));
    add("SLACK: {}", concat!("xox", "c-1234567890-1234567890-abcdefabcdef"));
    add("d={}; other", concat!("xox", "d-zzzzzzzzzz%2Bzzzzzzzzzz7zzzzzz"));
    add(
        "AIRTABLE {}",
        concat!("pat", "zzzzzzzzzzzzz7.zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz7"),
    );
    add("figma {}", concat!("figd", "_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz7zzzzzzzz"));
    add("bot {}", concat!("MTA", "zzzzzzzzzzzzzzzzzzzzz7.Gzzzzz.zzzzzzzzzzzzzzzzzzzzzzzzzzzz7"));
    add("Authorization: SSWS {}", "00zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz7");
    add(
        "token in .terraformrc {}",
        concat!("zzzzzzzzzzzzz7", ".atlasv1.zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz7zzzz"),
    );
    add("mailgun {}", concat!("key-", "9f86d081884c7d659a2feaa0c55ad015"));
    add("square {}", concat!("sq0", "atp-zzzzzzzzzzzzzzzzzzzz7z"));
    add("SENTRY_DSN=https://{}@o1.ingest.sentry.io/12", HEX);
    add(
        "npm config set //registry.npmjs.org/:_authToken={}",
        concat!("npm", "_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz7"),
    );
    add("mailchimp {}", "9f86d081884c7d659a2feaa0c55ad015-us21");
    // Environment and settings files.
    for line in [
        "DB_PASS={}",
        "SMTP_PASS={}",
        "DB_PASSWORD_PROD={}",
        "password1={}",
        "REDIS_PASSWORD={} # cache",
        "MYSQL_ROOT_PASSWORD: {}",
        "export PGPASSWORD='{}'",
        "spring.datasource.password={}",
        "  password: {}",
        "db_pw = \"{}\"",
        "ENV DB_PASSWORD={}",
        "ARG ADMIN_PASSWORD={}",
        "set DB_PASSWORD={}",
        "$env:DB_PASSWORD = \"{}\"",
        "password = '{}'",
        "passwort: {}",
        "Password : {}",
        "SMTP_PASSWORD=\"{}\"",
        "ADMIN_PWD={}",
        "userPassword => '{}'",
        "+  password: \"{}\"",
        "-DB_PASS={}",
        "\"pass\": \"{}\"",
        "pass: {}",
        "'password': '{}',",
        "smtp.password={}",
        "KEYCLOAK_ADMIN_PASSWORD={}",
    ] {
        add(line, "Tr0mb0ne99");
    }
    for line in [
        "DB_PASSWORD={}",
        "export DB_PASS={}",
        "password: {}",
        "SMTP_PASSWORD={}\nNEXT=1",
        "  password: {}\n",
    ] {
        for value in [
            "!QAZ2wsx3edc",
            "@dm1nP4ss",
            "$uperS3cret",
            "Tr0ub4(dor)3",
            "Tr0ub4dor&3",
            "p@$$w0rd!x",
            "*Star7Fish*",
            "pa<55>word9",
        ] {
            add(line, value);
        }
    }
    for line in [
        "SECRET_KEY_BASE={}",
        "APP_KEY=base64:{}=",
        "JWT_KEY={}",
        "STRIPE_APP_KEY={}",
        "DATADOG_API_KEY={}",
        "DD_APP_KEY: {}",
        "SECRET_KEY = '{}'",
        "X-Api-Key: {}",
        "api-key: {}",
        "\"apiKey\": \"{}\"",
        "apikey={}&x=1",
        "client_secret={}",
        "WEBHOOK_SECRET={}",
        "ENCRYPTION_KEY={}",
        "session_secret: \"{}\"",
        "SIGNING_KEY={}",
        "auth_token = \"{}\"",
        "GITHUB_PAT={}",
        "ACCESS_TOKEN={}",
        "CI_JOB_TOKEN={}",
        "OPENAI_KEY={}",
        "SENDGRID_KEY: '{}'",
        "HONEYCOMB_WRITE_KEY={}",
        "curl -H 'X-Api-Key: {}' https://api.example.org",
        "?access_token={}&page=2",
        "token={}",
        "private_token: {}",
    ] {
        add(line, "Zk8vQ2mX7pLw4RtY9sBnT3cV6dFg1HjK");
    }
    // Command lines.
    for line in [
        "mysql -u root -p{} shop",
        "mysqldump --user=x -p{} db > out.sql",
        "sshpass -p {} ssh host",
        "sshpass -p '{}' scp a b",
        "docker login -u me -p {} registry.example.org",
        "redis-cli -h r -a {} ping",
        "mongo -u a -p {} db",
        "curl -u me:{} https://x.example",
        "curl --user me:{} https://x.example",
        "psql \"postgresql://me:{}@db/x\"",
        "helm registry login -u x -p {} r",
        "ldapsearch -x -D cn=a -w {} -b dc=x",
        "unzip -P {} a.zip",
        "7z x -p{} a.7z",
        "openssl rsa -passin pass:{} -in k.pem",
        "htpasswd -nb bob {}",
        "echo {} | docker login --password-stdin -u x",
        "echo \"bob:{}\" | chpasswd",
        "net user bob {} /add",
        "kubectl create secret generic x --from-literal=db={}",
        "CREATE USER bob IDENTIFIED BY '{}';",
        "ALTER ROLE bob WITH PASSWORD '{}';",
        "ALTER USER bob WITH LOGIN PASSWORD '{}'",
        "wget --user=a --password={} https://x",
        "ansible-playbook -e ansible_password={} site.yml",
        "mysqladmin --password={} status",
        "app --db-password {} --verbose",
        "tool --api-key {} run",
        "vault login -method=userpass username=a password={}",
        "smbclient //s/share -U bob%{}",
        "ConvertTo-SecureString '{}' -AsPlainText -Force",
        "subprocess.run([\"tool\", \"--password\", \"{}\"])",
        "['mysql', '-u', 'root', '--password={}']",
        "amqp://guest:{}@rabbit:5672/",
        "redis://:{}@cache:6379/0",
        "mongodb+srv://a:{}@c.example.net/x",
        "machine api.example.org login bob password {}",
        "machine h\n  login bob\n  password {}\n",
        "requirepass {}",
        "masterauth {}",
        "jdbc:mysql://db/x?user=a&password={}",
        "rabbitmqctl add_user bob {}",
        "sqlcmd -S s -U sa -P {}",
    ] {
        add(line, "Kx9mTr0mb0ne");
    }
    // Pairs, XML and cluster files.
    for text in [
        "- name: DB_PASSWORD\n  value: {}",
        "env:\n  - name: API_TOKEN\n    value: \"{}\"",
        "{\"name\": \"DB_PASSWORD\", \"value\": \"{}\"}",
        "[{\"Name\":\"SECRET_KEY\",\"Value\":\"{}\"}]",
        "<password>{}</password>",
        "<Password type=\"x\">{}</Password>",
        "<add key=\"DbPassword\" value=\"{}\"/>",
        "<property name=\"password\" value=\"{}\"/>",
        "<entry key=\"api.secret\">{}</entry>",
        "<key>password</key>\n<string>{}</string>",
        "<apiKey>{}</apiKey>",
        "connectionString=\"Data Source=x;User=sa;Password={};\"",
        "key: SMTP_PASSWORD\nvalue: {}",
    ] {
        add(text, "Zk8vQ2mX7pLw4RtY");
    }
    add(
        "client-key-data: {}",
        concat!("LS0tLS1CRUdJTi", "BSU0EgUFJJVkFURSBLRVktLS0tLQpNSUlFcEFJQkFBS0NBUUVBn7zz"),
    );
    add(
        "tls.key: {}",
        concat!("LS0tLS1CRUdJTi", "BQUklWQVRFIEtFWS0tLS0tCk1JSUV2UUlCQURBTkJna3Foa2lHOXcw7zz"),
    );
    add("\"auths\": {\"r\": {\"auth\": \"{}\"}}", "Ym9iOlpHazh2UTJtWDdwTHc0");
    add(
        ".dockerconfigjson: {}",
        concat!("eyJhdXRocyI6", "eyJyZWdpc3RyeSI6eyJhdXRoIjoiWm05dk9tSmhjZz09In19fQ7zzz"),
    );
    add("_auth={}", "Ym9iOlpHazh2UTJtWDdwTHc0");
    add(
        "Private-Lines: 2\r\n{}\r\nPrivate-MAC: x",
        "AAAAgQCzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz7zzzzzzzzzzzzzzzzzzzz",
    );
    add("Cookie: session={}; theme=dark", "a81bc81b7d");
    add("curl -b 'sid={}' https://x.example", "a81bc81b7d2f");
    add("Set-Cookie: auth={}; HttpOnly", "Zk8vQ2mX7pLw");
    // Sentences.
    for text in [
        "the password is {}",
        "The admin password for the staging box is {}.",
        "my password: {}",
        "use password {} to log in",
        "Passwort ist {}",
        "la contraseña es {}",
        "le mot de passe est {}",
        "Password was changed to {} yesterday",
        "log in with password \"{}\"",
        "password {} works",
        "the root password on db1 is now {}",
        "pwd is {}",
    ] {
        add(text, "Tr0mb0ne99!");
    }
    for text in [
        "the token is {}",
        "my API key is {}",
        "API key for the sandbox: {}",
        "the secret is {}, keep it",
        "your access key is {}",
        "here's the token: {}",
    ] {
        add(text, "Zk8vQ2mX7pLw4RtY9sBnT3cV");
    }
    probes
}

/// JSON values, each with the secret in it.
pub(super) fn json_secrets() -> Vec<(Value, &'static str)> {
    const S: &str = "Zk8vQ2mX7pLw4RtY9sBn";
    [
        json!({"password": S}),
        json!({"pass": S}),
        json!({"db": {"passwd": S}}),
        json!({"password": [S]}),
        json!({"password": {"value": S}}),
        json!({"name": "DB_PASSWORD", "value": S}),
        json!([{"key": "X-Api-Key", "value": S}]),
        json!({"headers": [["Authorization", S]]}),
        json!({"headers": [["Authorization", format!("Bearer {S}")]]}),
        json!({"headers": [{"name": "Cookie", "value": format!("sid={S}")}]}),
        json!({"headers": ["Authorization: Bearer Zk8vQ2mX7pLw4RtY9sBn"]}),
        json!({"Cookie": format!("session={S}")}),
        json!({"argv": ["tool", "--password", S]}),
        json!(["--api-key", S]),
        json!(["docker", "login", "-u", "me", "-p", S]),
        json!(["mysql", "-uroot", format!("-p{S}"), "shop"]),
        json!({"cmd": format!("mysql -p{S} shop")}),
        json!({"env": {"DB_PASSWORD_PROD": S}}),
        json!({"auth": "Ym9iOlprOHZRMm1YN3BMdzRSdFk5c0Ju"}),
        json!({"password": "The horse battery staple"}),
        json!({"password": "/x9/Yz8"}),
        json!({"password": 12345678}),
        json!({"token": S}),
        json!({"credentials": {"user": "bob", "password": S}}),
        json!({"secretAccessKey": S}),
        json!({"pin_code": {"password": S}}),
        json!({"environment": [{"Name": "SECRET", "Value": S}]}),
        json!({"variable": "JWT_SECRET", "content": S}),
        json!({"SMTP_PASS": "$uperS3cret"}),
    ]
    .into_iter()
    .map(|value| {
        let text = value.to_string();
        let secret = [S, "$uperS3cret", "The horse battery staple", "/x9/Yz8", "12345678", "Ym9iOlprOHZR"];
        (value, secret.into_iter().find(|secret| text.contains(secret)).unwrap_or("?"))
    })
    .collect()
}

/// Texts that only look as if there were secrets in them.
pub(super) const LOOK_ALIKES: &[&str] = &[
    "pass: 12 fail: 0",
    "tests: 12 passed, 0 failed",
    "PASS src/app.test.ts (5.123 s)",
    "pass rate: 98.7%",
    "pass=12 fail=3",
    "--pass 12",
    "passed: true",
    "password = os.environ[\"DB_PASSWORD\"]",
    "password = os.getenv('DB_PASSWORD')",
    "const password = process.env.DB_PASSWORD;",
    "let token = lexer.next();",
    "let token = self.tokens.next()?;",
    "password: String,",
    "pub password: Option<String>,",
    "password: str",
    "password?: string;",
    "String password;",
    "private final String password;",
    "password VARCHAR(255) NOT NULL",
    "token VARCHAR(64)",
    "if password == confirm_password:",
    "if (!password) return;",
    "password = input(\"Password: \")",
    "getpass.getpass('Password: ')",
    "prompt='Password: ', stream=None",
    "the password must be at least 8 characters",
    "Enter your password",
    "Your password has expired",
    "password required",
    "Invalid password",
    "password: required",
    "password is incorrect",
    "password: [REDACTED]",
    "password: ********",
    "password=<your password>",
    "password={{ db_password }}",
    "password: ${DB_PASSWORD}",
    "password=$DB_PASSWORD",
    "password: !vault |",
    "--password-file /run/secrets/db",
    "password_file: /etc/app/password",
    "PASSWORD_HASHERS = [",
    "password_hash = bcrypt.hash(pw, 10)",
    "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "550e8400-e29b-41d4-a716-446655440000",
    "order 112-3456789-1234567",
    "order number SO-2026-004711",
    "invoice INV20261123-77",
    "tracking 1Z999AA10123456784",
    "ISBN 978-3-16-148410-0",
    "build 20261123.4",
    "integrity sha512-e9irTAj9+IsOa9394ydo2dHgo8MqnPSy79rpSP1B1gj+ikP5IWEJK6IfJV5H/FSBlxCniasri0t2VPIwbgn9rg==",
    "checksum = \"2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f70819\"",
    "\"resolved\": \"https://registry.npmjs.org/lodash/-/lodash-4.17.21.tgz\"",
    "key: value",
    "key=42",
    "primary_key=id",
    "sort_key: created_at",
    "foreign key (user_id) references users(id)",
    "cache_key = f\"user:{user_id}\"",
    "monkey: banana",
    "keyboard: qwerty",
    "public_key.pem",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7 me@host",
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----",
    "next_token: 17",
    "max_tokens: 4096",
    "prompt_tokens=1532",
    "\"total_tokens\": 2048",
    "tokens: 1024",
    "token_count=88",
    "token: Token::Ident",
    "Expected token ')' but found '}'",
    "Unexpected token < in JSON at position 0",
    "unexpected token: identifier",
    "token expired at 2026-11-23T15:00:00Z",
    "csrf token missing",
    "secret: ",
    "secrets: inherit",
    "secretKeyRef:\n  name: db\n  key: password",
    "valueFrom:\n  secretKeyRef:\n    name: db-secret",
    "kubectl get secret db -o yaml",
    "kind: Secret",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "color: #a1b2c3;",
    ".password-field { width: 100% }",
    "<input type=\"password\" name=\"password\">",
    "<label for=\"password\">Password</label>",
    "<password></password>",
    "docker run -p 8080:80 nginx",
    "ssh -p 2222 host",
    "mkdir -p /tmp/a/b",
    "grep -p pattern",
    "cp -a src dst",
    "tar -P x",
    "mysql -u root -p shop",
    "git clone https://github.com/a/b.git",
    "git@github.com:a/b.git",
    "https://example.org/path?id=42&page=7",
    "postgres://localhost:5432/app",
    "http://127.0.0.1:8080",
    "/home/me/.ssh/id_rsa",
    "C:\\Users\\me\\secrets.txt",
    "src/auth/password_reset.rs:42:9",
    "def test_password_reset_sends_mail():",
    "fn verify_password(hash: &str) -> bool {",
    "class PasswordResetView(View):",
    "import { usePassword } from './usePassword'",
    "password.length >= 8",
    "assert password != username",
    "user.password = hash(password)",
    "self.password = password",
    "password=password",
    "return token",
    "raise ValueError('bad token')",
    "auth: none",
    "auth: { type: 'oauth' }",
    "auth_method = \"oidc\"",
    "Authorization header is missing",
    "pin: 3",
    "pin the version to 1.2.3",
    "pin 13 is an output",
    "salt and pepper",
    "the key is under the mat",
    "the secret is to start early",
    "our token system works",
    "a token of thanks",
    "API key rotation is due",
    "API keys are managed in the console",
    "the api key page moved",
    "session expired",
    "cookie consent banner",
    "Set-Cookie header missing",
    "name: web\nvalue: 3",
    "- name: LOG_LEVEL\n  value: debug",
    "{\"name\": \"region\", \"value\": \"eu-central-1\"}",
    "x-request-id: 7f3c1b7a-9d2e-4c11-8f8e-0b7f0f6f2a11",
    "etag: \"33a64df551425fcc55e4d42a148795d9f25f89d4\"",
    "DATABASE_URL=sqlite:///app.db",
    "LOG_LEVEL=debug",
    "NODE_ENV=production",
    "PORT=8080",
    "pytest -k test_login -p no:cacheprovider",
    "ERROR 1045: Access denied for user 'root'@'localhost' (using password: YES)",
];

/// Redacts a JSON value and returns it as text.
pub(super) fn redacted_json(redactor: &Redactor, mut value: Value) -> String {
    redactor.redact_json(&mut value);
    value.to_string()
}
