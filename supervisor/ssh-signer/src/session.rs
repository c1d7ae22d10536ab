//! One client: its handshake, then request and answer in turn. The token says whose keys it sees;
//! the keeper is asked anew each time, so a new key or a revoked token needs no restart.

use terok_service::clients::{Connection, Drain};
use terok_shared::secret::Secret;
use vault_grant::{Keeper, Refusal};

use crate::message::Request;
use crate::{frame, handshake, message};

pub(crate) async fn run(mut client: Connection, keeper: Keeper, mut drain: Drain) {
    let token = match handshake::read(&mut client).await {
        Ok(token) => token,
        Err(why) => return log::info!("client refused: {why}"),
    };
    loop {
        let payload = tokio::select! {
            payload = frame::read(&mut client) => payload,
            () = drain.begun() => return,
        };
        let payload = match payload {
            Ok(Some(payload)) => payload,
            Ok(None) => return,
            Err(why) => return log::info!("client dropped: {why}"),
        };
        let answer = answer(Request::parse(&payload), &token, &keeper).await;
        if let Err(why) = frame::write(&mut client, &answer).await {
            return log::info!("client dropped: {why}");
        }
    }
}

async fn answer(request: Request, token: &Secret<String>, keeper: &Keeper) -> Vec<u8> {
    let token = Secret::from(token.expose().clone());
    let answered = match request {
        Request::Identities => keeper.identities(token).await.map(|all| message::identities(&all)),
        Request::Sign { public_blob, data, flags } => keeper
            .sign(token, public_blob, data, flags)
            .await
            .map(|signature| message::signature(&signature)),
        Request::Other(number) => {
            log::debug!("message {number} refused");
            return message::failure();
        }
        Request::Malformed => {
            log::info!("malformed message refused");
            return message::failure();
        }
    };
    answered.unwrap_or_else(|refusal| {
        log::info!("request refused: {}", reason(&refusal));
        message::failure()
    })
}

fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::UnknownToken => "unknown token",
        Refusal::WrongScope(_) => "a token of another container or scope",
        Refusal::WrongProvider => "a token that is not for SSH",
        Refusal::UnknownKey => "no such key in this scope",
        Refusal::CannotSign => "the key cannot make this signature",
        Refusal::NotYours => "not a signer's question",
        Refusal::Locked => "the vault is locked",
        Refusal::Unavailable => "the keeper does not answer",
    }
}
