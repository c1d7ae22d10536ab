//! The SSH wire format (RFC 4251, section 5), read from a peer's bytes: every length is checked
//! against what is there, and nothing is copied.

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// `string`: four bytes of length, then the bytes.
    pub fn string(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let (string, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        self.0 = rest;
        Some(string)
    }

    /// A `string` of UTF-8 without control characters: a name somebody may have to read.
    pub fn name(&mut self) -> Option<&'a str> {
        let name = str::from_utf8(self.string()?).ok()?;
        (!name.chars().any(char::is_control)).then_some(name)
    }

    /// The magnitude of a positive `mpint`, without leading zeros.
    pub fn magnitude(&mut self) -> Option<&'a [u8]> {
        let number = self.string()?;
        match number.first()? {
            0 => Some(&number[1..]),
            0x80.. => None,
            _ => Some(number),
        }
    }

    pub fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// `boolean`. Any value but zero means true; only one is what programs write.
    pub fn boolean(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub fn uint32(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    /// Everything that is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// `Some` when nothing is left over.
    pub fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// Appends a `string`.
pub fn put_string(to: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("messages are far below 4 GiB");
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_lying_length_reads_nothing() {
        for bytes in [&b"\0\0\0\x05abcd"[..], b"\xff\xff\xff\xffab", b"\0\0\0", b""] {
            assert_eq!(Reader::new(bytes).string(), None);
        }
    }

    #[test]
    fn a_name_is_readable_text() {
        for (bytes, name) in [
            (&b"\0\0\0\x03git"[..], Some("git")),
            (b"\0\0\0\x03g\nt", None),
            (b"\0\0\0\x02\xff\xfe", None),
            (b"\0\0\0\0", Some("")),
        ] {
            assert_eq!(Reader::new(bytes).name(), name);
        }
    }

    #[test]
    fn a_negative_number_has_no_magnitude() {
        assert_eq!(Reader::new(b"\0\0\0\x02\x80\x01").magnitude(), None);
        assert_eq!(Reader::new(b"\0\0\0\x02\0\x80").magnitude(), Some(&[0x80][..]));
        assert_eq!(Reader::new(b"\0\0\0\x01\x03").magnitude(), Some(&[3][..]));
    }

    proptest! {
        #[test]
        fn strings_are_read_back(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
            let mut bytes = vec![];
            parts.iter().for_each(|part| put_string(&mut bytes, part));
            let mut reader = Reader::new(&bytes);
            for part in &parts {
                prop_assert_eq!(reader.string(), Some(part.as_slice()));
            }
            prop_assert_eq!(reader.end(), Some(()));
        }
    }
}
