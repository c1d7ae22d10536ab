//! Looks for many secrets in one long stream, as they are and in the forms they travel in.

use std::io::{self, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Secrets are told from accident by this many bytes.
const ENOUGH: usize = 16;

struct Needle {
    name: String,
    bytes: Vec<u8>,
}

/// The names of all secrets that occur in the stream.
pub(crate) fn found_in<'s>(
    mut stream: impl Read,
    secrets: impl Iterator<Item = (&'s str, &'s [u8])>,
) -> io::Result<Vec<String>> {
    let needles: Vec<Needle> = secrets.flat_map(|(name, secret)| forms(name, secret)).collect();
    // Two bytes of a needle choose it: nearly every position of the stream is done with one look.
    let mut starts = vec![false; 1 << 16];
    needles.iter().for_each(|needle| starts[pair(&needle.bytes)] = true);
    let longest = needles.iter().map(|needle| needle.bytes.len()).max().unwrap_or_default();
    let (mut found, mut held, mut chunk) = (vec![], vec![], vec![0; 1 << 20]);
    loop {
        let read = stream.read(&mut chunk)?;
        held.extend_from_slice(&chunk[..read]);
        for (at, window) in held.windows(2).enumerate() {
            if starts[pair(window)] {
                let here = needles.iter().filter(|needle| held[at..].starts_with(&needle.bytes));
                found.extend(here.map(|needle| needle.name.clone()));
            }
        }
        if read == 0 {
            found.sort();
            found.dedup();
            return Ok(found);
        }
        // A needle may begin in this chunk and end in the next.
        held.drain(..held.len().saturating_sub(longest));
    }
}

/// The first bytes of a secret as they are, in hexadecimal, and in base64 at each of the three
/// places in which a longer text's groups of three can put them.
fn forms(name: &str, secret: &[u8]) -> Vec<Needle> {
    let secret = &secret[secret.len().min(1)..]; // a number's leading zero tells nothing
    let start = &secret[..secret.len().min(2 * ENOUGH)];
    assert!(start.len() >= ENOUGH, "{name} is too short to be looked for");
    let mut needles = vec![("", start.to_vec()), (" in hexadecimal", hex::encode(start).into())];
    for skipped in 0..3 {
        let whole = &start[skipped..];
        // Only whole groups: the last characters also depend on what follows.
        let encoded = STANDARD_NO_PAD.encode(&whole[..whole.len() / 3 * 3]);
        needles.push((" in base64", encoded.into()));
    }
    needles
        .into_iter()
        .map(|(form, bytes)| Needle { name: format!("{name}{form}"), bytes })
        .collect()
}

fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

#[test]
fn a_secret_is_found_in_every_form_and_across_chunks() {
    let secret: &[u8] = b"?0123456789abcdef0123456789";
    let one = || std::iter::once(("it", secret));
    let filler = vec![b'.'; (1 << 20) - 7];
    for offset in 0..3 {
        let text = [&b"xx"[..offset], secret].concat();
        let stream = [&filler[..], STANDARD_NO_PAD.encode(text).as_bytes()].concat();
        assert_eq!(found_in(&stream[..], one()).unwrap(), ["it in base64"]);
    }
    assert_eq!(found_in(&[&filler[..], secret].concat()[..], one()).unwrap(), ["it"]);
    assert_eq!(found_in(&filler[..], one()).unwrap(), [""; 0]);
}
