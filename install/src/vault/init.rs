//! `vault init`: a new, empty vault.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde_json::json;
use terok_shared::secret::Secret;
use vault_store::Vault;
use vault_store::database::OpenError;

use super::open::given_anew;
use super::session::remember;
use crate::Failure;
use crate::cli::InitArgs;
use crate::directories::Directories;
use crate::output::{remark, tell};
use crate::private_file;
use crate::secret_source::Source;

#[derive(Debug)]
enum InitError {
    NoRandomness(String),
    /// The generated passphrase could not be written.
    Write {
        path: PathBuf,
        why: io::Error,
    },
    GeneratedToStdin,
}

/// Who has the new passphrase, besides us.
enum Kept {
    ByOperator,
    InFile(PathBuf),
    Nowhere,
}

pub(super) fn run(directories: &Directories, args: &InitArgs) -> Result<(), Failure> {
    let path = directories.database();
    if path.symlink_metadata().is_ok() {
        // Sooner than a question for its passphrase.
        return Err(OpenError::Exists { path }.into());
    }
    let (passphrase, kept) = new_passphrase(args)?;
    Vault::create(&path, &passphrase)?;
    let mut told = format!("made vault {}", path.display());
    let mut facts = json!({ "vault": path, "unlocked": false });
    if !args.no_remember {
        match remember(directories, &passphrase) {
            Ok(line) => {
                told += &format!("\n{line}");
                facts["unlocked"] = true.into();
            }
            // The vault is there and its passphrase known: no reason to fail.
            Err(why) => remark(&format!("note: {why}")),
        }
    }
    match kept {
        Kept::ByOperator => {}
        Kept::InFile(file) => {
            told += &format!("\nits passphrase is in {}", file.display());
            facts["passphrase_file"] = json!(file);
        }
        Kept::Nowhere => {
            told += "\nits passphrase, shown this once; keep it where you will find it:\n\n    ";
            told += passphrase.expose();
            facts["passphrase"] = json!(passphrase.expose());
        }
    }
    Ok(tell(args.json, Secret::from(told).expose(), &facts)?)
}

/// Asked for, read, or generated; a generated one is safe in its file before there is a vault.
fn new_passphrase(args: &InitArgs) -> Result<(Secret<String>, Kept), Failure> {
    let source = Source::of_file(args.passphrase_file.as_deref());
    match (args.generate, source) {
        (false, source) => Ok((given_anew(&source)?, Kept::ByOperator)),
        (true, Source::File(file)) => {
            let passphrase = generate()?;
            let line = Secret::from(format!("{}\n", passphrase.expose()));
            private_file::create(&file, line.expose().as_bytes())
                .map_err(|why| InitError::Write { path: file.clone(), why })?;
            Ok((passphrase, Kept::InFile(file)))
        }
        (true, Source::Operator) => Ok((generate()?, Kept::Nowhere)),
        (true, Source::Stdin | Source::Variable(_)) => Err(InitError::GeneratedToStdin.into()),
    }
}

/// 128 bits in groups of four digits, so that they can be read out and typed.
fn generate() -> Result<Secret<String>, InitError> {
    let mut bits = [0u8; 16];
    getrandom::fill(&mut bits).map_err(|why| InitError::NoRandomness(why.to_string()))?;
    let mut text = String::with_capacity(40);
    for (place, byte) in bits.iter().enumerate() {
        if place > 0 && place % 2 == 0 {
            text.push('-');
        }
        text.push_str(&hex::encode([*byte]));
    }
    Ok(text.into())
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRandomness(why) => write!(f, "read random bits for a passphrase: {why}"),
            Self::Write { path, why } => write!(
                f,
                "write the passphrase to {}: {why}; no vault was made\n\
                 hint: name a file that does not exist",
                path.display()
            ),
            Self::GeneratedToStdin => f.write_str(
                "`--generate` makes a passphrase, `--passphrase-file -` reads one: use either",
            ),
        }
    }
}

impl std::error::Error for InitError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_passphrases_have_128_bits_and_differ() {
        let (one, two) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one.expose(), two.expose());
        let groups: Vec<&str> = one.expose().split('-').collect();
        assert_eq!(groups.len(), 8);
        assert!(groups.iter().all(|g| g.len() == 4 && g.bytes().all(|b| b.is_ascii_hexdigit())));
    }
}
