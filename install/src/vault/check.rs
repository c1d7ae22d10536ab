//! `vault check`: whether the vault is sound. What is wrong is told; nothing is repaired but the
//! modes, which every opening tightens.

use std::fmt;

use vault_store::database::{Finding, check_files};

use super::open::open;
use crate::Failure;
use crate::cli::CheckArgs;
use crate::directories::Directories;
use crate::output::{count, print, print_json, printable};

/// The vault opens and has faults.
#[derive(Debug)]
struct NotSound {
    findings: usize,
}

pub(super) fn run(directories: &Directories, args: &CheckArgs) -> Result<(), Failure> {
    // Before the vault is opened, which tightens what it can.
    let mut findings = check_files(&directories.database());
    let vault = open(directories, &args.unlock)?;
    findings.extend(vault.check());
    let lines: Vec<String> =
        findings.iter().map(Finding::to_string).map(|line| printable(&line)).collect();
    if args.json {
        print_json(&lines)?;
    } else if lines.is_empty() {
        print(&format!("{} is sound", directories.database().display()))?;
    } else {
        print(&lines.join("\n"))?;
    }
    match findings.len() {
        0 => Ok(()),
        findings => Err(NotSound { findings }.into()),
    }
}

impl fmt::Display for NotSound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "check the vault: {}\n\
             hint: for damaged pages or rows, put back a copy that `terokctl vault backup` made; a \
             mode that was too open is tightened now",
            count(self.findings, "finding")
        )
    }
}

impl std::error::Error for NotSound {}
