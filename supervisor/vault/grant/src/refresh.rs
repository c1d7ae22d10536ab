//! Renewing a login (RFC 6749 section 6), as broker and keeper speak about it.
//!
//! Only the broker dials out and only the keeper opens the vault, so a renewal has three steps:
//! the keeper hands out the refresh token under the lock that all supervisors share, the broker
//! spends it, the keeper stores what it bought. Each question may be asked twice.

use serde::{Deserialize, Serialize};
use terok_shared::secret::Secret;

use crate::asking::Keeper;
use crate::message::{self, Member, Refusal};

/// Which login, without its values: a row of `credentials`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Login {
    pub credential_set: String,
    pub provider: String,
}

#[derive(Serialize, Deserialize)]
pub enum Question {
    /// Which logins of these providers end soon?
    Expiring { providers: Vec<String> },
    /// May this login be renewed now? With `rejected`, because an upstream refused this access
    /// token; otherwise because it ends soon.
    Begin { login: Login, rejected: Option<Member> },
    /// What came of it.
    End { login: Login, receipt: Receipt, outcome: Spent },
}

/// Names the refresh token that was handed out, so that a keeper which never saw the beginning
/// can tell whether the row still holds it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Receipt(pub String);

/// What the token endpoint made of a refresh token.
#[derive(Serialize, Deserialize)]
pub enum Spent {
    Bought {
        access_token: Member,
        /// Absent when the old one stays valid.
        refresh_token: Option<Member>,
        /// Seconds from now.
        expires_in: u64,
    },
    /// Refused for good; the endpoint's own word for it, such as `invalid_grant`.
    Refused { reason: String },
    /// No answer, or none that says anything: it may be tried again.
    Failed,
}

#[derive(Serialize, Deserialize)]
pub enum Answer {
    Expiring(Vec<Login>),
    Begin(Begun),
    /// The vault holds it.
    Stored,
    /// The vault could not be written: ask again.
    NotStored,
}

#[derive(Serialize, Deserialize)]
pub enum Begun {
    /// Spend this, once, and say what came of it.
    Spend { refresh_token: Member, receipt: Receipt },
    /// Another supervisor is at it.
    Elsewhere,
    /// There is nothing to do: the row holds another access token than the one refused, or one
    /// that does not end soon.
    Fresh,
    /// This refresh token was refused for good.
    Refused,
    /// No login that this container may use and that can be renewed.
    NotRenewable,
}

impl Keeper {
    /// Logins of these providers, within this container's limits, that end soon.
    pub async fn expiring(&self, providers: Vec<String>) -> Result<Vec<Login>, Refusal> {
        match self.ask_about_refresh(Question::Expiring { providers }).await? {
            Answer::Expiring(logins) => Ok(logins),
            _ => Err(Refusal::Unavailable),
        }
    }

    /// Takes the lock and the refresh token, if there is reason to.
    pub async fn begin_refresh(
        &self,
        login: &Login,
        rejected: Option<&Secret<String>>,
    ) -> Result<Begun, Refusal> {
        let rejected = rejected.map(|token| Member(token.expose().clone().into()));
        match self.ask_about_refresh(Question::Begin { login: login.clone(), rejected }).await? {
            Answer::Begin(begun) => Ok(begun),
            _ => Err(Refusal::Unavailable),
        }
    }

    /// Whether the outcome is in the vault; the lock is given back with it.
    pub async fn end_refresh(
        &self,
        login: &Login,
        receipt: &Receipt,
        outcome: Spent,
    ) -> Result<bool, Refusal> {
        let (login, receipt) = (login.clone(), receipt.clone());
        match self.ask_about_refresh(Question::End { login, receipt, outcome }).await? {
            Answer::Stored => Ok(true),
            Answer::NotStored => Ok(false),
            _ => Err(Refusal::Unavailable),
        }
    }

    async fn ask_about_refresh(&self, question: Question) -> Result<Answer, Refusal> {
        match self.ask(message::Question::Refresh(question)).await? {
            message::Answer::Refresh(answer) => Ok(answer),
            _ => Err(Refusal::Unavailable),
        }
    }
}
