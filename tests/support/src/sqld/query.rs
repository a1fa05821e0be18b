//! Asks the server directly, past every client under test.

use std::fmt;

use serde_json::{Value, json};

use super::{REQUEST_TIMEOUT, Sqld};
use crate::http;
use crate::jwt::Access;

/// Why a query of the harness failed.
#[derive(Debug)]
pub struct SqlError {
    /// The HTTP status; 0 when no answer came.
    pub status: u16,
    /// The server's words, or those of the connection error.
    pub message: String,
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}: {}", self.status, self.message)
    }
}

impl std::error::Error for SqlError {}

impl Sqld {
    /// Runs one statement and returns its rows: an array of arrays of plain JSON values.
    ///
    /// Integers are JSON numbers; a blob stays the server's `{"type": "blob", "base64": …}`. A server with
    /// authentication is asked with a token that may do everything.
    ///
    /// # Panics
    ///
    /// If the server does not answer or refuses the statement.
    pub fn sql(&self, statement: &str) -> Value {
        let token = self.token(Access::ReadWrite);
        self.query(statement, token.as_deref()).unwrap_or_else(|error| {
            panic!("{}", self.explain(&format!("query of the harness failed: {error}: {statement}")))
        })
    }

    /// Runs one statement and returns the first column of its first row.
    ///
    /// # Panics
    ///
    /// As [`Sqld::sql`], and if there is no row.
    pub fn scalar(&self, statement: &str) -> Value {
        let rows = self.sql(statement);
        match rows.pointer("/0/0") {
            Some(value) => value.clone(),
            None => panic!("no row: {statement}"),
        }
    }

    /// Runs one statement with the token given, if any, and returns its rows as [`Sqld::sql`] does.
    ///
    /// # Errors
    ///
    /// When the server does not answer within 30 seconds or refuses: the status and what it said.
    pub fn query(&self, statement: &str, token: Option<&str>) -> Result<Value, SqlError> {
        let body = json!({"requests": [
            {"type": "execute", "stmt": {"sql": statement}},
            {"type": "close"},
        ]});
        let (status, body) = http::request(
            self.addr(),
            "POST",
            "/v2/pipeline",
            token,
            body.to_string().as_bytes(),
            REQUEST_TIMEOUT,
        )
        .map_err(|error| SqlError { status: 0, message: error.to_string() })?;
        let refused = || SqlError { status, message: String::from_utf8_lossy(&body).into_owned() };
        if status != 200 {
            return Err(refused());
        }
        let answer: Value = serde_json::from_slice(&body).map_err(|_| refused())?;
        let rows = answer.pointer("/results/0/response/result/rows").and_then(Value::as_array);
        let rows = rows.ok_or_else(refused)?;
        Ok(rows
            .iter()
            .map(|row| row.as_array().into_iter().flatten().map(plain).collect::<Value>())
            .collect())
    }
}

/// Turns the server's tagged value into a plain one.
fn plain(value: &Value) -> Value {
    match value["type"].as_str() {
        Some("null") => Value::Null,
        // Integers travel as text, because JSON numbers lose precision in some languages.
        Some("integer") => {
            value["value"].as_str().and_then(|text| text.parse::<i64>().ok()).map_or(Value::Null, Value::from)
        }
        Some("text" | "float") => value["value"].clone(),
        _ => value.clone(),
    }
}
