//! The first words of a client: four bytes of length, big-endian, and a phantom token.

use std::fmt;
use std::io;
use std::time::Duration;

use terok_shared::secret::Secret;
use terok_shared::token::MAX_TOKEN;
use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroizing;

const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) enum HandshakeError {
    Length(u32),
    NotText,
    TooSlow,
    Io(io::Error),
}

/// Reads the token; who it belongs to is the keeper's to say.
pub(crate) async fn read(
    client: &mut (impl AsyncRead + Unpin),
) -> Result<Secret<String>, HandshakeError> {
    tokio::time::timeout(PATIENCE, token(client)).await.unwrap_or(Err(HandshakeError::TooSlow))
}

async fn token(client: &mut (impl AsyncRead + Unpin)) -> Result<Secret<String>, HandshakeError> {
    let length = client.read_u32().await.map_err(HandshakeError::Io)?;
    if length == 0 || length as usize > MAX_TOKEN {
        return Err(HandshakeError::Length(length));
    }
    let mut token = Zeroizing::new(vec![0; length as usize]);
    client.read_exact(&mut token).await.map_err(HandshakeError::Io)?;
    let token = str::from_utf8(&token).map_err(|_| HandshakeError::NotText)?;
    Ok(Secret::from(token.to_owned()))
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(n) => write!(
                f,
                "handshake: token of {n} bytes, expected 1 to {MAX_TOKEN}\n\
                 hint: a plain SSH client needs a bridge that sends the token first"
            ),
            Self::NotText => write!(f, "handshake: the token is not UTF-8"),
            Self::TooSlow => write!(f, "handshake: no token within {} s", PATIENCE.as_secs()),
            Self::Io(why) => write!(f, "handshake: {why}"),
        }
    }
}

impl std::error::Error for HandshakeError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_bytes(mut bytes: &[u8]) -> Result<Secret<String>, HandshakeError> {
        terok_service::clients::block_on(async { token(&mut bytes).await }).unwrap()
    }

    #[test]
    fn a_token_is_read_to_its_length() {
        assert_eq!(read_bytes(b"\0\0\0\x03abcdef").unwrap().expose(), "abc");
    }

    #[test]
    fn lengths_outside_the_contract_are_refused_before_anything_is_read() {
        assert!(matches!(read_bytes(b"\0\0\0\0"), Err(HandshakeError::Length(0))));
        assert!(matches!(read_bytes(b"\0\0\x04\x01"), Err(HandshakeError::Length(1025))));
        assert!(matches!(read_bytes(&[0xff; 8]), Err(HandshakeError::Length(u32::MAX))));
    }

    #[test]
    fn what_ends_early_or_is_no_text_is_refused() {
        assert!(matches!(read_bytes(b"\0\0"), Err(HandshakeError::Io(_))));
        assert!(matches!(read_bytes(b"\0\0\0\x05abc"), Err(HandshakeError::Io(_))));
        assert!(matches!(read_bytes(b"\0\0\0\x02\xff\xfe"), Err(HandshakeError::NotText)));
    }
}
