//! The command list at the head of a push (gitprotocol-pack(5), "Reference Update Request and
//! Packfile Transfer"): which refs it wants to move, and what the client understands.
//!
//! In: the first bytes of the request body, in pieces of any size. Out: the list, and how long it
//! was; the pack behind it is never looked at.

use crate::pkt_line::{self, Step};
use crate::update::Update;

/// Longest list that is read: about ten thousand refs.
pub(crate) const MAX_LIST: usize = 1024 * 1024;

/// A whole list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CommandList {
    /// Lines of the form `<old> <new> <ref>`, each checked.
    lines: Vec<Vec<u8>>,
    /// The client reads a report of what became of each ref.
    pub(crate) report_status: bool,
    /// It reads that report in band 1 of pkt-lines (gitprotocol-capabilities(5)).
    pub(crate) side_band: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    More,
    Whole(CommandList),
    /// Something git may understand and we do not: a push certificate, a list without end.
    Strange,
}

/// Bytes so far, and how far they were understood.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    bytes: Vec<u8>,
    understood: usize,
    lines: Vec<Vec<u8>>,
    /// Words between spaces.
    capabilities: Vec<u8>,
}

impl Reader {
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Reading {
        self.bytes.extend_from_slice(bytes);
        loop {
            match pkt_line::next(&self.bytes[self.understood..]) {
                Step::More if self.bytes.len() > MAX_LIST => return Reading::Strange,
                Step::More => return Reading::More,
                Step::Broken => return Reading::Strange,
                Step::Flush => {
                    self.understood += pkt_line::FLUSH.len();
                    return self.whole();
                }
                Step::Data(content, length) => {
                    let content = content.to_vec();
                    self.understood += length;
                    if self.understood > MAX_LIST || !self.take(&content) {
                        return Reading::Strange;
                    }
                }
            }
        }
    }

    /// Everything that was pushed in, and how much of it was the list.
    pub(crate) fn into_bytes(self) -> (Vec<u8>, usize) {
        (self.bytes, self.understood)
    }

    fn take(&mut self, content: &[u8]) -> bool {
        let (line, capabilities) = match content.iter().position(|&byte| byte == 0) {
            Some(end) => (&content[..end], Some(&content[end + 1..])),
            None => (content, None),
        };
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.starts_with(b"shallow ") {
            return true;
        }
        if Update::parse(line).is_none() {
            return false;
        }
        // git reads them wherever they come.
        if let Some(words) = capabilities {
            self.capabilities.push(b' ');
            self.capabilities.extend_from_slice(words);
        }
        self.lines.push(line.to_vec());
        true
    }

    fn whole(&mut self) -> Reading {
        let words = std::mem::take(&mut self.capabilities);
        let has =
            |wanted: &[u8]| words.split(|byte| b" \n".contains(byte)).any(|word| word == wanted);
        Reading::Whole(CommandList {
            lines: std::mem::take(&mut self.lines),
            report_status: has(b"report-status") || has(b"report-status-v2"),
            side_band: has(b"side-band-64k"),
        })
    }
}

impl CommandList {
    pub(crate) fn updates(&self) -> impl Iterator<Item = Update<'_>> {
        self.lines.iter().map(|line| Update::parse(line).expect("each line was checked"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::update::tests::{NEW, NULL, OLD};

    fn packets(lines: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        lines.iter().for_each(|line| pkt_line::write(&mut bytes, &[line]));
        bytes.extend_from_slice(pkt_line::FLUSH);
        bytes
    }

    fn read(bytes: &[u8]) -> Reading {
        Reader::default().push(bytes)
    }

    fn usual() -> Vec<u8> {
        let first = format!("{OLD} {NEW} refs/heads/a\0 report-status-v2 side-band-64k agent=x\n");
        let second = format!("{NULL} {NEW} refs/heads/PACK");
        packets(&[b"shallow 123", first.as_bytes(), second.as_bytes()])
    }

    #[test]
    fn a_list_ends_at_its_flush_packet_whatever_follows() {
        let mut reader = Reader::default();
        let bytes = [&usual()[..], b"PACK\0\0\0\x02"].concat();
        let Reading::Whole(list) = reader.push(&bytes) else { panic!("not whole") };
        assert_eq!(
            list.updates().map(|u| u.name).collect::<Vec<_>>(),
            [&b"refs/heads/a"[..], b"refs/heads/PACK"]
        );
        assert!(list.report_status && list.side_band);
        let (all, length) = reader.into_bytes();
        assert_eq!((&all[length..], all.len()), (&b"PACK\0\0\0\x02"[..], bytes.len()));
    }

    #[test]
    fn a_probe_without_commands_is_a_list() {
        let Reading::Whole(list) = read(b"0000") else { panic!("not whole") };
        assert!(list.updates().next().is_none() && !list.report_status);
    }

    #[test]
    fn certificates_garbage_and_endless_lists_are_strange() {
        assert_eq!(read(&packets(&[b"push-cert\0 report-status"])), Reading::Strange);
        assert_eq!(read(&packets(&[b"nonsense"])), Reading::Strange);
        assert_eq!(read(b"PACKxxxx"), Reading::Strange);
        let line = packets(&[format!("{OLD} {NEW} refs/heads/{}", "a".repeat(60_000)).as_bytes()]);
        let endless = line[..line.len() - 4].repeat(20);
        assert_eq!(read(&endless), Reading::Strange);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }

        #[test]
        fn the_pieces_a_list_comes_in_do_not_matter(
            cuts in proptest::collection::vec(1..40_usize, 1..30),
            damage in proptest::option::of((0..400_usize, any::<u8>())),
        ) {
            let mut bytes = usual();
            if let Some((at, byte)) = damage && at < bytes.len() {
                bytes[at] = byte;
            }
            let whole = read(&bytes);
            let mut reader = Reader::default();
            let mut rest = &bytes[..];
            let mut cuts = cuts.into_iter().cycle();
            let pieces = loop {
                let cut = cuts.next().unwrap_or(1).min(rest.len());
                let reading = reader.push(&rest[..cut]);
                rest = &rest[cut..];
                if reading != Reading::More || rest.is_empty() {
                    break reading;
                }
            };
            prop_assert_eq!(pieces, whole);
        }

        #[test]
        fn every_list_that_git_could_send_is_read_back(
            names in proptest::collection::vec("refs/[a-z]{1,8}/[A-Za-z0-9._/ -]{1,30}", 1..20)
        ) {
            let lines: Vec<_> =
                names.iter().map(|name| format!("{OLD} {NEW} {name}").into_bytes()).collect();
            let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
            let Reading::Whole(list) = read(&packets(&lines)) else { panic!("not whole") };
            let read: Vec<_> = list.updates().map(|update| update.name.to_vec()).collect();
            prop_assert_eq!(read, names.into_iter().map(String::into_bytes).collect::<Vec<_>>());
        }
    }
}
