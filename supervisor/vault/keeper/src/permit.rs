//! Whether a key may make a signature: what it would be for, where the connection leads, and the
//! key's rules. Decided here, beside the key, so that a signer in foreign hands gets no more.
//!
//! A login is bound to one session by its data. A host that signed this session's identifier can
//! be no other than the one the client is at, so a proof need not be fresh to be worth something.

use vault_grant::host_key::{host_fingerprint, signed};
use vault_grant::purpose::{Purpose, UserAuth};
use vault_grant::{Bind, Denial, Route, ToSign};
use vault_store::ssh_key::rules::Rules;

/// `Ok` when nothing speaks against it.
pub(crate) fn permit(to_sign: &ToSign, rules: &Rules) -> Result<(), Denial> {
    match Purpose::of(&to_sign.data).ok_or(Denial::UnknownData)? {
        Purpose::UserAuth(auth) => login(&auth, to_sign, rules),
        Purpose::SshSig { namespace } => message(namespace, rules),
    }
}

fn login(auth: &UserAuth<'_>, to_sign: &ToSign, rules: &Rules) -> Result<(), Denial> {
    if auth.key != to_sign.public_blob {
        return Err(Denial::OtherKey);
    }
    if let Some(bind) = &to_sign.route.bind {
        fits(auth, bind)?;
    }
    if rules.is_empty() {
        return Ok(());
    }
    let limits_hosts = rules.hosts().next().is_some();
    let limits_users = rules.users().next().is_some();
    if !limits_hosts && !limits_users {
        return Err(Denial::NoLogin);
    }
    if limits_hosts {
        let host = proved_host(&to_sign.route)?;
        if !rules.hosts().any(|allowed| allowed == host) {
            return Err(Denial::Host(host));
        }
    }
    if limits_users && !rules.users().any(|pattern| pattern.matches(auth.user)) {
        return Err(Denial::User(auth.user.to_owned()));
    }
    Ok(())
}

/// Whether a login is the one its connection was bound for.
fn fits(auth: &UserAuth<'_>, bind: &Bind) -> Result<(), Denial> {
    if bind.is_forwarding {
        return Err(Denial::BoundForForwarding);
    }
    if auth.session_id != bind.session_id {
        return Err(Denial::OtherSession);
    }
    // One may be a certificate and the other the key in it.
    let same = |key: &[u8]| {
        key == bind.host_key
            || host_fingerprint(key)
                .is_some_and(|name| host_fingerprint(&bind.host_key) == Some(name))
    };
    match auth.host_key {
        Some(key) if !same(key) => Err(Denial::OtherHostKey),
        _ => Ok(()),
    }
}

/// The fingerprint of the host that signed this session's identifier.
fn proved_host(route: &Route) -> Result<String, Denial> {
    let bind = route.bind.as_ref().ok_or(Denial::HostUnproven)?;
    if route.is_forwarded {
        return Err(Denial::Forwarded);
    }
    if !signed(&bind.host_key, &bind.session_id, &bind.signature) {
        return Err(Denial::HostUnproven);
    }
    host_fingerprint(&bind.host_key).ok_or(Denial::HostUnproven)
}

fn message(namespace: &str, rules: &Rules) -> Result<(), Denial> {
    let allowed = || rules.namespaces().any(|pattern| pattern.matches(namespace));
    match rules.is_empty() || allowed() {
        true => Ok(()),
        false => Err(Denial::Namespace(namespace.to_owned())),
    }
}

#[cfg(test)]
mod tests;
