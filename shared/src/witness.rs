//! The words between the signer, which cannot see where a process lives, and the parent, which can:
//! one packet asks about a pid, one answers. Used where the kernel does not tell the signer itself
//! (before Linux 6.11).

/// Does this process live in the container?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Comes back with the answer: a signer that was started anew must not take the answer to its
    /// predecessor's question for its own.
    pub number: u64,
    pub pid: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Inside,
    Outside,
    /// No such process any more.
    Gone,
    /// The parent could not find out; its log says why.
    Unknown,
}

impl Question {
    pub fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.number.to_be_bytes());
        bytes[8..].copy_from_slice(&self.pid.to_be_bytes());
        bytes
    }

    /// `None` for a packet that is no question.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (number, pid) = bytes.split_first_chunk()?;
        let pid = i32::from_be_bytes(pid.try_into().ok()?);
        Some(Self { number: u64::from_be_bytes(*number), pid })
    }
}

impl Verdict {
    const ALL: [Self; 4] = [Self::Inside, Self::Outside, Self::Gone, Self::Unknown];

    /// The answer to the question of this number.
    pub fn to_bytes(self, number: u64) -> [u8; 9] {
        let mut bytes = [0; 9];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        bytes[8] = self as u8;
        bytes
    }

    /// The question's number and the verdict; `None` for a packet that is no answer.
    pub fn from_bytes(bytes: &[u8]) -> Option<(u64, Self)> {
        let (number, verdict) = bytes.split_first_chunk()?;
        let [verdict] = verdict else { return None };
        Some((u64::from_be_bytes(*number), *Self::ALL.get(usize::from(*verdict))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_are_read_back() {
        let question = Question { number: 7 << 32, pid: 4_194_303 };
        assert_eq!(Question::from_bytes(&question.to_bytes()), Some(question));
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::from_bytes(&verdict.to_bytes(9)), Some((9, verdict)));
        }
    }

    #[test]
    fn packets_of_another_length_or_word_are_neither() {
        for length in (0..40).filter(|length| *length != 12) {
            assert_eq!(Question::from_bytes(&vec![0; length]), None);
        }
        for length in (0..40).filter(|length| *length != 9) {
            assert_eq!(Verdict::from_bytes(&vec![0; length]), None);
        }
        assert_eq!(Verdict::from_bytes(&[0, 0, 0, 0, 0, 0, 0, 1, 4]), None);
    }
}
