//! `sensegate token`: a device's MQTT password. It makes no key: the one that it used would not be the daemon's.

use clap::ArgMatches;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::{Exit, Failure, print_plain, run::credentials, settled, sources};
use crate::{
    config::{
        AuthMethod,
        key::{self, Missing},
    },
    domain::Identity,
};

pub(super) fn token(given: &ArgMatches) -> Result<(), Failure> {
    let devices = given.get_many::<String>("device").into_iter().flatten();
    let devices = devices
        .map(|device| Identity::parse(device))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::new(Exit::Usage, format!("--device: {error}")))?;
    let mut config = settled(&sources(given))?;
    // A password is of use for `hmac` only; a node that runs `anonymous` today may issue them for tomorrow.
    config.auth.method = AuthMethod::Hmac;
    let credentials = credentials();
    let data_dir = &config.spool.data_dir;
    key::settle(
        &mut config.auth,
        data_dir,
        credentials.as_deref(),
        Missing::Fail,
    )?;
    let key = config.auth.key.map(|secret| secret.0).unwrap_or_default();
    let mut text = String::new();
    for identity in &devices {
        if devices.len() > 1 {
            text.push_str(identity.as_str());
            text.push('\t');
        }
        text.push_str(&password(&key, identity)?);
        text.push('\n');
    }
    print_plain(&text)
}

fn password(key: &[u8], identity: &Identity) -> Result<String, Failure> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)
        .map_err(|error| Failure::new(Exit::Software, error.to_string()))?;
    mac.update(identity.as_str().as_bytes());
    Ok(hex::encode(mac.finalize().into_bytes()))
}
