//! The four services of one container and the programs that run them.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Holds the vault; answers the broker and the signer.
    Keeper,
    /// HTTP: swaps phantom tokens for credentials.
    Broker,
    /// SSH agent protocol.
    Signer,
    /// Smart HTTP before bare mirrors.
    Gate,
}

impl Service {
    /// In the order the parent starts them: the one that takes longest to be ready first.
    pub const ALL: [Self; 4] = [Self::Keeper, Self::Broker, Self::Signer, Self::Gate];

    /// The file name of its program, found beside the parent's own.
    pub fn program(self) -> &'static str {
        match self {
            Self::Keeper => "terok-vault-keeper",
            Self::Broker => "terok-token-broker",
            Self::Signer => "terok-ssh-signer",
            Self::Gate => "terok-git-gate",
        }
    }

    /// Whether its clients are served with what the keeper grants or signs.
    pub fn asks_the_keeper(self) -> bool {
        matches!(self, Self::Broker | Self::Signer)
    }

    /// The word for it in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keeper => "keeper",
            Self::Broker => "broker",
            Self::Signer => "signer",
            Self::Gate => "gate",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
