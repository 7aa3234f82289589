//! Passwords that are derived from a key: the password is the HMAC-SHA256 (RFC 2104) of the username, so a gateway checks
//! 22 million devices without a list of them.
//!
//! Several keys are valid at once while they are changed. A class may have keys of its own; the gateway's do not count
//! for it then, so that whoever holds the one cannot speak for the other. A key's two block states are computed when it
//! is loaded; a check is the rest of the hash for each valid key, none left out.

use std::collections::HashMap;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use super::{Word, accepted};
use crate::{
    broker::principal::Principal,
    config::{KeyRing, Secret},
    domain::Identity,
};

/// Bytes of an HMAC-SHA256, and twice as many hex digits.
const MAC_BYTES: usize = 32;

/// The password of a device: lower-case hex of HMAC-SHA256 over `{class}/{device}` under a key.
#[must_use]
pub fn token(key: &[u8], identity: &Identity) -> String {
    hex::encode(
        keyed(key)
            .chain_update(identity.as_str())
            .finalize()
            .into_bytes(),
    )
}

/// The keys, each ready to go on hashing.
#[derive(Debug)]
pub(crate) struct Derived {
    gateway: Box<[Hmac<Sha256>]>,
    classes: HashMap<Box<str>, Box<[Hmac<Sha256>]>, foldhash::fast::RandomState>,
}

impl Derived {
    pub(crate) fn new(keys: &KeyRing) -> Self {
        let ready = |keys: &[Secret]| keys.iter().map(|key| keyed(&key.0)).collect();
        let classes = keys.classes.iter();
        Self {
            gateway: ready(&keys.gateway),
            classes: classes
                .map(|(class, keys)| (Box::from(class.as_str()), ready(keys)))
                .collect(),
        }
    }

    pub(super) fn ask(&self, username: &str, password: &[u8]) -> Word {
        let mut given = [0_u8; MAC_BYTES];
        if hex::decode_to_slice(password, &mut given).is_err() {
            return Word::Passed;
        }
        // The check comes first, so that its time does not tell identities from other names.
        let class = username.split('/').next().unwrap_or_default();
        let keys = self.classes.get(class).unwrap_or(&self.gateway);
        let same = keys.iter().fold(Choice::from(0), |same, key| {
            let mac = key.clone().chain_update(username).finalize().into_bytes();
            same | mac.as_slice().ct_eq(&given)
        });
        match Identity::parse(username) {
            Ok(identity) if bool::from(same) => accepted(Principal::Device(identity), None),
            Ok(_) => Word::Rejected("secret"),
            Err(_) => Word::Passed,
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "HMAC takes keys of every length; the crate's signature cannot say so"
)]
pub(super) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_the_plain_hmac_of_the_username() {
        // RFC 4231, test case 2, is the reference for the function; the username is the whole message.
        let mac = keyed(b"Jefe")
            .chain_update("what do ya want for nothing?")
            .finalize();
        assert_eq!(
            hex::encode(mac.into_bytes()),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
