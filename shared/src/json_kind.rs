//! What a JSON value is, in the words of an error that expected something else.

use serde_json::Value;

/// With its article: `an array`. RFC 8259 § 3 has the kinds.
pub fn of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
