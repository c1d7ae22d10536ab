//! JSON Schema 2020-12, as much of it as our schemas use. A keyword it does not know is an error,
//! so that nothing in a schema is taken for checked that is not.

use serde_json::Value;

use crate::pattern;

/// Words for people, which decide nothing.
const ANNOTATIONS: [&str; 6] = ["$schema", "title", "description", "default", "$defs", "then"];

pub(crate) fn accepts(schema: &Value, value: &Value) -> bool {
    Validator { root: schema }.accepts(schema, value)
}

struct Validator<'s> {
    root: &'s Value,
}

impl Validator<'_> {
    fn accepts(&self, schema: &Value, value: &Value) -> bool {
        let keywords = schema.as_object().expect("a schema is an object");
        keywords.iter().all(|(keyword, wanted)| self.holds(schema, keyword, wanted, value))
    }

    fn holds(&self, schema: &Value, keyword: &str, wanted: &Value, value: &Value) -> bool {
        let number = value.as_f64();
        let text = value.as_str();
        match keyword {
            _ if ANNOTATIONS.contains(&keyword) => true,
            "$ref" => self.accepts(self.definition(wanted.as_str().unwrap()), value),
            "type" => match wanted {
                Value::Array(types) => types.iter().any(|one| is(one.as_str().unwrap(), value)),
                one => is(one.as_str().unwrap(), value),
            },
            "enum" => wanted.as_array().unwrap().contains(value),
            "const" => wanted == value,
            "minimum" => number.is_none_or(|n| n >= wanted.as_f64().unwrap()),
            "maximum" => number.is_none_or(|n| n <= wanted.as_f64().unwrap()),
            "minLength" => {
                text.is_none_or(|t| t.chars().count() as u64 >= wanted.as_u64().unwrap())
            }
            "maxLength" => {
                text.is_none_or(|t| t.chars().count() as u64 <= wanted.as_u64().unwrap())
            }
            "pattern" => text.is_none_or(|t| pattern::fits(wanted.as_str().unwrap(), t)),
            "maxItems" => {
                value.as_array().is_none_or(|all| all.len() as u64 <= wanted.as_u64().unwrap())
            }
            "items" => {
                value.as_array().is_none_or(|all| all.iter().all(|one| self.accepts(wanted, one)))
            }
            "required" => value.as_object().is_none_or(|members| {
                wanted
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|key| members.contains_key(key.as_str().unwrap()))
            }),
            "properties" => value.as_object().is_none_or(|members| {
                let known = wanted.as_object().unwrap();
                known.iter().all(|(key, schema)| {
                    members.get(key).is_none_or(|member| self.accepts(schema, member))
                })
            }),
            "propertyNames" => value.as_object().is_none_or(|members| {
                members.keys().all(|key| self.accepts(wanted, &Value::String(key.clone())))
            }),
            "additionalProperties" => value.as_object().is_none_or(|members| {
                let known = |key: &str| schema["properties"].get(key).is_some();
                let mut others = members.iter().filter(|(key, _)| !known(key));
                match wanted {
                    Value::Bool(allowed) => *allowed || others.next().is_none(),
                    schema => others.all(|(_, member)| self.accepts(schema, member)),
                }
            }),
            "anyOf" => wanted.as_array().unwrap().iter().any(|one| self.accepts(one, value)),
            "not" => !self.accepts(wanted, value),
            "if" => !self.accepts(wanted, value) || self.accepts(&schema["then"], value),
            unknown => panic!("the keyword {unknown} is not checked here"),
        }
    }

    fn definition(&self, reference: &str) -> &Value {
        let pointer = reference.strip_prefix('#').expect("references stay in the file");
        self.root.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        unknown => panic!("the type {unknown} is not checked here"),
    }
}
