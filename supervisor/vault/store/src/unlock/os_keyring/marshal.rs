//! D-Bus values on the wire (D-Bus specification, "Marshaling"): the few types our calls need.

use std::fmt;

use zeroize::Zeroizing;

/// Writes little-endian values.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    pub(super) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn number(&mut self, value: u32) {
        self.align(4);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A string or an object path.
    pub(super) fn string(&mut self, text: &str) {
        self.number(length(text.len()));
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }

    pub(super) fn signature(&mut self, text: &str) {
        self.0.push(u8::try_from(text.len()).expect("our signatures are short"));
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }

    /// An array of elements aligned to `align`; the padding before them is not part of its length.
    pub(super) fn array(&mut self, align: usize, elements: impl FnOnce(&mut Self)) {
        self.number(0);
        let place = self.0.len() - 4;
        self.align(align);
        let begin = self.0.len();
        elements(self);
        let written = length(self.0.len() - begin);
        self.0[place..place + 4].copy_from_slice(&written.to_le_bytes());
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("our messages are short")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    pub(super) fn parse(mark: u8) -> Result<Self, Malformed> {
        match mark {
            b'l' => Ok(Self::Little),
            b'B' => Ok(Self::Big),
            _ => Err(Malformed),
        }
    }

    pub(super) fn number(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// Reads values; alignment counts from the beginning of `bytes`.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    place: usize,
    order: ByteOrder,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], order: ByteOrder) -> Self {
        Self { bytes, place: 0, order }
    }

    pub(super) fn place(&self) -> usize {
        self.place
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let end = self.place.checked_add(count).ok_or(Malformed)?;
        let taken = self.bytes.get(self.place..end).ok_or(Malformed)?;
        self.place = end;
        Ok(taken)
    }

    pub(super) fn align(&mut self, to: usize) -> Result<(), Malformed> {
        self.take(self.place.next_multiple_of(to) - self.place).map(drop)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        self.take(1)?.first().copied().ok_or(Malformed)
    }

    pub(super) fn number(&mut self) -> Result<u32, Malformed> {
        self.align(4)?;
        let bytes = self.take(4)?.try_into().map_err(|_| Malformed)?;
        Ok(self.order.number(bytes))
    }

    /// A string or an object path.
    pub(super) fn string(&mut self) -> Result<&'a str, Malformed> {
        let length = self.number()? as usize;
        let text = self.take(length)?;
        self.byte()?;
        std::str::from_utf8(text).map_err(|_| Malformed)
    }

    pub(super) fn signature(&mut self) -> Result<&'a str, Malformed> {
        let length = usize::from(self.byte()?);
        let text = self.take(length)?;
        self.byte()?;
        std::str::from_utf8(text).map_err(|_| Malformed)
    }

    pub(super) fn byte_array(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.number()? as usize;
        self.take(length)
    }

    /// An array of strings or object paths.
    pub(super) fn strings(&mut self) -> Result<Vec<String>, Malformed> {
        let length = self.number()? as usize;
        let end = self.place.checked_add(length).ok_or(Malformed)?;
        let mut found = Vec::new();
        while self.place < end {
            found.push(self.string()?.to_owned());
        }
        if self.place == end { Ok(found) } else { Err(Malformed) }
    }
}

/// A whole message as it came, wiped on drop: it may hold a secret.
pub(super) struct Message {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) order: ByteOrder,
    pub(super) body_at: usize,
}

impl Message {
    pub(super) fn body(&self) -> Reader<'_> {
        Reader::new(&self.bytes[self.body_at..], self.order)
    }
}

/// What was read is not what the specification says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed message")
    }
}
