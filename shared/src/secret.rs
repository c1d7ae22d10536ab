//! Values that must not be printed, copied or left in memory.
//!
//! `Secret<T>` prints as `Secret(…)`, does not clone or serialise, and wipes itself on drop.
//! `expose` is the one way in, and the word a reviewer searches for.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A value wiped on drop and never printed.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself: for the one call that needs it, never for a log line.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl Secret<String> {
    /// Whether `candidate` is the secret, in time that depends on the candidate's length alone.
    pub fn matches(&self, candidate: &str) -> bool {
        self.0.as_bytes().ct_eq(candidate.as_bytes()).into()
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<String> for Secret<String> {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl From<Vec<u8>> for Secret<Vec<u8>> {
    fn from(value: Vec<u8>) -> Self {
        Self(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_value() {
        assert_eq!(format!("{:?}", Secret::from("hunter2".to_owned())), "Secret(…)");
    }

    #[test]
    fn matches_compares_the_whole_value() {
        let secret = Secret::from("terok-p-1".to_owned());
        assert!(secret.matches("terok-p-1"));
        assert!(!secret.matches("terok-p-"));
        assert!(!secret.matches("terok-p-2"));
    }
}
