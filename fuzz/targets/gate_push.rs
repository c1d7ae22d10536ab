//! A push's command list in pieces, and git's report on its way out: the pieces do not matter, and
//! nothing that git says is lost.
#![no_main]

#[allow(dead_code, reason = "the gate and its hooks use more")]
#[path = "../../supervisor/git-gate/src"]
mod gate {
    pub mod command_list;
    pub mod pattern;
    pub mod pkt_line;
    pub mod policy;
    pub mod report;
    pub mod update;
}
use gate::{command_list, pattern, pkt_line, policy, report, update};

use command_list::{Reader, Reading};
use libfuzzer_sys::fuzz_target;
use report::{Refusals, Withheld};

/// Reads `bytes` in pieces of `piece`; the verdict, and how many bytes it took.
fn read(bytes: &[u8], piece: usize) -> (Reading, usize) {
    let mut reader = Reader::default();
    let mut reading = Reading::More;
    for part in bytes.chunks(piece) {
        reading = reader.push(part);
        if reading != Reading::More {
            break;
        }
    }
    (reading, reader.into_bytes().1)
}

fuzz_target!(|input: &[u8]| {
    let [piece, bytes @ ..] = input else { return };
    let piece = usize::from(*piece) + 1;
    let (whole, length) = read(bytes, usize::MAX);
    assert_eq!(read(bytes, piece).0, whole);
    let Reading::Whole(list) = whole else { return };
    let said = &bytes[length..];
    let mut withheld = Withheld::new(&list);
    let passed: usize = said.chunks(piece).map(|part| withheld.pass(part).len()).sum();
    let _ = withheld.says_unpack_failed();
    assert_eq!(passed + withheld.release().len(), said.len());
    let refusals: Refusals =
        list.updates().map(|update| (update.name.to_vec(), "no".to_owned())).collect();
    let told = report::refusal(&list, &refusals);
    assert_eq!(told.is_empty(), !list.report_status && !list.side_band);
});
