//! Who speaks: a device of a class. Both ids are topic levels, so neither may hold what MQTT gives a meaning to.

use std::{fmt, sync::Arc};

use thiserror::Error;

/// Longest class or device id, bytes: long enough for a GB/T 28181 id, a VIN, an IMEI or a UUID with a prefix.
pub(super) const ID_BYTES_MAX: usize = 128;

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// The id is empty.
    #[error("id is empty")]
    Empty,
    /// The id is longer than [`ID_BYTES_MAX`].
    #[error("id has {0} bytes, at most {ID_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// A character that has a meaning in MQTT topics, or a control character.
    #[error(
        "id {id:?} holds {found:?}: `/`, `+`, `#`, a leading `$` and control characters are not allowed"
    )]
    Character {
        /// The id as given.
        id: String,
        /// The offending character.
        found: char,
    },
    /// A username that is not `{class}/{device}`.
    #[error("username {0:?} is not of the form class/device")]
    Username(String),
}

fn validated(id: &str) -> Result<&str, IdentityError> {
    if id.is_empty() {
        return Err(IdentityError::Empty);
    }
    if id.len() > ID_BYTES_MAX {
        return Err(IdentityError::TooLong(id.len()));
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if id.bytes().all(is_plain) {
        return Ok(id);
    }
    let bad = |(at, c): (usize, char)| {
        matches!(c, '/' | '+' | '#') || c.is_control() || (at == 0 && c == '$')
    };
    match id.char_indices().find(|&at| bad(at)) {
        None => Ok(id),
        Some((_, found)) => Err(IdentityError::Character {
            id: id.to_owned(),
            found,
        }),
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a text as an id if every rule of an id holds.
            ///
            /// # Errors
            /// [`IdentityError`] says which rule it breaks.
            pub fn new(id: &str) -> Result<Self, IdentityError> {
                Ok(Self(Arc::from(validated(id)?)))
            }

            /// Whether a text would be taken by [`Self::new`]; costs no allocation.
            #[must_use]
            pub fn is_valid(id: &str) -> bool {
                validated(id).is_ok()
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A device class, for example `flue_gas_cems`.
    ClassId
);
id!(
    /// A device within its class.
    DeviceId
);

/// An authenticated device: its class and its id, kept as one text `{class}/{device}` (one allocation per connection).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    text: Arc<str>,
    slash: u16,
}

impl Identity {
    /// Reads `{class}/{device}`.
    ///
    /// # Errors
    /// The text has no single `/`, or one of the ids breaks a rule of ids.
    pub fn parse(username: &str) -> Result<Self, IdentityError> {
        let (class, device) = username
            .split_once('/')
            .ok_or_else(|| IdentityError::Username(username.to_owned()))?;
        validated(class)?;
        validated(device)?;
        Ok(Self {
            text: Arc::from(username),
            slash: u16::try_from(class.len()).unwrap_or(u16::MAX),
        })
    }

    /// The class's id.
    #[must_use]
    pub fn class(&self) -> &str {
        self.text.get(..usize::from(self.slash)).unwrap_or_default()
    }

    /// The device's id.
    #[must_use]
    pub fn device(&self) -> &str {
        self.text
            .get(usize::from(self.slash) + 1..)
            .unwrap_or_default()
    }

    /// `{class}/{device}`, as in the MQTT username.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_its_username() {
        let id = Identity::parse("manhole_cover/510104-7").unwrap();
        assert_eq!((id.class(), id.device()), ("manhole_cover", "510104-7"));
        assert_eq!(id.as_str(), "manhole_cover/510104-7");
    }

    #[test]
    fn ids_that_would_widen_a_topic_are_refused() {
        for bad in [
            "a", "a/", "/b", "a/b/c", "a/+", "#/b", "$a/b", "a/b\0", "a/\n",
        ] {
            assert!(Identity::parse(bad).is_err(), "{bad:?} was taken");
        }
        assert!(DeviceId::new(&"x".repeat(ID_BYTES_MAX + 1)).is_err());
        assert!(DeviceId::new("设备-1").is_ok());
    }
}
