//! The line between the keeper and the services that ask it.
//!
//! `message` is what is said, `line` how it travels (one message per packet of a
//! `SOCK_SEQPACKET` pair), `asking` the broker's and signer's side. The answering side is the
//! keeper's own business.

mod asking;
mod line;
mod message;

pub use asking::Keeper;
pub use line::{Line, LineError};
pub use message::{
    Answer, Credential, CredentialKind, CredentialProblem, Grant, Identity, Member, Notice,
    Question, Refusal, Reply, Request, TokenInfo,
};
pub use terok_shared::packet_pair::new as pair;
