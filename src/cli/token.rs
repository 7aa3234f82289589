//! `sensegate token`: a device's MQTT password, under its class's key if it has one, else under the gateway's first. It
//! makes no key: the one that it used would not be the daemon's.

use clap::ArgMatches;

use super::{Exit, Failure, print_plain, settled, sources};
use crate::{
    broker::auth,
    config::{
        AuthMethod,
        key::{self, Missing, credentials},
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
    // A password is of use for `hmac` only; a node that does without it today may issue them for tomorrow.
    config.auth.methods = vec![AuthMethod::Hmac];
    let credentials = credentials();
    let data_dir = &config.spool.data_dir;
    key::settle(
        &mut config.auth,
        data_dir,
        credentials.as_deref(),
        Missing::Fail,
    )?;
    let mut text = String::new();
    for identity in &devices {
        if devices.len() > 1 {
            text.push_str(identity.as_str());
            text.push('\t');
        }
        let keys = config.auth.keys.of_class(identity.class());
        let key = keys
            .first()
            .ok_or_else(|| Failure::new(Exit::Software, "there is no key"))?;
        text.push_str(&auth::token(&key.0, identity));
        text.push('\n');
    }
    print_plain(&text)
}
