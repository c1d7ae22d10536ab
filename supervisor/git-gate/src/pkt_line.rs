//! pkt-lines (gitprotocol-common(5)): four hexadecimal digits of length, themselves included, then
//! as many bytes; `0000` ends a section.

/// Longest packet, its length included.
pub(crate) const MAX_PACKET: usize = 65520;
/// Digits before the content.
pub(crate) const LENGTH: usize = 4;
pub(crate) const FLUSH: &[u8] = b"0000";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// The packet's content, and how many bytes it took.
    Data(&'a [u8], usize),
    Flush,
    /// More bytes are needed.
    More,
    /// Not a pkt-line, or one that pushes do not have.
    Broken,
}

/// The first packet of `bytes`.
pub(crate) fn next(bytes: &[u8]) -> Step<'_> {
    let Some(digits) = bytes.get(..LENGTH) else { return Step::More };
    match length(digits) {
        Some(0) => Step::Flush,
        Some(length @ LENGTH..=MAX_PACKET) => match bytes.get(LENGTH..length) {
            Some(content) => Step::Data(content, length),
            None => Step::More,
        },
        // 1 and 2 are of protocol version 2, which has no push; 3 is nothing.
        _ => Step::Broken,
    }
}

/// Unlike `from_str_radix`, takes no sign.
fn length(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0, |length, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some(length * 16 + value as usize)
    })
}

/// Appends one packet made of `parts`.
///
/// # Panics
/// When they are longer than a packet can be.
pub(crate) fn write(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let length = LENGTH + parts.iter().map(|part| part.len()).sum::<usize>();
    assert!(length <= MAX_PACKET, "callers split or shorten what they send");
    out.extend_from_slice(format!("{length:04x}").as_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read_one_by_one() {
        assert_eq!(next(b"0006a\n0000"), Step::Data(b"a\n", 6));
        assert_eq!(next(b"0004rest"), Step::Data(b"", 4));
        assert_eq!(next(b"0000"), Step::Flush);
    }

    #[test]
    fn a_part_of_a_packet_asks_for_more() {
        for bytes in [&b""[..], b"000", b"0006", b"0006a"] {
            assert_eq!(next(bytes), Step::More);
        }
    }

    #[test]
    fn what_is_no_packet_is_broken() {
        for bytes in [&b"0001"[..], b"0002", b"0003", b"+004", b"zzzz", b"fff1", b"PACK", b" 0 6"] {
            assert_eq!(next(bytes), Step::Broken, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut out = Vec::new();
        write(&mut out, &[b"ab", b"", b"c"]);
        assert_eq!(next(&out), Step::Data(b"abc", 7));
    }
}
