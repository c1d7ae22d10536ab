//! The keeper's part in renewing the one login of the tests: token `TOKEN`, provider `p`.

use std::sync::Mutex;

use vault_grant::refresh::{Answer, Begun, Login, Question, Receipt, Spent};
use vault_grant::{Line, Member, Notice, Reply};

use super::TOKEN;
use super::keeper::{Script, Scripted};

/// What the keeper would say, and what it was told.
#[derive(Default)]
pub(crate) struct Logins {
    /// The login ends soon.
    pub(crate) expiring: bool,
    pub(crate) refresh_token: Option<String>,
    pub(crate) refused: bool,
    /// So many times another supervisor is at it.
    pub(crate) elsewhere: usize,
    /// So many times the vault cannot be written.
    pub(crate) unwritable: usize,
    pub(crate) stored: Vec<Stored>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Bought { access: String, refresh: Option<String>, expires_in: u64 },
    Refused(String),
    Failed,
}

pub(super) fn answer(
    line: &Line,
    script: &Script,
    logins: &Mutex<Logins>,
    question: Question,
) -> Option<Answer> {
    let mut logins = logins.lock().unwrap();
    Some(match question {
        Question::Expiring { providers } => {
            let login = Login { credential_set: "default".into(), provider: "p".into() };
            let asked = logins.expiring && providers.contains(&login.provider);
            Answer::Expiring(if asked { vec![login] } else { vec![] })
        }
        Question::Begin { rejected, .. } => Answer::Begin(begin(script, &mut logins, rejected)),
        Question::End { outcome, receipt, .. } => {
            assert_eq!(receipt.0, "receipt");
            if logins.unwritable > 0 {
                logins.unwritable -= 1;
                return Some(Answer::NotStored);
            }
            let stored = stored(outcome);
            if let Stored::Bought { access, refresh, .. } = &stored {
                logins.expiring = false;
                if let Some(refresh) = refresh {
                    logins.refresh_token = Some(refresh.clone());
                }
                set_access_token(script, access);
                line.send(&Reply::Notice(Notice::Changed)).unwrap();
            }
            logins.stored.push(stored);
            Answer::Stored
        }
    })
}

fn begin(script: &Script, logins: &mut Logins, rejected: Option<Member>) -> Begun {
    if logins.elsewhere > 0 {
        logins.elsewhere -= 1;
        if logins.elsewhere == 0 {
            set_access_token(script, "by-another");
        }
        return Begun::Elsewhere;
    }
    let held = match script.lock().unwrap().get(TOKEN) {
        Some(Scripted::OAuth { value, .. }) => value.clone(),
        _ => return Begun::NotRenewable,
    };
    if rejected.is_some_and(|Member(token)| *token.expose() != held) {
        return Begun::Fresh;
    }
    match &logins.refresh_token {
        _ if logins.refused => Begun::Refused,
        None => Begun::NotRenewable,
        Some(token) => Begun::Spend {
            refresh_token: Member(token.clone().into()),
            receipt: Receipt("receipt".into()),
        },
    }
}

fn set_access_token(script: &Script, access: &str) {
    if let Some(Scripted::OAuth { value, .. }) = script.lock().unwrap().get_mut(TOKEN) {
        access.clone_into(value);
    }
}

fn stored(outcome: Spent) -> Stored {
    match outcome {
        Spent::Bought { access_token, refresh_token, expires_in } => Stored::Bought {
            access: access_token.0.expose().clone(),
            refresh: refresh_token.map(|token| token.0.expose().clone()),
            expires_in,
        },
        Spent::Refused { reason } => Stored::Refused(reason),
        Spent::Failed => Stored::Failed,
    }
}
