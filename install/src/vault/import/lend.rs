//! The login of a program on this machine, for somebody who borrows it: read from the program's
//! own file, without the token that renews it.

use std::io;
use std::path::PathBuf;

use vault_store::credential::Credential;

use super::{Found, ImportError, place, read};
use crate::Failure;
use crate::cli::{ImportArgs, ImportFormat, RouteArgs, UnlockArgs};
use crate::credential_name::{ProviderName, SetName};
use crate::secret_source::{SecretError, Source};

/// What a program keeps.
pub(crate) struct Lendable {
    pub(crate) path: PathBuf,
    /// `None` where there is no such file.
    pub(crate) found: Option<(ProviderName, Credential, RouteArgs)>,
}

/// Reads the file of a program, again and again while it is half-written.
///
/// # Errors
/// No home, a file that cannot be read or holds no credential.
pub(crate) fn lendable(format: ImportFormat) -> Result<Lendable, Failure> {
    let args = ImportArgs {
        format,
        file: None,
        provider: None,
        set: SetName::parse("default").expect("the default is a set's name"),
        host: None,
        no_refresh: true,
        json: false,
        unlock: UnlockArgs::default(),
    };
    let source = place::of(&args).map_err(ImportError::Place)?;
    let Source::File(path) = &source else { unreachable!("programs keep files") };
    let path = path.clone();
    let finds = match read(&source, &args) {
        Err(ImportError::Read(SecretError::Io { why, .. }))
            if why.kind() == io::ErrorKind::NotFound =>
        {
            return Ok(Lendable { path, found: None });
        }
        other => other?,
    };
    let found = finds.found.into_iter().next();
    let found = found.map(|Found { provider, credential, route }| (provider, credential, route));
    Ok(Lendable { path, found })
}
