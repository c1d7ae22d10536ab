//! `docs/reference.md` has a row for every key that a schema of `schema/` describes, with its words. `TEROK_TEST_WRITE=1` writes the tables anew.
//!
//! The schemas themselves are held against the parsers by the tests of `shared`.

use std::fs;

use serde_json::{Map, Value};

use crate::workspace;

#[test]
fn the_references_tables_are_what_the_schemas_say() {
    let path = workspace().join("docs/reference.md");
    let before = fs::read_to_string(&path).unwrap();
    let mut text = before.clone();
    for name in ["sidecar", "routes"] {
        let schema = fs::read_to_string(workspace().join(format!("schema/{name}.json"))).unwrap();
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let (start, end) =
            (format!("<!-- {name}.json -->\n"), format!("<!-- end of {name}.json -->\n"));
        let (head, rest) = text.split_once(&start).expect("the table's beginning is marked");
        let (_, tail) = rest.split_once(&end).expect("its end is marked");
        text = format!("{head}{start}{}{end}{tail}", table(&Schema(&schema).rows()));
    }
    if std::env::var_os("TEROK_TEST_WRITE").is_some() {
        fs::write(path, &text).unwrap();
    } else {
        assert!(text == before, "TEROK_TEST_WRITE=1 writes it anew:\n{text}");
    }
}

struct Schema<'s>(&'s Value);

type Row = [String; 4];

fn table(rows: &[Row]) -> String {
    let head = "| key | type | default | meaning |\n|---|---|---|---|\n";
    let line =
        |[key, kind, default, what]: &Row| format!("| `{key}` | {kind} | {default} | {what} |\n");
    head.to_owned() + &rows.iter().map(line).collect::<String>()
}

impl<'s> Schema<'s> {
    fn rows(&self) -> Vec<Row> {
        // A table of routes is an object whose members are all alike.
        let each = self.0.get("additionalProperties").filter(|each| each.is_object());
        let object = self.resolved(each.unwrap_or(self.0));
        let mut rows = vec![];
        self.members(&object, "", &mut rows);
        rows
    }

    fn members(&self, object: &Map<String, Value>, prefix: &str, rows: &mut Vec<Row>) {
        let required = object.get("required").and_then(Value::as_array);
        let properties = object.get("properties").and_then(Value::as_object);
        for (key, member) in properties.into_iter().flatten() {
            let member = self.resolved(member);
            let required = required.is_some_and(|keys| keys.iter().any(|k| k == key));
            let default = match member.get("default") {
                _ if required => "required".to_owned(),
                Some(default) => format!("`{default}`"),
                None => String::new(),
            };
            let what = member.get("description").and_then(Value::as_str).unwrap_or_default();
            let name = format!("{prefix}{key}");
            rows.push([name.clone(), kind(&member), default, what.replace('|', "\\|")]);
            self.members(&member, &format!("{name}."), rows);
            if let Some(items) = member.get("items") {
                self.members(&self.resolved(items), &format!("{name}[]."), rows);
            }
        }
    }

    /// With the members of what it refers to; its own words go first.
    fn resolved(&self, member: &Value) -> Map<String, Value> {
        let mut own = member.as_object().cloned().unwrap_or_default();
        if let Some(Value::String(place)) = own.remove("$ref") {
            let pointer = place.trim_start_matches('#');
            let general = self.0.pointer(pointer).expect("a reference leads somewhere");
            for (key, value) in self.resolved(general) {
                own.entry(key).or_insert(value);
            }
        }
        own
    }
}

/// The type in words; that `null` is as good as absent goes without saying.
fn kind(member: &Map<String, Value>) -> String {
    if let Some(Value::Array(words)) = member.get("enum") {
        let words = words.iter().filter(|word| !word.is_null());
        return words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
    }
    let types = match member.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![one.as_str()],
        _ => vec!["anything"],
    };
    let types: Vec<&str> = types.into_iter().filter(|name| *name != "null").collect();
    let mut text = types.join(" or ");
    let bound = |name| member.get(name).and_then(Value::as_u64);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => text += &format!(", {least} to {most}"),
        (Some(least), None) => text += &format!(", at least {least}"),
        _ => {}
    }
    match member.get("pattern").and_then(Value::as_str) {
        Some(pattern) if pattern.starts_with("^/") => text.replace("string", "absolute path"),
        _ => text,
    }
}
