//! `ssh import`: a private key file becomes a key of the vault. The file stays where it is.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use vault_store::ssh_key::KeyPair;
use vault_store::ssh_key::file::{ImportError, import, match_public_line};

use super::{made, store};
use crate::Failure;
use crate::cli::ImportKeyArgs;
use crate::directories::Directories;
use crate::output::tell;
use crate::secret_source::{Source, can_ask};
use crate::vault::{open, refuse_stdin_twice};

#[derive(Debug)]
enum ImportFailed {
    Key { file: PathBuf, why: ImportError },
    PublicFile { file: PathBuf, why: io::Error },
}

pub(super) fn run(directories: &Directories, args: &ImportKeyArgs) -> Result<(), Failure> {
    let own = args.key_passphrase_file.as_deref().map(|file| Source::of_file(Some(file)));
    if let Some(own) = &own {
        refuse_stdin_twice(&args.unlock, own)?;
    }
    let pair = read(&args.file, own.as_ref())?;
    let pair = match &args.owner.comment {
        Some(comment) => pair.with_comment(comment.clone()),
        None => pair,
    };
    store(&mut open(directories, &args.unlock)?, &args.owner, &pair)?;
    Ok(tell(args.json, &pair.public_line(), &made(&args.owner, &pair))?)
}

fn read(path: &Path, own: Option<&Source>) -> Result<KeyPair, Failure> {
    let failed = |why| ImportFailed::Key { file: path.to_owned(), why };
    let file = Source::File(path.to_owned()).bytes("private key")?;
    let pair = match (import(&file, None), own) {
        (Err(ImportError::Encrypted), None) if !can_ask() => {
            return Err(failed(ImportError::Encrypted).into());
        }
        (Err(ImportError::Encrypted), own) => {
            let what = format!("passphrase of {}", path.display());
            let passphrase = own.unwrap_or(&Source::Operator).line(&what)?;
            import(&file, Some(&passphrase))
        }
        (read, _) => read,
    }
    .map_err(failed)?;
    match public_file(path)? {
        Some(line) => Ok(match_public_line(pair, &line).map_err(failed)?),
        None => Ok(pair),
    }
}

/// The text of FILE.pub, which older private key formats leave the comment to.
fn public_file(path: &Path) -> Result<Option<String>, ImportFailed> {
    let mut name = OsString::from(path);
    name.push(".pub");
    match fs::read_to_string(&name) {
        Ok(text) => Ok(Some(text)),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(ImportFailed::PublicFile { file: name.into(), why }),
    }
}

impl fmt::Display for ImportFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { file, why } => {
                let file = file.display();
                write!(f, "import {file}: {why}")?;
                match why {
                    ImportError::Encrypted => f.write_str(
                        "\nhint: name a file that holds it with `--key-passphrase-file`",
                    ),
                    ImportError::Mismatch => write!(f, "\nhint: look at {file}.pub"),
                    _ => Ok(()),
                }
            }
            Self::PublicFile { file, why } => write!(f, "read {}: {why}", file.display()),
        }
    }
}

impl std::error::Error for ImportFailed {}
