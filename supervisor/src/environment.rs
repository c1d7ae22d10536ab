//! A child's environment, built from nothing: these variables and no other.
//!
//! Under the hook our own environment is built from nothing too. By hand it is the operator's,
//! and what a passphrase helper or the operator's certificate roots need is let through.

use std::ffi::OsString;

use terok_shared::logging;
use terok_shared::service::Service;

const EVERY_SERVICE: &[&str] = &["PATH", "LANG", "HOME", logging::LEVEL_VARIABLE];

/// For helpers such as `pass`, `gpg` or `secret-tool`.
const KEEPER: &[&str] = &["XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "GNUPGHOME"];

/// Where OpenSSL and rustls-native-certs look for certificate roots.
const BROKER: &[&str] = &["SSL_CERT_FILE", "SSL_CERT_DIR"];

pub(crate) fn of(
    service: Service,
    ours: impl Fn(&str) -> Option<OsString>,
) -> Vec<(&'static str, OsString)> {
    let own: &[&str] = match service {
        Service::Keeper => KEEPER,
        Service::Broker => BROKER,
        Service::Signer | Service::Gate => &[],
    };
    EVERY_SERVICE
        .iter()
        .chain(own)
        .filter_map(|name| ours(name).map(|value| (*name, value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_our_environment_reaches_no_child() {
        for service in Service::ALL {
            let passed = of(service, |name| Some(format!("value of {name}").into()));
            assert!(passed.iter().all(|(name, _)| !name.contains("KEY")));
            assert!(passed.iter().any(|(name, _)| *name == "PATH"));
            let roots = passed.iter().any(|(name, _)| *name == "SSL_CERT_FILE");
            assert_eq!(roots, service == Service::Broker);
        }
    }
}
