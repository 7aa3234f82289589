//! Who may connect and what they may do, as it is configured: the section of the broker's `access`. Files are named
//! here and read there; only the keys of `hmac` are settled before (see [`super::key`]), since the first start makes one.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use super::template::{ClaimTemplate, SubjectTemplate};

/// Most keys of `hmac` that are valid at once, of the gateway or of a class: each costs every CONNECT a check.
pub(super) const KEYS_MAX: usize = 4;

/// How clients prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// Password = hex HMAC-SHA256 of the username under the gateway's or the class's key.
    Hmac,
    /// The certificate that the client showed in the TLS handshake.
    Certificate,
    /// A JSON Web Token as the password.
    Jwt,
    /// A line in the password file.
    Password,
    /// No proof: the identity is what the topic says. For laboratories.
    Anonymous,
}

impl AuthMethod {
    /// Every method.
    pub const ALL: [Self; 5] = [
        Self::Hmac,
        Self::Certificate,
        Self::Jwt,
        Self::Password,
        Self::Anonymous,
    ];

    /// Its name in settings and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hmac => "hmac",
            Self::Certificate => "certificate",
            Self::Jwt => "jwt",
            Self::Password => "password",
            Self::Anonymous => "anonymous",
        }
    }
}

/// Bytes that must not appear in logs or listings.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The keys of `hmac`, the first of each list being the one that passwords are issued under.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyRing {
    /// The gateway's.
    pub gateway: Vec<Secret>,
    /// Classes that have keys of their own: the gateway's do not count for them.
    pub classes: BTreeMap<String, Vec<Secret>>,
    /// The files and folders that they were read from.
    pub files: Vec<PathBuf>,
}

impl KeyRing {
    /// The keys that count for a class.
    #[must_use]
    pub fn of_class(&self, class: &str) -> &[Secret] {
        self.classes.get(class).unwrap_or(&self.gateway)
    }
}

/// Who may connect, and what they may do.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// The methods, asked in this order.
    pub methods: Vec<AuthMethod>,
    /// The gateway's key itself, at least 16 bytes.
    pub key: Option<Secret>,
    /// The files that hold the gateway's keys, at most 4.
    pub key_files: Vec<PathBuf>,
    /// The folder of classes' keys.
    pub class_keys_dir: Option<PathBuf>,
    /// The keys that these give; empty until [`super::key::settle`] has read them.
    pub keys: KeyRing,
    /// Where a certificate says who its holder is.
    pub certificate_identity: Vec<SubjectTemplate>,
    /// Tokens.
    pub jwt: JwtConfig,
    /// The password file.
    pub password: PasswordConfig,
    /// The file that lists who may no longer come in.
    pub revocation_file: Option<PathBuf>,
    /// Who may publish and subscribe to what.
    pub rights: RightsConfig,
}

/// Whether something has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// It has to.
    Required,
    /// It need not.
    Optional,
}

/// Which tokens are taken, and who their bearers are.
#[derive(Debug, Clone)]
pub struct JwtConfig {
    /// A JSON Web Key Set (RFC 7517).
    pub jwks_file: Option<PathBuf>,
    /// A secret for HS256, at least 32 bytes.
    pub secret_file: Option<PathBuf>,
    /// Which claims say who the bearer is; the first template that gives a principal counts.
    pub identity: Vec<ClaimTemplate>,
    /// What `iss` must be.
    pub issuer: Option<String>,
    /// One of which `aud` must name.
    pub audiences: Vec<String>,
    /// How far the issuer's clock may be from the gateway's.
    pub leeway: Duration,
    /// Whether a token has to expire.
    pub expiry: Demand,
    /// Longest token, bytes.
    pub bytes_max: usize,
}

/// The password file and what checking it may cost.
#[derive(Debug, Clone)]
pub struct PasswordConfig {
    /// The file.
    pub file: Option<PathBuf>,
    /// Most checks that are computed at once.
    pub checks_max: usize,
    /// Most passwords that are remembered as right.
    pub cache_max: usize,
}

/// Who may publish and subscribe to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RightsConfig {
    /// A device has its own `up` and `down` topics, and that is all.
    Own,
    /// Everyone may do everything. For laboratories.
    Open,
    /// What this file says.
    File(PathBuf),
}

impl AuthConfig {
    /// One method, nothing else: for tests and the laboratory.
    #[must_use]
    pub const fn only(methods: Vec<AuthMethod>) -> Self {
        Self {
            methods,
            key: None,
            key_files: Vec::new(),
            class_keys_dir: None,
            keys: KeyRing {
                gateway: Vec::new(),
                classes: BTreeMap::new(),
                files: Vec::new(),
            },
            certificate_identity: Vec::new(),
            jwt: JwtConfig {
                jwks_file: None,
                secret_file: None,
                identity: Vec::new(),
                issuer: None,
                audiences: Vec::new(),
                leeway: Duration::ZERO,
                expiry: Demand::Required,
                bytes_max: 0,
            },
            password: PasswordConfig {
                file: None,
                checks_max: 0,
                cache_max: 0,
            },
            revocation_file: None,
            rights: RightsConfig::Own,
        }
    }

    /// `hmac` with this key of the gateway: for tests and the laboratory.
    #[must_use]
    pub fn hmac(key: &[u8]) -> Self {
        let mut config = Self::only(vec![AuthMethod::Hmac]);
        config.keys.gateway.push(Secret(key.to_vec()));
        config
    }

    /// `anonymous` alone: for tests and the laboratory.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::only(vec![AuthMethod::Anonymous])
    }

    /// Whether a method is among those asked.
    #[must_use]
    pub fn asks(&self, method: AuthMethod) -> bool {
        self.methods.contains(&method)
    }
}
