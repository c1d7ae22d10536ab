//! One ref that a push moves: `<old> <new> <ref>`, as in the command list of a push
//! (gitprotocol-pack(5)) and on the standard input of hooks (githooks(5)).

/// Old and new are the client's words; git checks `old` of all but deletions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Update<'a> {
    pub(crate) old: &'a str,
    pub(crate) new: &'a str,
    /// A ref name is bytes; git does not ask for UTF-8.
    pub(crate) name: &'a [u8],
}

const HEADS: &[u8] = b"refs/heads/";

impl<'a> Update<'a> {
    /// `None` for a line of another form.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(3, |&byte| byte == b' ');
        let old = object_name(parts.next()?)?;
        let new = object_name(parts.next()?)?;
        let name = parts.next().filter(|name| !name.is_empty())?;
        (old.len() == new.len()).then_some(Self { old, new, name })
    }

    /// The branch's name without `refs/heads/`; `None` for any other ref.
    pub(crate) fn branch(&self) -> Option<&'a [u8]> {
        self.name.strip_prefix(HEADS)
    }

    pub(crate) fn deletes(&self) -> bool {
        is_null(self.new)
    }

    /// Moves a ref from one object to another.
    pub(crate) fn moves(&self) -> bool {
        !is_null(self.old) && !is_null(self.new)
    }
}

/// SHA-1 or SHA-256 in hex.
fn object_name(word: &[u8]) -> Option<&str> {
    let fits = matches!(word.len(), 40 | 64) && word.iter().all(u8::is_ascii_hexdigit);
    if fits { std::str::from_utf8(word).ok() } else { None }
}

fn is_null(object: &str) -> bool {
    object.bytes().all(|digit| digit == b'0')
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const OLD: &str = "1111111111112222222222223333333333334444";
    pub(crate) const NEW: &str = "5555555555552222222222223333333333334444";
    pub(crate) const NULL: &str = "0000000000000000000000000000000000000000";

    #[test]
    fn a_line_is_read_whatever_the_refs_bytes() {
        let line = [OLD.as_bytes(), b" ", NEW.as_bytes(), b" refs/heads/a b\xff"].concat();
        let update = Update::parse(&line).unwrap();
        assert_eq!((update.old, update.new), (OLD, NEW));
        assert_eq!(update.branch(), Some(&b"a b\xff"[..]));
        assert!(update.moves() && !update.deletes());
    }

    #[test]
    fn null_stands_for_no_object() {
        let created = format!("{NULL} {NEW} refs/tags/v1");
        let deleted = format!("{OLD} {NULL} refs/tags/v1");
        let created = Update::parse(created.as_bytes()).unwrap();
        assert!(!created.moves() && !created.deletes());
        assert!(Update::parse(deleted.as_bytes()).unwrap().deletes());
        let neither = format!("{NULL} {NULL} refs/tags/v1");
        assert!(Update::parse(neither.as_bytes()).unwrap().deletes());
    }

    #[test]
    fn lines_of_another_form_are_none() {
        let sha256 = "1".repeat(64);
        for line in [
            "",
            "a b c",
            &format!("{OLD} {NEW}"),
            &format!("{OLD} {NEW} "),
            &format!("{OLD} {sha256} refs/heads/x"),
        ] {
            assert_eq!(Update::parse(line.as_bytes()), None, "{line}");
        }
    }
}
