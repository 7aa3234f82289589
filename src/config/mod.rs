//! Flags, environment and TOML, merged and validated once into one struct per stage. A stage is given its own
//! section, never the whole.
//!
//! [`settings`] is the table that everything is made from. [`Sources`] is what a configuration is merged from:
//! flags over `SENSEGATE_*` over TOML over defaults; a list replaces the list of a lower source.

mod stages;
mod listener;
mod limits;
mod access;
mod template;
pub mod guarded;
mod setting;
mod table;
mod quantity;
mod sources;
mod file;
mod cross;
mod blank;
mod problem;
mod print;
pub mod key;

#[expect(
    clippy::module_name_repetitions,
    reason = "a section is named after what it is"
)]
pub use access::{
    AuthConfig, AuthMethod, Demand, JwtConfig, KeyRing, PasswordConfig, RightsConfig, Secret,
};
#[expect(
    clippy::module_name_repetitions,
    reason = "a section is named after what it is"
)]
pub use limits::{
    ConnectLimits, LimitsConfig, QueueLimits, RateLimits, RatePolicy, RetainedLimits,
    SessionLimits, SizeLimits, WhenQueueFull,
};
#[expect(
    clippy::module_name_repetitions,
    reason = "a section is named after what it sets up"
)]
pub use listener::{
    ClientCa, ClientCert, ClientTrust, ListenerConfig, ListenerDefaults, ProxyConfig, TlsConfig,
    Transport, WEBSOCKET_PATH,
};
pub use print::example_toml;
#[expect(
    clippy::module_name_repetitions,
    reason = "each stage has an error by its name"
)]
pub use problem::{ConfigError, Origin, Problem};
pub use quantity::parse_duration;
pub use setting::{Preset, Setting};
pub use sources::{Merged, Sources};
#[expect(
    clippy::module_name_repetitions,
    reason = "a section is named after its stage"
)]
pub use stages::{
    AdminConfig, Compression, Config, GroupCommit, LogConfig, LogFormat, MemoryConfig, MqttConfig,
    NodeConfig, NormaliseConfig, SessionsConfig, SparkplugGaps, SpoolConfig, StoreBounds,
    UplinkConfig, WhenFull,
};
pub use table::{Former, former, setting, settings};
pub use template::{ClaimTemplate, Claimed, Named, SubjectSource, SubjectTemplate};

impl Config {
    /// The defaults with some settings changed, by key: for tests and the laboratory. Reads neither the environment nor
    /// a file.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`]: a key is unknown, or a value is wrong.
    pub fn with(changes: &[(&str, &str)]) -> Result<Self, ConfigError> {
        let mut sources = Sources::new().with_file(std::path::Path::new("/dev/null"));
        for (key, value) in changes {
            let Some(setting) = setting(key) else {
                let unknown = Problem::new(Origin::Default, key, "is an unknown key");
                return Err(ConfigError::Invalid(vec![unknown]));
            };
            sources = sources.with_flag(setting.key, vec![(*value).to_owned()]);
        }
        sources.merge()?.config()
    }
}

#[cfg(test)]
mod tests;
