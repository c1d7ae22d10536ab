//! What a client reads about its push: git's answer with its report held back until it is known
//! whether a refusal of ours has to take its place (gitprotocol-pack(5), "Report Status").

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};

use crate::command_list::CommandList;
use crate::pkt_line::{self, Step};
use crate::policy::Refusal;
use crate::update::Update;

/// git's own limit of a packet's content in a band.
const MAX_BAND: usize = 65515;
const REPORT_BAND: u8 = 1;
/// A longer report than any list of commands can cause is not held back.
const MAX_HELD: usize = 4 * 1024 * 1024;
/// Longest reason.
const MAX_REASON: usize = 1024;

/// Reasons by ref; what is not in it is refused for the sake of the others.
pub(crate) type Refusals = HashMap<Vec<u8>, String>;

/// The whole answer to a push of which nothing was done.
pub(crate) fn refusal(list: &CommandList, refusals: &Refusals) -> Vec<u8> {
    let mut report = Vec::new();
    if list.report_status {
        pkt_line::write(&mut report, &[b"unpack ok\n"]);
        for update in list.updates() {
            let reason = reason(&update, refusals);
            pkt_line::write(&mut report, &[b"ng ", update.name, b" ", reason.as_bytes(), b"\n"]);
        }
        report.extend_from_slice(pkt_line::FLUSH);
    }
    if !list.side_band {
        return report;
    }
    let mut answer = Vec::new();
    for part in report.chunks(MAX_BAND) {
        pkt_line::write(&mut answer, &[&[REPORT_BAND], part]);
    }
    answer.extend_from_slice(pkt_line::FLUSH);
    answer
}

fn reason(update: &Update<'_>, refusals: &Refusals) -> String {
    let reason =
        refusals.get(update.name).cloned().unwrap_or_else(|| Refusal::Companion.to_string());
    // The name came in a packet with two object names, so there is room for a few words.
    let taken = pkt_line::LENGTH + b"ng  \n".len() + update.name.len();
    let room = pkt_line::MAX_PACKET.saturating_sub(taken).min(MAX_REASON);
    let plain = |c: char| if c.is_ascii_graphic() { c } else { ' ' };
    reason.chars().map(plain).take(room).collect()
}

/// git's answer on its way out.
#[derive(Debug)]
pub(crate) struct Withheld {
    side_band: bool,
    /// The start of a packet.
    pending: BytesMut,
    /// Whole packets of the report, and of the flush behind it.
    held: Vec<u8>,
    /// Nothing is withheld any more: this is not what git says.
    open: bool,
}

impl Withheld {
    pub(crate) fn new(list: &CommandList) -> Self {
        Self { side_band: list.side_band, pending: BytesMut::new(), held: Vec::new(), open: false }
    }

    /// What may go out at once: progress and messages, not the report.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Bytes {
        if self.open {
            return Bytes::copy_from_slice(bytes);
        }
        if !self.side_band {
            self.held.extend_from_slice(bytes);
            return if self.held.len() > MAX_HELD { self.give_up() } else { Bytes::new() };
        }
        self.pending.extend_from_slice(bytes);
        let mut out = BytesMut::new();
        loop {
            let (length, is_report) = match pkt_line::next(&self.pending) {
                Step::More => return out.freeze(),
                Step::Flush => (pkt_line::FLUSH.len(), true),
                // An empty packet of that band is git's sign of life.
                Step::Data(content, length) => {
                    (length, content.first() == Some(&REPORT_BAND) && content.len() > 1)
                }
                Step::Broken => {
                    out.extend_from_slice(&self.give_up());
                    return out.freeze();
                }
            };
            let packet = self.pending.split_to(length);
            if is_report {
                self.held.extend_from_slice(&packet);
            } else {
                out.extend_from_slice(&packet);
            }
            if self.held.len() > MAX_HELD {
                out.extend_from_slice(&self.give_up());
                return out.freeze();
            }
        }
    }

    /// Whether git itself could not store the pack.
    pub(crate) fn says_unpack_failed(&self) -> bool {
        let report = if self.side_band {
            match pkt_line::next(&self.held) {
                Step::Data(content, _) => content.get(1..).unwrap_or_default(),
                _ => return false,
            }
        } else {
            &self.held
        };
        match pkt_line::next(report) {
            Step::Data(line, _) => line.starts_with(b"unpack ") && !line.starts_with(b"unpack ok"),
            _ => false,
        }
    }

    /// The end of git's answer as git wrote it.
    pub(crate) fn release(mut self) -> Bytes {
        if self.open { Bytes::new() } else { self.give_up() }
    }

    /// The end of the answer when the push was refused: our report in place of git's.
    pub(crate) fn replace(self, list: &CommandList, refusals: &Refusals) -> Bytes {
        if self.open { Bytes::new() } else { refusal(list, refusals).into() }
    }

    fn give_up(&mut self) -> Bytes {
        self.open = true;
        let mut out = BytesMut::from(&std::mem::take(&mut self.held)[..]);
        out.unsplit(self.pending.split());
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::command_list::{Reader, Reading};
    use crate::update::tests::{NEW, OLD};

    fn list(capabilities: &str) -> CommandList {
        let mut bytes = Vec::new();
        let first = format!("{OLD} {NEW} refs/heads/a\0{capabilities}");
        pkt_line::write(&mut bytes, &[first.as_bytes()]);
        pkt_line::write(&mut bytes, &[format!("{OLD} {NEW} refs/heads/b").as_bytes()]);
        bytes.extend_from_slice(pkt_line::FLUSH);
        let Reading::Whole(list) = Reader::default().push(&bytes) else { panic!("not whole") };
        list
    }

    fn refusals() -> Refusals {
        Refusals::from([(b"refs/heads/a".to_vec(), "no\nway".to_owned())])
    }

    /// Progress, a sign of life, the report in two packets, the end.
    fn answer() -> Vec<u8> {
        let mut bytes = Vec::new();
        pkt_line::write(&mut bytes, &[b"\x02Unpacking\n"]);
        pkt_line::write(&mut bytes, &[b"\x01"]);
        pkt_line::write(&mut bytes, &[b"\x01000eunpack ok\n"]);
        pkt_line::write(&mut bytes, &[b"\x010000"]);
        bytes.extend_from_slice(pkt_line::FLUSH);
        bytes
    }

    #[test]
    fn a_refusal_names_a_reason_for_each_ref() {
        let plain = refusal(&list("report-status"), &refusals());
        assert_eq!(
            String::from_utf8_lossy(&plain),
            "000eunpack ok\n001bng refs/heads/a no way\n0039ng refs/heads/b another ref of this push was refused\n0000"
        );
        let banded = refusal(&list("report-status side-band-64k"), &refusals());
        assert!(banded.starts_with(b"006b\x01000eunpack ok\n") && banded.ends_with(b"00000000"));
        assert_eq!(refusal(&list("side-band-64k"), &refusals()), b"0000");
        assert_eq!(refusal(&list(""), &refusals()), b"");
    }

    #[test]
    fn the_longest_ref_leaves_room_for_words() {
        let mut bytes = Vec::new();
        let name = format!("refs/heads/{}", "a".repeat(pkt_line::MAX_PACKET - 4 - 82 - 11 - 14));
        let line = format!("{OLD} {NEW} {name}\0report-status");
        pkt_line::write(&mut bytes, &[line.as_bytes()]);
        bytes.extend_from_slice(pkt_line::FLUSH);
        let Reading::Whole(list) = Reader::default().push(&bytes) else { panic!("not whole") };
        let reasons = Refusals::from([(name.into_bytes(), "x".repeat(2 * MAX_REASON))]);
        assert!(refusal(&list, &reasons).len() > 65000);
    }

    #[test]
    fn only_the_report_is_held_back() {
        let list = list("report-status side-band-64k");
        let mut withheld = Withheld::new(&list);
        assert_eq!(&withheld.pass(&answer())[..], b"000f\x02Unpacking\n0005\x01");
        assert!(!withheld.says_unpack_failed());
        let replaced = withheld.replace(&list, &refusals());
        assert_eq!(replaced, refusal(&list, &refusals()));
    }

    #[test]
    fn a_failed_unpacking_is_seen() {
        let mut banded = Vec::new();
        pkt_line::write(&mut banded, &[b"\x010023unpack index-pack abnormal exit\n"]);
        for (capabilities, bytes) in [
            ("report-status side-band-64k", banded),
            ("report-status", b"0023unpack index-pack abnormal exit".to_vec()),
        ] {
            let mut withheld = Withheld::new(&list(capabilities));
            assert!(withheld.pass(&bytes).is_empty());
            assert!(withheld.says_unpack_failed());
        }
    }

    proptest! {
        #[test]
        fn what_is_released_is_what_git_wrote_in_order_of_bands(
            cuts in proptest::collection::vec(1..20_usize, 1..20),
            damage in proptest::option::of((0..60_usize, any::<u8>())),
            side_band in any::<bool>(),
        ) {
            let mut bytes = answer();
            if let Some((at, byte)) = damage {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            let words = if side_band { "side-band-64k" } else { "" };
            let mut withheld = Withheld::new(&list(words));
            let mut out = Vec::new();
            let mut rest = &bytes[..];
            for cut in cuts.into_iter().cycle() {
                let cut = cut.min(rest.len());
                out.extend_from_slice(&withheld.pass(&rest[..cut]));
                rest = &rest[cut..];
                if rest.is_empty() {
                    break;
                }
            }
            out.extend_from_slice(&withheld.release());
            // Every byte once; the report may have moved behind messages.
            let sorted = |bytes: &[u8]| { let mut b = bytes.to_vec(); b.sort_unstable(); b };
            prop_assert_eq!(sorted(&out), sorted(&bytes));
            if damage.is_none() {
                prop_assert_eq!(out, bytes);
            }
        }
    }
}
