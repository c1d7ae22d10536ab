//! The keeper: the one service that opens the vault.
//!
//! It has no clients, no network and no file but the database. Broker and signer ask it over a
//! line each; it answers what their tokens grant (`answer`), signs (`sign`) what a key may be used
//! for (`permit`), leads the renewal of logins (`refresh`), and tells whoever remembers an answer
//! (`asker`) when the database changed (`watch`). Until the vault can be unlocked it answers nothing and parses nothing
//! (`unlock`).

mod unlock;

mod answer;

mod permit;

mod sign;

mod refresh;

mod watch;

mod asker;

mod serve;

mod memory;

mod calls;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use terok_service::{Failure, Inherited, Lane, Life, Sockets};
use terok_shared::handover::{Common, KeeperSlice};
use terok_shared::service::Service;

use asker::Asker;
use refresh::Refreshes;
use serve::Keeper;

impl Life for Keeper {
    const SERVICE: Service = Service::Keeper;
    type Slice = KeeperSlice;

    fn open(slice: KeeperSlice, common: &Common, inherited: Inherited) -> Result<Self, Failure> {
        let askers = Asker::all(inherited);
        let limits = slice.limits.clone();
        let refreshes = Refreshes::with_locks_in(slice.refresh_locks.clone());
        let vault = unlock::unlock(slice, &askers)?;
        match memory::lock() {
            Ok(bytes) => log::debug!("{} KiB of memory are locked", bytes / 1024),
            Err(why) => log::warn!("{why}"),
        }
        let leave_after = common.leave_after.map(Duration::from_secs);
        Ok(Self::new(vault, limits, refreshes, askers)?.leaving_after(leave_after))
    }

    /// The vault's directory, because SQLite makes its write-ahead log beside the database, and
    /// that of the locks.
    fn lane(&self) -> Lane {
        let vault = self.db_path().parent().map(PathBuf::from);
        let locks = self.locks().map(PathBuf::from);
        Lane {
            write: vault.into_iter().chain(locks).collect(),
            sockets: Sockets::Inherited,
            calls: Some(calls::CALLS),
            ..Lane::default()
        }
    }

    fn serve(self) -> Result<(), Failure> {
        self.run()
    }
}

fn main() -> ExitCode {
    terok_service::run::<Keeper>()
}
