//! Whom we trust: the system's roots (SSL_CERT_FILE and SSL_CERT_DIR honoured) and, per route, a
//! PEM file of the operator's.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

use crate::table::open_regular;

/// Largest PEM file; the whole of Mozilla's list has a quarter of this.
const MAX_PEM: u64 = 1024 * 1024;

#[derive(Debug)]
pub(crate) enum RootsError {
    Read { file: PathBuf, why: io::Error },
    Pem { file: PathBuf, why: pem::Error },
    Certificate { file: PathBuf, why: rustls::Error },
    Empty { file: PathBuf },
}

/// The system's roots; those that cannot be read are left out, with one line in the log.
pub(crate) fn system() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    if let Some(first) = found.errors.first() {
        log::warn!("{} sources of system roots unreadable, the first: {first}", found.errors.len());
    }
    let mut roots = RootCertStore::empty();
    let (usable, unusable) = roots.add_parsable_certificates(found.certs);
    log::debug!("system roots: {usable} usable, {unusable} not");
    if roots.is_empty() {
        log::warn!(
            "no system roots: an https upstream works only with `ca_file` in its route\n\
             hint: install ca-certificates, or set SSL_CERT_FILE"
        );
    }
    roots
}

/// Adds every certificate of a PEM file.
pub(crate) fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<(), RootsError> {
    let at = || file.to_owned();
    let read = |why| RootsError::Read { file: at(), why };
    let mut text = Vec::new();
    open_regular(file).map_err(read)?.take(MAX_PEM).read_to_end(&mut text).map_err(read)?;
    let mut added = 0;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|why| RootsError::Pem { file: at(), why })?;
        roots.add(certificate).map_err(|why| RootsError::Certificate { file: at(), why })?;
        added += 1;
    }
    if added == 0 {
        return Err(RootsError::Empty { file: at() });
    }
    Ok(())
}

impl fmt::Display for RootsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { file, why } if why.kind() == io::ErrorKind::PermissionDenied => write!(
                f,
                "read roots {}: {why}\n\
                 hint: a `ca_file` that came with a change of routes must lie beside routes.json",
                file.display()
            ),
            Self::Read { file, why } => write!(f, "read roots {}: {why}", file.display()),
            Self::Pem { file, why } => write!(f, "roots {}: not PEM: {why}", file.display()),
            Self::Certificate { file, why } => {
                write!(f, "roots {}: unusable certificate: {why}", file.display())
            }
            Self::Empty { file } => write!(f, "roots {}: no certificate in it", file.display()),
        }
    }
}

impl std::error::Error for RootsError {}
