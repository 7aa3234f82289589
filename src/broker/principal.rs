//! Who a client is once it has been let in.

use std::{fmt, sync::Arc};

use crate::domain::Identity;

/// Longest name of an application, bytes.
const APPLICATION_BYTES_MAX: usize = 128;

/// Who a client is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A device, `{class}/{device}`.
    Device(Identity),
    /// An application beside the gateway, by its name.
    Application(Arc<str>),
    /// Anybody: its publishes say who it is. For laboratories.
    Anonymous,
}

impl Principal {
    /// An application of this name; `None` if it is no name: 1 to 128 characters of `A-Z a-z 0-9 . _ -`.
    #[must_use]
    pub fn application(name: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let fits = (1..=APPLICATION_BYTES_MAX).contains(&name.len());
        (fits && name.bytes().all(plain)).then(|| Self::Application(Arc::from(name)))
    }

    /// The device, if it is one.
    #[must_use]
    pub const fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Device(identity) => Some(identity),
            Self::Application(_) | Self::Anonymous => None,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(identity) => identity.fmt(f),
            Self::Application(name) => f.write_str(name),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_applications_name_holds_nothing_that_means_something_in_a_topic() {
        assert!(Principal::application("street-board.3_a").is_some());
        for name in ["", "a/b", "+", "#", "$SYS", "a b", "车", &"x".repeat(129)] {
            assert_eq!(Principal::application(name), None, "{name}");
        }
    }
}
