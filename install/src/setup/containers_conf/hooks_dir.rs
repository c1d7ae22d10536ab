//! The entry `[engine] hooks_dir` in the text of one containers.conf: read it, add to it, take
//! back what was added. Pure: text in, text out, every other byte untouched.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use toml_edit::{Array, Document, DocumentMut, Item, TableLike, Value};

/// What podman uses when no file sets the key (containers.conf(5), built in).
pub(super) const BUILT_IN: &str = "/usr/share/containers/oci/hooks.d";

/// Why a file cannot be read or edited.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not TOML; `line` counts from 1.
    Unparsable { line: usize, message: String },
    /// The key is there, but not as a list of strings.
    NotAList,
    /// The file has a shape in which the entry could not be placed.
    Unplaceable,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unparsable { line, message } => {
                write!(f, "line {line}: {}", message.trim_end().replace('\n', ", "))
            }
            Self::NotAList => f.write_str("[engine] hooks_dir is not a list of paths"),
            Self::Unplaceable => f.write_str("found no place for [engine] hooks_dir"),
        }
    }
}

/// The entry of one file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HooksDir {
    pub(super) dirs: Vec<String>,
    /// `{append=true}` in the list: it is added to what earlier files say instead of replacing it
    /// (podman 4.8 and later).
    append: Option<bool>,
}

/// The lists of several files put together as podman does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Effective {
    pub(super) dirs: Vec<String>,
    /// Once a file said `{append=true}`, later lists are appended too.
    pub(super) appending: bool,
}

/// Reads the entry; `None` when the file does not set it.
///
/// # Errors
/// Text that is not TOML, or an entry of another type.
pub(super) fn read(text: &str) -> Result<Option<HooksDir>, Fault> {
    let document = parse(text)?;
    let Some(item) = entry(document.as_item()) else { return Ok(None) };
    let mut found = HooksDir { dirs: Vec::new(), append: None };
    for value in item.as_array().ok_or(Fault::NotAList)? {
        match value {
            Value::String(dir) => found.dirs.push(dir.value().clone()),
            Value::InlineTable(table) => {
                found.append = table.get("append").and_then(Value::as_bool);
            }
            _ => return Err(Fault::NotAList),
        }
    }
    Ok(Some(found))
}

/// Lays the entries of several files over each other, lowest precedence first.
pub(super) fn effective<'a>(layers: impl Iterator<Item = &'a HooksDir>) -> Effective {
    let mut all = Effective { dirs: vec![BUILT_IN.to_owned()], appending: false };
    for layer in layers {
        all.appending = layer.append.unwrap_or(all.appending);
        if !all.appending {
            all.dirs.clear();
        }
        all.dirs.extend_from_slice(&layer.dirs);
    }
    all
}

/// How much of the entry `add` had to make; each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Made {
    /// A value in a list that was there.
    Value,
    /// The key, in a table that was there.
    Key,
    Table,
    File,
}

/// What `add` did to a text, enough to take exactly that back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Added {
    pub(super) made: Made,
    /// The directories added, ours last.
    dirs: Vec<String>,
    /// The one stretch of text that changed, before and after.
    was: String,
    is: String,
}

/// Adds directories at the end of the list, making the key and the table where they are missing.
///
/// # Errors
/// Text that is not TOML, or an entry that is not a list.
pub(super) fn add(text: &str, dirs: &[String]) -> Result<(String, Added), Fault> {
    let before = read(text)?;
    let document = parse(text)?;
    let (after, made) = match engine(document.as_item()) {
        _ if before.is_some() => (into_list(text, list(document.as_item())?, dirs)?, Made::Value),
        None => (with_table(text, dirs), Made::Table),
        Some(Item::Table(table)) if !table.is_dotted() && table.is_implicit() => {
            (with_table(text, dirs), Made::Table) // only [engine.something] is there
        }
        Some(Item::Table(table)) if !table.is_dotted() => {
            (under_header(text, table.span().ok_or(Fault::Unplaceable)?, dirs), Made::Key)
        }
        Some(_) => (into_unusual_table(text, dirs)?, Made::Key),
    };
    let mut expected = before.map_or_else(Vec::new, |entry| entry.dirs);
    expected.extend_from_slice(dirs);
    if read(&after)?.map(|entry| entry.dirs) != Some(expected) {
        return Err(Fault::Unplaceable);
    }
    let (was, is) = difference(text, &after);
    Ok((after, Added { made, dirs: dirs.to_vec(), was, is }))
}

/// Takes back what `add` did: byte for byte where that stretch of text is still as it was left,
/// whatever changed around it, and otherwise by meaning. `None` when nothing of it is there.
///
/// # Errors
/// Text that is not TOML, or an entry that is not a list.
pub(super) fn take_back(text: &str, added: &Added) -> Result<Option<String>, Fault> {
    let ours = added.dirs.last().expect("our directory was added");
    let Some(now) = read(text)? else { return Ok(None) };
    if !now.dirs.contains(ours) {
        return Ok(None);
    }
    if text.matches(&added.is).count() == 1 {
        let without = text.replacen(&added.is, &added.was, 1);
        if let Ok(left) = read(&without)
            && left.is_none_or(|left| !left.dirs.contains(ours))
        {
            return Ok(Some(without));
        }
    }
    let mut document: DocumentMut = text.parse().map_err(|error| unparsable(text, &error))?;
    remove_by_meaning(&mut document, added);
    Ok(Some(document.to_string()))
}

fn remove_by_meaning(document: &mut DocumentMut, added: &Added) {
    let (seed, ours) = added.dirs.split_at(added.dirs.len() - 1);
    let Some(engine) = document.get_mut("engine").and_then(Item::as_table_like_mut) else { return };
    let Some(list) = engine.get_mut("hooks_dir").and_then(Item::as_array_mut) else { return };
    list.retain(|value| value.as_str() != Some(&ours[0]));
    let left = list.iter().map(Value::as_str);
    if added.made >= Made::Key && left.eq(seed.iter().map(|dir| Some(dir.as_str()))) {
        engine.remove("hooks_dir");
        if added.made >= Made::Table && engine.is_empty() {
            document.remove("engine");
        }
    }
}

fn parse(text: &str) -> Result<Document<&str>, Fault> {
    Document::parse(text).map_err(|error| unparsable(text, &error))
}

fn unparsable(text: &str, error: &toml_edit::TomlError) -> Fault {
    let offset = error.span().map_or(0, |span| span.start).min(text.len());
    let line = text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1;
    Fault::Unparsable { line, message: error.message().to_owned() }
}

fn engine(document: &Item) -> Option<&Item> {
    document.as_table_like().and_then(|table| table.get("engine"))
}

fn entry(document: &Item) -> Option<&Item> {
    engine(document)
        .and_then(Item::as_table_like)
        .and_then(|table| TableLike::get(table, "hooks_dir"))
}

fn list(document: &Item) -> Result<&Array, Fault> {
    entry(document).and_then(Item::as_array).ok_or(Fault::NotAList)
}

fn quoted(dir: &str) -> String {
    Value::from(dir).to_string()
}

fn newline_of(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

fn key_line(text: &str, dirs: &[String]) -> String {
    let values: Vec<_> = dirs.iter().map(|dir| quoted(dir)).collect();
    format!("hooks_dir = [{}]{}", values.join(", "), newline_of(text))
}

/// A list on one line grows on that line; one with its bracket on a line of its own grows by a
/// line, in the same indentation, below the comments that belong to the values above.
fn into_list(text: &str, list: &Array, dirs: &[String]) -> Result<String, Fault> {
    let span = list.span().ok_or(Fault::Unplaceable)?;
    let values: Vec<_> = dirs.iter().map(|dir| quoted(dir)).collect();
    let Some(last) = list.iter().last() else {
        return Ok(splice(text, span.start + 1, &values.join(", ")));
    };
    let last = last.span().ok_or(Fault::Unplaceable)?;
    let tail = &text[last.end..span.end - 1];
    if !tail.contains('\n') {
        return Ok(splice(text, last.end, &format!(", {}", values.join(", "))));
    }
    let comma = tail.lines().any(|line| line.split('#').next().unwrap_or("").contains(','));
    let line_start = text[..last.start].rfind('\n').map_or(0, |at| at + 1);
    let rest = &text[line_start..last.start];
    let indent = &rest[..rest.len() - rest.trim_start().len()];
    let newline = newline_of(text);
    let end = last.end + tail.trim_end().len();
    let mut lines = values.join(&format!(",{newline}{indent}"));
    lines.insert_str(0, &format!("{newline}{indent}"));
    Ok(if comma {
        splice(text, end, &(lines + ","))
    } else {
        splice(&splice(text, end, &lines), last.end, ",")
    })
}

fn under_header(text: &str, header: Range<usize>, dirs: &[String]) -> String {
    match text[header.start..].find('\n') {
        Some(end) => splice(text, header.start + end + 1, &key_line(text, dirs)),
        None => format!("{text}{}{}", newline_of(text), key_line(text, dirs)),
    }
}

fn with_table(text: &str, dirs: &[String]) -> String {
    let newline = newline_of(text);
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
    let gap = if text.trim().is_empty() { "" } else { newline };
    format!("{text}{end}{gap}[engine]{newline}{}", key_line(text, dirs))
}

/// `engine = { … }` and `engine.key = …`: rare, so the library may place the key as it likes.
fn into_unusual_table(text: &str, dirs: &[String]) -> Result<String, Fault> {
    let mut document: DocumentMut = text.parse().map_err(|error| unparsable(text, &error))?;
    let table = document["engine"].as_table_like_mut().ok_or(Fault::Unplaceable)?;
    table.insert("hooks_dir", Item::Value(dirs.iter().collect::<Array>().into()));
    Ok(document.to_string())
}

fn splice(text: &str, at: usize, insert: &str) -> String {
    format!("{}{insert}{}", &text[..at], &text[at..])
}

/// What differs between two texts, as the shortest single stretch.
fn difference(before: &str, after: &str) -> (String, String) {
    let start: usize = before
        .chars()
        .zip(after.chars())
        .take_while(|(old, new)| old == new)
        .map(|(same, _)| same.len_utf8())
        .sum();
    let (before, after) = (&before[start..], &after[start..]);
    let end: usize = before
        .chars()
        .rev()
        .zip(after.chars().rev())
        .take_while(|(old, new)| old == new)
        .map(|(same, _)| same.len_utf8())
        .sum();
    (before[..before.len() - end].to_owned(), after[..after.len() - end].to_owned())
}

#[cfg(test)]
mod tests;
