//! The line between the keeper and the services that ask it.
//!
//! `message` is what is said (`refresh` about renewing logins), `line` how it travels (one message
//! per packet of a `SOCK_SEQPACKET` pair), `asking` the broker's and signer's side. The answering
//! side is the keeper's own business. `linger` tells both when not to sleep.
//!
//! Signer and keeper also share how they read what is to be signed: `purpose` tells what a
//! signature would be for, `host_key` whether a host proved itself.

mod message;
pub mod refresh;
mod signing;

mod line;

mod linger;

mod asking;

pub mod fingerprint;
pub mod host_key;
pub mod purpose;
pub mod ssh_wire;

pub use asking::{Keeper, Patience};
pub use line::{Line, LineError, Packet};
pub use linger::Linger;
pub use message::{
    Answer, Credential, CredentialKind, CredentialProblem, Grant, Identity, Member, Notice,
    Question, Refusal, Reply, Request, TokenInfo,
};
pub use signing::{Bind, Denial, Route, Signing, ToSign};
pub use terok_shared::packet_pair::new as pair;
