//! The vault: there, unlocked, and of a version we can use; and the route table beside it.

use vault_store::Vault;
use vault_store::database::OpenError;
use vault_store::unlock::resolve;

use super::finding::{Finding, Grade};
use crate::cli::UnlockArgs;
use crate::directories::Directories;
use crate::vault::{read_routes, sources};

const PLACE: &str = "vault";

pub(super) fn examine(directories: &Directories) -> Vec<Finding> {
    let database = directories.database();
    if !database.exists() {
        let what = format!("none at {}: only the git gate can be used", database.display());
        return vec![Finding::warning(PLACE, what, "run terokctl vault init")];
    }
    vec![opened(directories), routes(directories)]
}

fn opened(directories: &Directories) -> Finding {
    let sources = sources(directories, &UnlockArgs::default());
    let unlocked = match resolve(&sources) {
        Ok(unlocked) => unlocked,
        Err(why) => {
            let found = Finding::of_error(PLACE, Grade::Warning, &why);
            let what = format!("locked: {}", found.what);
            return Finding::warning(PLACE, what, "run terokctl vault unlock");
        }
    };
    match Vault::open(&sources.db_path, &unlocked.passphrase) {
        Ok(_) => Finding::good(PLACE, format!("unlocked by the {}", unlocked.tier)),
        Err(why) => refused(&why, &unlocked.tier.to_string()),
    }
}

fn refused(why: &OpenError, tier: &str) -> Finding {
    let found = Finding::of_error(PLACE, Grade::Broken, why);
    Finding { what: format!("{} (passphrase from: {tier})", found.what), ..found }
}

fn routes(directories: &Directories) -> Finding {
    const PLACE: &str = "routes";
    let path = directories.routes();
    match read_routes(&path) {
        Ok(routes) if routes.is_empty() => Finding::warning(
            PLACE,
            format!("none in {}: the broker answers every request with 404", path.display()),
            "run terokctl vault add PROVIDER",
        ),
        Ok(routes) => Finding::good(PLACE, format!("{} in {}", routes.len(), path.display())),
        Err(why) => Finding::of_error(PLACE, Grade::Broken, &why),
    }
}
