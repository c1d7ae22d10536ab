//! `terokctl config show`: every setting, its value, and who has set it.

use serde_json::{Value, json};

use super::{Layers, Setting, word};
use crate::Failure;
use crate::cli::ConfigShowArgs;
use crate::directories::Directories;
use crate::output::{print, print_json, remark, table};

/// Shown in place of a text that may be a secret.
const HIDDEN: &str = "(set, not shown)";

pub(crate) fn run(directories: &Directories, args: &ConfigShowArgs) -> Result<(), Failure> {
    let settings = settings(directories);
    let Layers { file, seen } = &directories.layers;
    if args.json {
        let told = settings.iter().map(|(key, shown)| {
            let Setting { value, origin } = shown;
            let value = value.clone().map_or(Value::Null, Value::String);
            ((*key).to_owned(), json!({ "value": value, "from": origin.to_string() }))
        });
        let files = seen.iter().map(|one| json!({ "path": one.path, "found": one.found }));
        let unknown = file
            .unknown
            .iter()
            .map(|key| json!({ "key": key.value, "from": key.origin.to_string() }));
        return Ok(print_json(&json!({
            "settings": told.collect::<serde_json::Map<_, _>>(),
            "files": files.collect::<Vec<_>>(),
            "unknown": unknown.collect::<Vec<_>>(),
        }))?);
    }
    let rows: Vec<Vec<String>> = settings
        .into_iter()
        .map(|(key, shown)| {
            let value = shown.value.unwrap_or_else(|| "-".to_owned());
            vec![key.to_owned(), value, shown.origin.to_string()]
        })
        .collect();
    print(&table(&["SETTING", "VALUE", "FROM"], &rows))?;
    for one in seen {
        let found = if one.found { "read" } else { "not there" };
        remark(&format!("{}: {found}", one.path.display()));
    }
    Ok(())
}

/// Under the names they have in the file; directories without one under what they are.
fn settings(directories: &Directories) -> Vec<(&'static str, Setting<Option<String>>)> {
    let path = |set: Setting<std::path::PathBuf>| set.map(|path| Some(path.display().to_string()));
    let preferences = &directories.preferences;
    let command = &preferences.passphrase_command;
    vec![
        ("state directory", path(directories.state_setting())),
        ("runtime directory", path(directories.runtime_setting())),
        ("vault directory", path(directories.vault_setting())),
        ("services.mode", preferences.mode.clone().map(|mode| Some(word(mode)))),
        (
            "credentials.use_keyring",
            preferences.use_keyring.clone().map(|yes| Some(yes.to_string())),
        ),
        (
            "credentials.passphrase_command",
            Setting {
                value: command.value.as_ref().map(|_| HIDDEN.to_owned()),
                origin: command.origin.clone(),
            },
        ),
    ]
}
