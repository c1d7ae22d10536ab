//! The two transports between a container and its services, and tests that hold for both.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Unix sockets in a mounted directory; the container has no network at all.
    Socket,
    /// Ports of the host's loopback, reached through slirp4netns.
    Tcp,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Socket => "socket",
            Self::Tcp => "tcp",
        })
    }
}

/// Makes two tests of each claim about an operator and a mode.
macro_rules! in_both_modes {
    ($($(#[$about:meta])* fn $claim:ident($operator:ident, $mode:ident) $body:block)+) => {
        $(
            $(#[$about])*
            fn $claim($operator: &$crate::operator::Operator, $mode: $crate::mode::Mode) $body

            mod $claim {
                #[test]
                fn socket_mode() {
                    if let Some(operator) = $crate::operator::at_work() {
                        super::$claim(&operator, $crate::mode::Mode::Socket);
                    }
                }

                #[test]
                fn tcp_mode() {
                    if let Some(operator) = $crate::operator::at_work() {
                        super::$claim(&operator, $crate::mode::Mode::Tcp);
                    }
                }
            }
        )+
    };
}
pub(crate) use in_both_modes;
