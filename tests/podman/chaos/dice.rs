//! The same throws again for the same seed: SplitMix64, which is plenty for choosing among blows.

use std::time::{SystemTime, UNIX_EPOCH};

/// Names the run that is to be done again.
const SEED: &str = "TEROK_CHAOS_SEED";

pub(super) struct Dice {
    pub(super) seed: u64,
    state: u64,
}

impl Dice {
    /// From the environment, else from the clock.
    pub(super) fn from_environment() -> Self {
        let seed = match std::env::var(SEED) {
            Ok(text) => text.parse().unwrap_or_else(|why| panic!("{SEED}={text}: {why}")),
            Err(_) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
                u64::from(now.subsec_nanos()) ^ now.as_secs() << 20
            }
        };
        Self { seed, state: seed }
    }

    /// A number from 0 up to, not including, `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        usize::try_from(bits % end as u64).expect("less than a usize")
    }

    pub(super) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

#[test]
fn a_seed_gives_its_throws_again() {
    let throws = |seed| {
        let mut dice = Dice { seed, state: seed };
        [(); 100].map(|()| dice.below(6))
    };
    assert_eq!(throws(7), throws(7));
    assert_ne!(throws(7), throws(8));
    assert!((0..6).all(|side| throws(7).contains(&side)));
}
