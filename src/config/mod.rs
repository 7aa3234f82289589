//! Flags, environment and TOML, merged and validated once into one struct per stage. A stage is given its own
//! section, never the whole.

mod stages;

pub use stages::{
    AdminConfig, AuthConfig, AuthMethod, Compression, Config, GroupCommit, LaneBounds, LogConfig, LogFormat,
    MqttConfig, NodeConfig, NormaliseConfig, Secret, SpoolConfig, UplinkConfig, WhenFull,
};
