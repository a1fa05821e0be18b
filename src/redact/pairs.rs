//! Names and values side by side: `{"name": "DB_PASSWORD", "value": "…"}`, `["--password", "…"]`,
//! `["Authorization", "…"]`.

use serde_json::{Map, Value};

use crate::redact::field::{Name, class_of, redact_value};

/// Fields that hold the name in a pair, and those that hold the value.
const NAMES: [&str; 12] = [
    "name",
    "key",
    "header",
    "variable",
    "var",
    "env",
    "field",
    "param",
    "parameter",
    "option",
    "property",
    "id",
];
const VALUES: [&str; 8] =
    ["value", "val", "content", "data", "default", "secret", "stringvalue", "defaultvalue"];

/// Returns the class of secret that an object with a name and a value announces.
fn promised(fields: &Map<String, Value>) -> Option<Name> {
    fields.iter().find_map(|(name, value)| {
        let names = NAMES.contains(&name.to_ascii_lowercase().as_str());
        value.as_str().filter(|_| names).and_then(class_of)
    })
}

/// Replaces the value of an object that pairs it with the name of a secret; returns how many.
pub(super) fn redact_object(fields: &mut Map<String, Value>) -> u32 {
    // The content of a Kubernetes secret.
    if fields.get("kind").and_then(Value::as_str) == Some("Secret") {
        let held = fields.iter_mut().filter(|(name, _)| matches!(name.as_str(), "data" | "stringData"));
        return held.map(|(_, held)| redact_value(Name::Key, held, true)).sum();
    }
    let Some(class) = promised(fields) else { return 0 };
    let values = fields.iter_mut().filter(|(name, _)| VALUES.contains(&name.to_ascii_lowercase().as_str()));
    values.map(|(_, value)| redact_value(class, value, false)).sum()
}

/// Replaces the arguments after options that take a secret, and the second of two where the first names one;
/// returns how many.
pub(super) fn redact_list(items: &mut [Value]) -> u32 {
    let mut count = 0;
    let pair = items.len() == 2;
    let command = items.iter().take(8).filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    for at in 1..items.len() {
        let class = items[at - 1].as_str().and_then(|before| {
            let option = before.strip_prefix('-').map(|name| name.trim_start_matches('-'));
            match option {
                Some(name) if !name.contains('=') && name.len() > 1 => class_of(name),
                Some(_) => takes_a_password(&command, before).then_some(Name::Password),
                None if pair && at == 1 && !before.contains(' ') => class_of(before.trim_end_matches(':')),
                None => None,
            }
        });
        if let Some(class) = class {
            count += redact_value(class, &mut items[at], false);
        }
    }
    for item in items.iter_mut() {
        // `mysql -pSECRET`
        let attached = item.as_str().is_some_and(|text| {
            text.starts_with("-p") && text.len() > 4 && attaches_a_password(&command) && !text.contains('/')
        });
        if attached {
            let mut secret = Value::String(item.as_str().unwrap_or_default()[2..].to_owned());
            if redact_value(Name::Password, &mut secret, false) > 0 {
                *item = Value::String(format!("-p{}", secret.as_str().unwrap_or_default()));
                count += 1;
            }
        }
    }
    count
}

/// Commands whose option `-p`, `-P`, `-a` or `-w` takes a password as the next argument.
fn takes_a_password(command: &str, option: &str) -> bool {
    let has = |word: &str| command.split([' ', '/']).any(|part| part == word);
    match option {
        "-p" => has("sshpass") || has("login") || has("mongo") || has("mongosh") || has("mosquitto_pub"),
        "-P" => has("unzip") || has("zip") || has("mosquitto_pub") || has("mosquitto_sub"),
        "-a" => has("redis-cli"),
        "-w" => has("ldapsearch") || has("ldapmodify") || has("ldapadd"),
        _ => false,
    }
}

fn attaches_a_password(command: &str) -> bool {
    let first = command.split([' ']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    ["mysql", "mysqldump", "mysqladmin", "mariadb", "mariadb-dump", "7z", "sshpass"].contains(&first)
}
