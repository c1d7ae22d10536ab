//! Frames of the agent protocol: four bytes of length, big-endian, then that many bytes
//! (draft-ietf-sshm-ssh-agent, section 3).

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bound of OpenSSH's own agent.
pub(crate) const MAX_FRAME: usize = 256 * 1024;
/// Between a frame's first byte and its last; between frames a client may be silent for hours.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) enum FrameError {
    TooLarge(u32),
    Empty,
    TooSlow,
    Io(io::Error),
}

/// The next frame's bytes; `None` at the client's regular end.
pub(crate) async fn read(
    client: &mut (impl AsyncRead + Unpin),
) -> Result<Option<Vec<u8>>, FrameError> {
    let first = match client.read_u8().await {
        Ok(first) => first,
        Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(why) => return Err(FrameError::Io(why)),
    };
    tokio::time::timeout(PATIENCE, rest(first, client)).await.unwrap_or(Err(FrameError::TooSlow))
}

async fn rest(
    first: u8,
    client: &mut (impl AsyncRead + Unpin),
) -> Result<Option<Vec<u8>>, FrameError> {
    let mut length = [first, 0, 0, 0];
    client.read_exact(&mut length[1..]).await.map_err(FrameError::Io)?;
    let length = u32::from_be_bytes(length);
    match length as usize {
        0 => Err(FrameError::Empty),
        bytes if bytes > MAX_FRAME => Err(FrameError::TooLarge(length)),
        bytes => {
            // Grown as bytes arrive: a promised length costs the client, not us.
            let mut frame = Vec::with_capacity(bytes.min(4096));
            let read = client.take(bytes as u64).read_to_end(&mut frame).await;
            match read.map_err(FrameError::Io)? {
                read if read == bytes => Ok(Some(frame)),
                _ => Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into())),
            }
        }
    }
}

pub(crate) async fn write(
    client: &mut (impl AsyncWrite + Unpin),
    payload: &[u8],
) -> Result<(), FrameError> {
    let mut frame = Vec::with_capacity(4 + payload.len());
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(payload);
    let written = tokio::time::timeout(PATIENCE, client.write_all(&frame)).await;
    written.map_err(|_| FrameError::TooSlow)?.map_err(FrameError::Io)
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(bytes) => write!(f, "frame of {bytes} bytes, at most {MAX_FRAME}"),
            Self::Empty => write!(f, "empty frame"),
            Self::TooSlow => write!(f, "frame not complete within {} s", PATIENCE.as_secs()),
            Self::Io(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for FrameError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_bytes(mut bytes: &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        terok_service::clients::block_on(async { read(&mut bytes).await }).unwrap()
    }

    #[test]
    fn a_frame_is_read_whole_and_the_end_is_regular() {
        assert_eq!(read_bytes(b"\0\0\0\x02ab").unwrap().unwrap(), b"ab");
        assert!(read_bytes(b"").unwrap().is_none());
    }

    #[test]
    fn giant_empty_and_broken_frames_are_refused() {
        assert!(matches!(read_bytes(&[0xff; 9]), Err(FrameError::TooLarge(_))));
        assert!(matches!(read_bytes(b"\0\0\0\0"), Err(FrameError::Empty)));
        assert!(matches!(read_bytes(b"\0\0\0\x05ab"), Err(FrameError::Io(_))));
        assert!(matches!(read_bytes(b"\0"), Err(FrameError::Io(_))));
    }
    /// Every frame of a stream, as it is read from pieces of this size.
    fn read_all(stream: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut pieces = Pieces(stream.chunks(piece).map(<[u8]>::to_vec).rev().collect());
        terok_service::clients::block_on(async {
            while let Ok(Some(frame)) = read(&mut pieces).await {
                frames.push(frame);
            }
        })
        .unwrap();
        frames
    }

    /// A stream in pieces, the last one first.
    struct Pieces(Vec<Vec<u8>>);

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            to: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            if let Some(mut part) = self.0.pop() {
                let rest = part.split_off(part.len().min(to.remaining()));
                to.put_slice(&part);
                if !rest.is_empty() {
                    self.0.push(rest);
                }
            }
            std::task::Poll::Ready(Ok(()))
        }
    }

    proptest! {
        #[test]
        fn frames_are_read_whole_and_in_order_in_whatever_pieces_they_come(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
            piece in 1usize..40,
        ) {
            let mut stream = Vec::new();
            for frame in &frames {
                stream.extend((frame.len() as u32).to_be_bytes());
                stream.extend(frame);
            }
            prop_assert_eq!(&read_all(&stream, piece), &frames);
            stream.extend(b"\0\0\0");
            prop_assert_eq!(read_all(&stream, piece), frames);
        }

        #[test]
        fn no_stream_upsets_the_reader(
            stream in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..300),
            piece in 1usize..40,
        ) {
            for frame in read_all(&stream, piece) {
                prop_assert!((1..=MAX_FRAME).contains(&frame.len()));
            }
        }
    }
}
