//! Who may come in and what they may do: [`Authentication`] and [`Rights`], put together from what the configuration
//! names, and replaced together. The only place of the broker that reads their files.
//!
//! Invariants: an access is complete or does not exist; a reload that finds anything wrong changes nothing. Reading
//! blocks and may take seconds (a revocation list of millions): never on a worker of the runtime.

pub(crate) mod metrics;
mod fault;

use std::{
    io::BufReader,
    path::{Path, PathBuf},
    sync::Arc,
};

#[expect(
    clippy::module_name_repetitions,
    reason = "they are named beside the errors of other stages"
)]
pub use fault::{AccessError, AccessFault, Fault, Place};
pub use metrics::METRICS;

use super::{
    auth::{
        Authentication, Denied, Derived, Lane, Method, PasswordFile, Revocations,
        jwt::{Jwt, KeySet},
    },
    certificate::PeerCertificate,
    principal::Principal,
    rights::Rights,
};
use crate::{
    config::{
        AuthConfig, AuthMethod, RightsConfig,
        guarded::{self, Privacy},
    },
    domain::UnixNanos,
};

/// Largest key set, password file and rights file, bytes.
const JWKS_BYTES_MAX: u64 = 1 << 20;
const SECRET_BYTES_MAX: u64 = 4096;
const PASSWORDS_BYTES_MAX: u64 = 32 << 20;
const RIGHTS_BYTES_MAX: u64 = 16 << 20;

/// Who may come in and what they may do.
#[derive(Debug)]
pub struct Access {
    pub(crate) authentication: Authentication,
    pub(crate) rights: Rights,
    lane: Arc<Lane>,
    files: Vec<PathBuf>,
}

impl Access {
    /// Reads everything that a configuration names; its keys are settled already. Blocks.
    ///
    /// # Errors
    /// [`AccessError`]: all that is wrong with the files.
    pub fn load(config: &AuthConfig) -> Result<Self, AccessError> {
        Self::load_after(config, None)
    }

    /// The same while another is in force: passwords that were right there need not be checked again.
    pub(crate) fn load_after(
        config: &AuthConfig,
        before: Option<&Self>,
    ) -> Result<Self, AccessError> {
        let kept = before
            .map(|before| &before.lane)
            .filter(|lane| lane.fits(&config.password));
        let lane = kept.map_or_else(|| Arc::new(Lane::new(&config.password)), Arc::clone);
        let mut loader = Loader {
            config,
            files: config.keys.files.clone(),
            faults: Vec::new(),
        };
        let methods = config
            .methods
            .iter()
            .filter_map(|&method| loader.method(method, &lane))
            .collect();
        let revocations = loader.revocations().unwrap_or_default();
        let rights = loader.rights().unwrap_or_default();
        if !loader.faults.is_empty() {
            return Err(AccessError(loader.faults));
        }
        Ok(Self {
            authentication: Authentication::new(methods, Arc::new(revocations)),
            rights,
            lane,
            files: loader.files,
        })
    }

    /// Who may publish and subscribe to what.
    #[must_use]
    pub const fn rights(&self) -> &Rights {
        &self.rights
    }

    /// The files and folders that it was read from: what to read again when they change.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Whether a client that is in may stay: not revoked, its proof not at its end.
    pub(crate) fn recheck(
        &self,
        principal: &Principal,
        certificate: Option<&PeerCertificate>,
        until: Option<UnixNanos>,
        now: UnixNanos,
    ) -> Result<(), Denied> {
        if until.is_some_and(|until| now >= until) {
            return Err(Denied::NotAuthorised);
        }
        if self.authentication.revoked(principal, certificate) {
            return Err(Denied::Banned);
        }
        Ok(())
    }

    /// What an operator should see all the time: that anyone is let in, or may do anything.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let anonymous = self.authentication.is_anonymous();
        let open = self.rights.is_open();
        let said = [
            (
                anonymous,
                "anonymous clients are let in: anyone may speak for any device",
            ),
            (
                open,
                "rights are open: everyone may publish and subscribe to everything",
            ),
        ];
        let held = said.iter().filter(|(holds, _)| *holds);
        held.map(|(_, what)| (*what).to_owned()).collect()
    }
}

struct Loader<'a> {
    config: &'a AuthConfig,
    files: Vec<PathBuf>,
    faults: Vec<AccessFault>,
}

impl Loader<'_> {
    fn method(&mut self, method: AuthMethod, lane: &Arc<Lane>) -> Option<Method> {
        match method {
            AuthMethod::Anonymous => Some(Method::Anonymous),
            AuthMethod::Certificate => Some(Method::Certificate(
                self.config.certificate_identity.clone().into_boxed_slice(),
            )),
            AuthMethod::Hmac => {
                if self.config.keys.gateway.is_empty() {
                    self.faults
                        .push(AccessFault::setting("auth.key_file", "is no key"));
                    return None;
                }
                Some(Method::Hmac(Derived::new(&self.config.keys)))
            }
            AuthMethod::Jwt => self.jwt().map(|jwt| Method::Jwt(Box::new(jwt))),
            AuthMethod::Password => {
                let file = self.passwords(lane)?;
                Some(Method::Password(Box::new(file)))
            }
        }
    }

    fn jwt(&mut self) -> Option<Jwt> {
        let rules = &self.config.jwt;
        let mut keys = KeySet::default();
        if let Some(path) = &rules.jwks_file {
            const SETTING: &str = "auth.jwks_file";
            let text = self.read(SETTING, path, JWKS_BYTES_MAX, Privacy::Trusted)?;
            let added = keys.add_jwks(&text);
            self.take(SETTING, path, added)?;
            if keys.secret {
                // A file with a secret in it is no public one.
                let private = guarded::open(path, Privacy::Secret);
                private
                    .map_err(|fault| self.unfit(SETTING, path, fault))
                    .ok()?;
            }
            if keys.left_out > 0 {
                tracing::info!(
                    file = %path.display(),
                    keys = keys.left_out,
                    "keys of other algorithms or uses are left out"
                );
            }
        }
        if let Some(path) = &rules.secret_file {
            const SETTING: &str = "auth.jwt_secret_file";
            self.files.push(path.clone());
            let secret = guarded::secret(path, SECRET_BYTES_MAX)
                .map_err(|fault| self.unfit(SETTING, path, fault))
                .ok()?;
            let added = keys.add_secret(&secret);
            self.take(SETTING, path, added)?;
        }
        Some(Jwt::new(keys, rules.clone()))
    }

    fn passwords(&mut self, lane: &Arc<Lane>) -> Option<PasswordFile> {
        const SETTING: &str = "auth.password_file";
        let path = self.config.password.file.as_ref()?;
        let text = self.text(SETTING, path, PASSWORDS_BYTES_MAX, Privacy::Secret)?;
        PasswordFile::read(&text, Arc::clone(lane))
            .map_err(|faults| self.add(SETTING, path, faults))
            .ok()
    }

    fn revocations(&mut self) -> Option<Revocations> {
        const SETTING: &str = "auth.revocation_file";
        let path = self.config.revocation_file.as_ref()?;
        self.files.push(path.clone());
        let file = guarded::open(path, Privacy::Trusted)
            .map_err(|fault| self.unfit(SETTING, path, fault))
            .ok()?;
        let read = Revocations::read(BufReader::new(file));
        let revocations = self.take(SETTING, path, read)?;
        tracing::info!(file = %path.display(), entries = revocations.len(), "revocations read");
        Some(revocations)
    }

    fn rights(&mut self) -> Option<Rights> {
        const SETTING: &str = "auth.rights";
        match &self.config.rights {
            RightsConfig::Own => Some(Rights::default()),
            RightsConfig::Open => Some(Rights::open()),
            RightsConfig::File(path) => {
                let text = self.text(SETTING, path, RIGHTS_BYTES_MAX, Privacy::Trusted)?;
                Rights::parse(&text)
                    .map_err(|faults| self.add(SETTING, path, faults))
                    .ok()
            }
        }
    }

    fn read(
        &mut self,
        setting: &'static str,
        path: &Path,
        bytes_max: u64,
        privacy: Privacy,
    ) -> Option<Vec<u8>> {
        self.files.push(path.to_owned());
        guarded::read(path, bytes_max, privacy)
            .map_err(|fault| self.unfit(setting, path, fault))
            .ok()
    }

    fn text(
        &mut self,
        setting: &'static str,
        path: &Path,
        bytes_max: u64,
        privacy: Privacy,
    ) -> Option<String> {
        let bytes = self.read(setting, path, bytes_max, privacy)?;
        String::from_utf8(bytes)
            .map_err(|error| {
                let before = error
                    .as_bytes()
                    .iter()
                    .take(error.utf8_error().valid_up_to());
                let line = before.filter(|&&byte| byte == b'\n').count() + 1;
                let fault = Fault::at(Place::Line(line), "is not UTF-8".to_owned());
                self.add(setting, path, vec![fault]);
            })
            .ok()
    }

    fn take<T>(&mut self, setting: &'static str, path: &Path, read: Result<T, Fault>) -> Option<T> {
        read.map_err(|fault| self.add(setting, path, vec![fault]))
            .ok()
    }

    fn add(&mut self, setting: &'static str, path: &Path, faults: Vec<Fault>) {
        let faults = faults.into_iter();
        self.faults
            .extend(faults.map(|fault| AccessFault::new(setting, path, fault)));
    }

    fn unfit(&mut self, setting: &'static str, path: &Path, fault: guarded::FileFault) {
        let what = match fault {
            guarded::FileFault::Unreadable { source, .. } => source.to_string(),
            guarded::FileFault::Unfit { what, .. } => what,
        };
        self.add(setting, path, vec![Fault::at(Place::Whole, what)]);
    }
}

#[cfg(test)]
mod tests;
