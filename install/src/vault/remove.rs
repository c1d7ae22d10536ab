//! `vault remove`: takes a credential out of the vault. Tokens that granted it stop working with
//! it; the route stays for other sets.

use std::fmt;

use serde_json::json;

use super::open::open;
use crate::Failure;
use crate::cli::{CredentialArgs, RemoveArgs};
use crate::directories::Directories;
use crate::output::tell;

#[derive(Debug)]
struct NoSuchCredential {
    provider: String,
    set: String,
}

pub(super) fn run(directories: &Directories, args: &RemoveArgs) -> Result<(), Failure> {
    let CredentialArgs { provider, set } = &args.credential;
    let mut vault = open(directories, &args.unlock)?;
    if !vault.remove_credential(set.as_str(), provider.as_str())? {
        let (provider, set) = (provider.to_string(), set.to_string());
        return Err(NoSuchCredential { provider, set }.into());
    }
    let told = format!("removed the credential for {provider} from set {set}");
    tell(args.json, &told, &json!({ "provider": provider.as_str(), "set": set.as_str() }))?;
    Ok(())
}

impl fmt::Display for NoSuchCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "remove the credential for {} from set {}: there is none\n\
             hint: `terokctl vault list` shows what there is",
            self.provider, self.set
        )
    }
}

impl std::error::Error for NoSuchCredential {}
