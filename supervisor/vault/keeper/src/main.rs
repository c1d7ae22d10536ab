//! The keeper: the one service that opens the vault.
//!
//! It has no clients, no network and no file but the database. Broker and signer ask it over a
//! line each; it answers what their tokens grant (`answer`) and signs (`sign`), and tells both
//! when the database changed (`watch`). Until the vault can be unlocked it answers nothing and
//! parses nothing (`unlock`).

mod unlock;

mod answer;

mod sign;

mod watch;

mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use terok_service::{Failure, Inherited, Lane, Life, Sockets};
use terok_shared::handover::{Common, KeeperSlice};
use terok_shared::service::Service;

use serve::{Asker, Keeper};

impl Life for Keeper {
    const SERVICE: Service = Service::Keeper;
    type Slice = KeeperSlice;

    fn open(slice: KeeperSlice, _: &Common, inherited: Inherited) -> Result<Self, Failure> {
        let askers = Asker::all(inherited);
        let limits = slice.limits.clone();
        let vault = unlock::unlock(slice, &askers)?;
        Self::new(vault, limits, askers)
    }

    /// The vault's directory: SQLite makes its write-ahead log beside the database.
    fn lane(&self) -> Lane {
        let directory = self.db_path().parent().map(PathBuf::from);
        Lane {
            write: directory.into_iter().collect(),
            sockets: Sockets::Inherited,
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
