//! Who a client is. Each method looks at what a CONNECT brings and accepts, rejects, or passes to the next method; if
//! none knows the credentials, the client is turned away.
//!
//! The device method needs no database: the password is the HMAC-SHA256 of the username under the gateway's key.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::principal::Principal;
use crate::{
    config::{AuthConfig, AuthMethod},
    domain::Identity,
};

/// Shortest key, bytes: below 128 bits a key could be guessed from one observed password.
pub const KEY_BYTES_MIN: usize = 16;

/// Why authentication cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[expect(
    clippy::module_name_repetitions,
    reason = "it is named beside the errors of other stages"
)]
pub enum AuthError {
    /// The method needs a key and none is configured.
    #[error("authentication by hmac needs the gateway's key")]
    KeyMissing,
    /// The key is too short.
    #[error("the gateway's key has {0} bytes, at least {KEY_BYTES_MIN} are needed")]
    KeyTooShort(usize),
}

/// The password of a device: lower-case hex of HMAC-SHA256 over `{class}/{device}` under the gateway's key.
#[must_use]
pub fn token(key: &[u8], identity: &Identity) -> String {
    hex::encode(
        keyed(key)
            .chain_update(identity.as_str())
            .finalize()
            .into_bytes(),
    )
}

/// What a CONNECT brings to prove who it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Credentials<'a> {
    pub(crate) username: Option<&'a str>,
    pub(crate) password: Option<&'a [u8]>,
}

/// Why a client is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// Its credentials are wrong.
    BadCredentials,
    /// It brought none.
    NotAuthorised,
}

enum Answer {
    Accepted(Principal),
    Rejected,
    /// Not this method's kind of credentials.
    Passed,
}

#[derive(Debug, Clone)]
enum Method {
    Hmac(Hmac<Sha256>),
    Anonymous,
}

/// The methods in force, asked in order.
#[derive(Debug)]
pub(crate) struct Authentication {
    methods: Vec<Method>,
}

impl Authentication {
    /// Sets up what the configuration asks for.
    pub(crate) fn new(config: &AuthConfig) -> Result<Self, AuthError> {
        let method = match config.method {
            AuthMethod::Anonymous => Method::Anonymous,
            AuthMethod::Hmac => {
                let key = config.key.as_ref().ok_or(AuthError::KeyMissing)?;
                if key.0.len() < KEY_BYTES_MIN {
                    return Err(AuthError::KeyTooShort(key.0.len()));
                }
                Method::Hmac(keyed(&key.0))
            }
        };
        Ok(Self {
            methods: vec![method],
        })
    }

    /// Says who the client is.
    pub(crate) fn ask(&self, credentials: Credentials<'_>) -> Result<Principal, Denied> {
        for method in &self.methods {
            match method.ask(credentials) {
                Answer::Accepted(principal) => return Ok(principal),
                Answer::Rejected => return Err(Denied::BadCredentials),
                Answer::Passed => {}
            }
        }
        Err(Denied::NotAuthorised)
    }
}

impl Method {
    fn ask(&self, credentials: Credentials<'_>) -> Answer {
        match self {
            Self::Anonymous => Answer::Accepted(Principal::Anonymous),
            Self::Hmac(mac) => match (credentials.username, credentials.password) {
                (Some(username), Some(password)) => verify(mac, username, password),
                _ => Answer::Passed,
            },
        }
    }
}

fn verify(mac: &Hmac<Sha256>, username: &str, password: &[u8]) -> Answer {
    let mut given = [0_u8; 32];
    let readable = hex::decode_to_slice(password, &mut given).is_ok();
    let expected = mac.clone().chain_update(username).finalize().into_bytes();
    let same = bool::from(expected.as_slice().ct_eq(&given));
    match Identity::parse(username) {
        Ok(identity) if readable && same => Answer::Accepted(Principal::Device(identity)),
        _ => Answer::Rejected,
    }
}

#[expect(
    clippy::expect_used,
    reason = "HMAC takes keys of every length; the crate's signature cannot say so"
)]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    const KEY: &[u8] = b"0123456789abcdef";

    fn hmac() -> Authentication {
        Authentication::new(&AuthConfig {
            method: AuthMethod::Hmac,
            key: Some(Secret(KEY.to_vec())),
            key_file: None,
        })
        .unwrap()
    }

    fn ask(username: Option<&str>, password: Option<&str>) -> Result<Principal, Denied> {
        hmac().ask(Credentials {
            username,
            password: password.map(str::as_bytes),
        })
    }

    #[test]
    fn a_device_with_its_token_is_itself_in_either_case_of_hex() {
        let identity = Identity::parse("manhole_cover/7").unwrap();
        let token = token(KEY, &identity);
        let device = Ok(Principal::Device(identity));
        assert_eq!(ask(Some("manhole_cover/7"), Some(&token)), device);
        assert_eq!(
            ask(Some("manhole_cover/7"), Some(&token.to_uppercase())),
            device
        );
    }

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

    #[test]
    fn a_token_of_another_device_or_none_is_turned_away() {
        let other = token(KEY, &Identity::parse("manhole_cover/8").unwrap());
        assert_eq!(
            ask(Some("manhole_cover/7"), Some(&other)),
            Err(Denied::BadCredentials)
        );
        assert_eq!(
            ask(Some("manhole_cover/7"), Some("")),
            Err(Denied::BadCredentials)
        );
        assert_eq!(
            ask(Some("manhole_cover/7"), None),
            Err(Denied::NotAuthorised)
        );
        assert_eq!(ask(None, None), Err(Denied::NotAuthorised));
        let zeros = "0".repeat(64);
        assert_eq!(
            ask(Some("manhole_cover/7"), Some(&zeros)),
            Err(Denied::BadCredentials)
        );
    }

    #[test]
    fn a_username_that_is_no_identity_is_turned_away_even_with_its_hmac() {
        let mac = hex::encode(keyed(KEY).chain_update("no-slash").finalize().into_bytes());
        assert_eq!(
            ask(Some("no-slash"), Some(&mac)),
            Err(Denied::BadCredentials)
        );
    }

    #[test]
    fn a_missing_or_short_key_is_named() {
        let config = |key: Option<&[u8]>| AuthConfig {
            method: AuthMethod::Hmac,
            key: key.map(|k| Secret(k.to_vec())),
            key_file: None,
        };
        let fault = |key| Authentication::new(&config(key)).map(|_| ()).unwrap_err();
        assert_eq!(fault(None), AuthError::KeyMissing);
        assert_eq!(fault(Some(b"short")), AuthError::KeyTooShort(5));
    }
}
