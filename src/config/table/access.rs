//! Settings of access: who may connect, by which proof, and what they may do.

use super::{KIB, MINUTE, Preset, Setting, Shape, narrow_usize, path};
use crate::config::{
    access::{AuthMethod, Demand, KEYS_MAX, RightsConfig, Secret},
    key::check_key,
    setting::Misfit,
    template::{ClaimTemplate, SubjectTemplate},
};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "auth.methods",
        flag: "auth-method",
        default: Preset::Text("hmac"),
        help: "How clients prove who they are, asked in this order; repeatable: `hmac` (username `class/device`, password = hex \
               HMAC-SHA256 of the username), `certificate` (of the TLS handshake), `jwt` (the password is a token), `password` \
               (a password file), `anonymous` (no proof: the identity is what the topic says; for laboratories, last).",
        reason: "hmac needs no database for 22 million devices; anonymous must be asked for. `auth.method` and `--auth` are former names.",
        shape: Shape::List {
            named: "METHOD",
            set: |config, items| {
                config.auth.methods = each(items, method)?;
                if config.auth.methods.is_empty() {
                    return Err((
                        String::new(),
                        "is no method: at least one is needed".to_owned(),
                    ));
                }
                Ok(())
            },
        },
    },
    Setting {
        key: "auth.key_file",
        flag: "auth-key-file",
        default: Preset::Unset,
        help: "File that holds a key of the gateway for `hmac`, at least 16 bytes; a trailing line break does not count. Repeatable, up \
               to 4: all of them are valid, the first is the one that `sensegate token` issues passwords under. Without it: systemd's \
               credential `auth.key`, then `auth.key` in the data directory, which the first start makes at random (mode 0600).",
        reason: "No key can be guessed; a first start must work all the same. Two keys are valid at once while they are changed.",
        shape: Shape::List {
            named: "FILE",
            set: |config, items| {
                config.auth.key_files = each(items, path)?;
                match items.get(KEYS_MAX) {
                    Some(beyond) => Err((
                        beyond.clone(),
                        format!("is one too many: at most {KEYS_MAX} keys are valid at once"),
                    )),
                    None => Ok(()),
                }
            },
        },
    },
    Setting {
        key: "auth.key",
        flag: "",
        default: Preset::Unset,
        help: "The gateway's key itself, at least 16 bytes; not both this and `auth.key_file` from the same source.",
        reason: "Never a flag: anyone on the node could read it in the process list.",
        shape: Shape::Secret {
            set: |config, text| {
                check_key(text.as_bytes())?;
                config.auth.key = Some(Secret(text.as_bytes().to_vec()));
                Ok(())
            },
        },
    },
    Setting {
        key: "auth.class_keys_dir",
        flag: "auth-class-keys-dir",
        default: Preset::Unset,
        help: "Folder of `{class}.key` files: for a class that has one, its key counts and the gateway's does not. `{class}.key.old` \
               beside it stays valid too.",
        reason: "A maker that derives its own devices' passwords needs one class's key, never the city's.",
        shape: Shape::Text {
            named: "DIR",
            set: |config, text| {
                config.auth.class_keys_dir = Some(path(text)?);
                Ok(())
            },
        },
    },
    Setting {
        key: "auth.certificate_identity",
        flag: "auth-certificate-identity",
        default: Preset::Text("cn:{class}/{device}"),
        help: "Where a client's certificate says who it is, for `certificate`: `cn:`, `san-dns:` or `san-uri:` and a pattern with \
               `{class}` and `{device}`, or `{application}`; repeatable, the first that matches counts.",
        reason: "The identity as it stands in the username; SAN is the better place where the issuer can fill it.",
        shape: Shape::List {
            named: "TEMPLATE",
            set: |config, items| {
                config.auth.certificate_identity = each(items, SubjectTemplate::parse)?;
                Ok(())
            },
        },
    },
    Setting {
        key: "auth.jwks_file",
        flag: "auth-jwks-file",
        default: Preset::Unset,
        help: "JSON Web Key Set for `jwt`: RSA (RS256), P-256 (ES256), Ed25519 (EdDSA) and secret (HS256) keys, at most 16.",
        reason: "A file that is fetched by whoever may reach the issuer; the gateway itself calls nobody.",
        shape: Shape::Text {
            named: "FILE",
            set: |config, text| {
                config.auth.jwt.jwks_file = Some(path(text)?);
                Ok(())
            },
        },
    },
    Setting {
        key: "auth.jwt_secret_file",
        flag: "auth-jwt-secret-file",
        default: Preset::Unset,
        help: "File that holds a secret for `jwt` with HS256, at least 32 bytes; a trailing line break does not count.",
        reason: "Below the length of the hash a secret is weaker than the signature (RFC 7518, section 3.2).",
        shape: Shape::Text {
            named: "FILE",
            set: |config, text| {
                config.auth.jwt.secret_file = Some(path(text)?);
                Ok(())
            },
        },
    },
    Setting {
        key: "auth.jwt_identity",
        flag: "auth-jwt-identity",
        default: Preset::Text("{sub}"),
        help: "Which claims of a token say who its bearer is: claims' names in braces give `class/device`, after `app:` an \
               application's name; repeatable, the first that gives a valid one counts.",
        reason: "The subject is the claim for it (RFC 7519, section 4.1.2).",
        shape: Shape::List {
            named: "TEMPLATE",
            set: |config, items| {
                config.auth.jwt.identity = each(items, ClaimTemplate::parse)?;
                if config.auth.jwt.identity.is_empty() {
                    return Err((
                        String::new(),
                        "is no template: at least one is needed".to_owned(),
                    ));
                }
                Ok(())
            },
        },
    },
    Setting {
        key: "auth.jwt_issuer",
        flag: "auth-jwt-issuer",
        default: Preset::Unset,
        help: "What a token's `iss` must be; unset: not looked at.",
        reason: "Whoever holds a key of the set is an issuer; the name is a second bar.",
        shape: Shape::Text {
            named: "NAME",
            set: |config, text| {
                config.auth.jwt.issuer = Some(named(text)?);
                Ok(())
            },
        },
    },
    Setting {
        key: "auth.jwt_audience",
        flag: "auth-jwt-audience",
        default: Preset::Unset,
        help: "One of which a token's `aud` must name; repeatable; unset: not looked at.",
        reason: "Set it where the issuer serves others too: their tokens are not for this gateway.",
        shape: Shape::List {
            named: "NAME",
            set: |config, items| {
                config.auth.jwt.audiences = each(items, named)?;
                Ok(())
            },
        },
    },
    Setting {
        key: "auth.jwt_leeway",
        flag: "auth-jwt-leeway",
        default: Preset::Text("30s"),
        help: "How far the clocks of issuer and gateway may be apart, for `exp` and `nbf`.",
        reason: "Nodes that keep time by NTP differ by less than a second; 30 s forgives a lost server.",
        shape: Shape::Duration {
            min_ms: 0,
            max_ms: 10 * MINUTE,
            set: |config, d| config.auth.jwt.leeway = d,
        },
    },
    Setting {
        key: "auth.jwt_expiry",
        flag: "auth-jwt-expiry",
        default: Preset::Text("required"),
        help: "Whether a token must have `exp`. A session ends when its token expires.",
        reason: "A token that never expires is a password that its issuer cannot take back.",
        shape: Shape::Choice {
            of: &["required", "optional"],
            set: |config, word| {
                config.auth.jwt.expiry = if word == "optional" {
                    Demand::Optional
                } else {
                    Demand::Required
                };
            },
        },
    },
    Setting {
        key: "auth.jwt_bytes_max",
        flag: "auth-jwt-bytes-max",
        default: Preset::Text("8KiB"),
        help: "Longest token taken.",
        reason: "A token with a dozen claims and an RSA signature has under 2 KiB.",
        shape: Shape::Size {
            min: 256,
            max: 64 * KIB,
            set: |config, n| config.auth.jwt.bytes_max = narrow_usize(n),
        },
    },
    Setting {
        key: "auth.password_file",
        flag: "auth-password-file",
        default: Preset::Unset,
        help: "File of `name:$argon2id$…` lines for `password`; a name is an application's or `class/device`. \
               `sensegate password hash` makes such a line.",
        reason: "For the few: a check costs tens of milliseconds on purpose.",
        shape: Shape::Text {
            named: "FILE",
            set: |config, text| {
                config.auth.password.file = Some(path(text)?);
                Ok(())
            },
        },
    },
    Setting {
        key: "auth.password_checks_max",
        flag: "auth-password-checks-max",
        default: Preset::Text("2"),
        help: "Most passwords of the password file that are checked at once.",
        reason: "Each costs a core for tens of milliseconds and 19 MiB meanwhile; 256 more may wait, beyond clients are told to come again.",
        shape: Shape::Count {
            min: 1,
            max: 64,
            set: |config, n| config.auth.password.checks_max = narrow_usize(n),
        },
    },
    Setting {
        key: "auth.password_cache_max",
        flag: "auth-password-cache-max",
        default: Preset::Text("4096"),
        help: "Most passwords that are remembered as right, so that a client that comes back costs no check. 0: none.",
        reason: "32 bytes each, under a key that lives as long as the process: more than the few have clients.",
        shape: Shape::Count {
            min: 0,
            max: 1_000_000,
            set: |config, n| config.auth.password.cache_max = narrow_usize(n),
        },
    },
    Setting {
        key: "auth.revocation_file",
        flag: "auth-revocation-file",
        default: Preset::Unset,
        help: "File of who may no longer come in, a line each: `device class/device`, `class name`, `application name`, `serial hex`.",
        reason: "Whatever a client can prove: who is listed here is turned away, and its sessions end.",
        shape: Shape::Text {
            named: "FILE",
            set: |config, text| {
                config.auth.revocation_file = Some(path(text)?);
                Ok(())
            },
        },
    },
    Setting {
        key: "auth.rights",
        flag: "rights",
        default: Preset::Unset,
        help: "TOML file of who may publish and subscribe to what; it says everything, what it does not allow is refused. `open`: everyone \
               may do everything, for laboratories. Unset: a device publishes on its own `up` topics and hears its own `down`.",
        reason: "A device needs nothing else, and a stolen key must give nothing else.",
        shape: Shape::Text {
            named: "FILE|open",
            set: |config, text| {
                config.auth.rights = match text {
                    "open" => RightsConfig::Open,
                    file => RightsConfig::File(path(file)?),
                };
                Ok(())
            },
        },
    },
];

fn each<T>(items: &[String], read: fn(&str) -> Result<T, String>) -> Result<Vec<T>, Misfit> {
    let mut found = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        if items.iter().take(at).any(|before| before == item) {
            return Err((item.clone(), "stands there twice".to_owned()));
        }
        found.push(read(item).map_err(|what| (item.clone(), what))?);
    }
    Ok(found)
}

fn method(word: &str) -> Result<AuthMethod, String> {
    let found = AuthMethod::ALL
        .into_iter()
        .find(|method| method.name() == word);
    found.ok_or_else(|| {
        let names = AuthMethod::ALL.map(AuthMethod::name);
        format!("is not one of: {}", names.join(", "))
    })
}

fn named(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(text.to_owned())
}
