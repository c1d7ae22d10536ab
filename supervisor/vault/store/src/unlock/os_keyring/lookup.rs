//! The four calls that read one unlocked item.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use terok_shared::secret::Secret;

use super::bus::{Bus, BusError, Call};
use super::marshal::{Malformed, Reader, Writer};
use crate::unlock::passphrase_from;

/// All four calls together.
const TIME_LIMIT: Duration = Duration::from_secs(3);

const SERVICE: &str = "org.freedesktop.secrets";
const SERVICE_PATH: &str = "/org/freedesktop/secrets";
const SERVICE_INTERFACE: &str = "org.freedesktop.Secret.Service";
const ITEM_INTERFACE: &str = "org.freedesktop.Secret.Item";

/// What the item is found by.
const ATTRIBUTES: [(&str, &str); 2] =
    [("service", "terok-sandbox"), ("username", "credentials-db")];

/// Sockets the session's bus may listen on: the one that is named, and those beside the session
/// directories (`$XDG_RUNTIME_DIR/bus`) for processes without that variable.
pub(super) fn buses(named: Option<&OsStr>, session_directories: &[PathBuf]) -> Vec<PathBuf> {
    let named = named.and_then(OsStr::to_str).into_iter().flat_map(|text| {
        text.split(';').filter_map(|one| {
            let path =
                one.strip_prefix("unix:")?.split(',').find_map(|p| p.strip_prefix("path="))?;
            // An escaped path (D-Bus specification, "Server Addresses") is one we do without.
            (!path.contains('%')).then(|| PathBuf::from(path))
        })
    });
    let usual = session_directories.iter().filter_map(|directory| {
        // `<runtime>/terok/vault-session`
        directory.parent().and_then(Path::parent).map(|runtime| runtime.join("bus"))
    });
    let mut found: Vec<PathBuf> = named.chain(usual).collect();
    found.dedup();
    found
}

pub(super) fn find(buses: &[PathBuf]) -> Result<Secret<String>, LookupError> {
    find_within(TIME_LIMIT, buses)
}

pub(super) fn find_within(
    limit: Duration,
    buses: &[PathBuf],
) -> Result<Secret<String>, LookupError> {
    let path = buses.iter().find(|path| path.exists()).ok_or(LookupError::NoBus)?;
    let mut bus = Bus::connect(path, limit)?;
    let item = unlocked_item(&mut bus)?;
    let session = plain_session(&mut bus)?;
    read_item(&mut bus, &item, &session)
}

/// Locked items are counted, never unlocked: that would put a prompt before somebody.
fn unlocked_item(bus: &mut Bus) -> Result<String, LookupError> {
    let mut attributes = Writer::default();
    attributes.array(8, |pairs| {
        for (name, value) in ATTRIBUTES {
            pairs.align(8);
            pairs.string(name);
            pairs.string(value);
        }
    });
    let reply = bus.call(&Call {
        destination: SERVICE,
        path: SERVICE_PATH,
        interface: SERVICE_INTERFACE,
        member: "SearchItems",
        signature: "a{ss}",
        body: attributes.bytes(),
    })?;
    let mut body = reply.body();
    let (unlocked, locked) = (body.strings()?, body.strings()?);
    match (unlocked.into_iter().next(), locked.is_empty()) {
        (Some(item), _) => Ok(item),
        (None, false) => Err(LookupError::Locked),
        (None, true) => Err(LookupError::NoItem),
    }
}

/// A session in which secrets travel as they are: the bus is this machine's and this user's.
fn plain_session(bus: &mut Bus) -> Result<String, LookupError> {
    let mut body = Writer::default();
    body.string("plain");
    body.signature("s");
    body.string("");
    let reply = bus.call(&Call {
        destination: SERVICE,
        path: SERVICE_PATH,
        interface: SERVICE_INTERFACE,
        member: "OpenSession",
        signature: "sv",
        body: body.bytes(),
    })?;
    let mut body = reply.body();
    // A variant that a plain session leaves empty.
    match body.signature()? {
        "s" => body.string()?,
        _ => return Err(Malformed.into()),
    };
    Ok(body.string()?.to_owned())
}

fn read_item(bus: &mut Bus, item: &str, session: &str) -> Result<Secret<String>, LookupError> {
    let mut body = Writer::default();
    body.string(session);
    let reply = bus.call(&Call {
        destination: SERVICE,
        path: item,
        interface: ITEM_INTERFACE,
        member: "GetSecret",
        signature: "o",
        body: body.bytes(),
    })?;
    let mut body: Reader<'_> = reply.body();
    body.align(8)?;
    body.string()?;
    body.byte_array()?;
    passphrase_from(body.byte_array()?.to_vec().into()).map_err(LookupError::Unusable)
}

/// Why the keyring gave no passphrase.
#[derive(Debug)]
pub(super) enum LookupError {
    NoBus,
    Bus(BusError),
    NoItem,
    Locked,
    Unusable(&'static str),
}

impl From<BusError> for LookupError {
    fn from(error: BusError) -> Self {
        Self::Bus(error)
    }
}

impl From<Malformed> for LookupError {
    fn from(error: Malformed) -> Self {
        Self::Bus(BusError::Malformed(error))
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBus => f.write_str("no session bus"),
            Self::Bus(why) => why.fmt(f),
            Self::NoItem => f.write_str("no item for this vault"),
            Self::Locked => f.write_str("its collection is locked"),
            Self::Unusable(what) => write!(f, "its item {what}"),
        }
    }
}

#[cfg(test)]
mod tests;
