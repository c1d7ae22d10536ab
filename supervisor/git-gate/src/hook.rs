//! What both hooks have in common: the refs on standard input, words for the client's terminal,
//! news for the gate (githooks(5)).

use std::fs::File;
use std::io::{self, Read, Write};

use terok_shared::sys::descriptors;

use crate::news::NEWS_FD;
use crate::update::Update;

/// Longest list of updates; a push of 50 000 refs has about 8 MiB.
const MAX_INPUT: u64 = 64 * 1024 * 1024;
/// How many words about refs a client's terminal gets.
const MAX_TOLD: usize = 50;

/// The hook's surroundings.
#[derive(Debug)]
pub(crate) struct Hook {
    pub(crate) input: Vec<u8>,
    /// Absent when git was started by somebody else.
    news: Option<File>,
    told: usize,
}

impl Hook {
    pub(crate) fn begin() -> Self {
        let news = descriptors::take(NEWS_FD).ok().map(File::from);
        let mut hook = Self { input: Vec::new(), news, told: 0 };
        if let Err(why) = descriptors::close_from(NEWS_FD + 1) {
            hook.tell(format!("WARNING could not close stray descriptors: {why}").as_bytes());
        }
        if let Err(why) = io::stdin().lock().take(MAX_INPUT).read_to_end(&mut hook.input) {
            hook.tell(format!("WARNING could not read the updated refs: {why}").as_bytes());
        }
        hook
    }

    /// A line for the client's terminal, where it appears as `remote: gate: …`.
    pub(crate) fn tell(&mut self, words: &[u8]) {
        self.told += 1;
        if self.told <= MAX_TOLD {
            // The client may be gone; what is done is done all the same.
            let _ = io::stderr().lock().write_all(&[b"gate: ", words, b"\n"].concat());
        }
    }

    /// A line for the gate.
    pub(crate) fn report(&mut self, line: &[u8]) {
        if let Some(news) = &mut self.news {
            // A gate that is gone has no use for it.
            let _ = news.write_all(line);
        }
    }
}

/// The refs on a hook's standard input.
pub(crate) fn updates(input: &[u8]) -> Vec<Update<'_>> {
    input.split(|&byte| byte == b'\n').filter_map(Update::parse).collect()
}
