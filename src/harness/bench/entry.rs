//! How the devices of a load reach a server and prove who they are: over TCP or TLS, by password, by certificate, or not
//! at all. [`Office`] issues the certificates, at run time and for this run only.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::{crypto::ring::sign::any_supported_type, pki_types::PrivateKeyDer, sign::SigningKey};
use thiserror::Error;

use crate::harness::{
    client::{Tls, Version, WireError},
    devices::{Unacknowledged, login},
};

/// Why a load cannot be given its credentials.
#[derive(Debug, Error)]
pub enum Unissued {
    /// A certificate cannot be made.
    #[error("issuing a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The client's side of TLS cannot be set up.
    #[error("setting up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A key cannot be read back.
    #[error("a key of ours: {0}")]
    Key(&'static str),
    /// The files.
    #[error("writing certificates: {0}")]
    Io(#[from] std::io::Error),
    /// A name is too long.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// What carries a connection.
#[derive(Debug, Clone)]
pub enum Seal {
    /// TCP alone.
    Plain,
    /// TLS; the server alone shows a certificate.
    Tls(Tls),
    /// TLS; the device shows a certificate with its name.
    Mutual(Arc<Office>),
}

/// How devices come in.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Key of their passwords; none: no password. A device that shows a certificate gives no password.
    pub key: Option<Vec<u8>>,
    /// What carries the connection.
    pub seal: Seal,
    /// Whether the session ends with the connection.
    pub sessions: Unacknowledged,
}

/// What a device needs to connect.
#[derive(Debug)]
pub(super) struct Pass {
    /// The encoded CONNECT.
    pub(super) connect: Bytes,
    /// The client's side of TLS.
    pub(super) tls: Option<Tls>,
}

impl Entry {
    /// Over TCP, with passwords under this key; sessions end with their connection.
    #[must_use]
    pub const fn keyed(key: Vec<u8>) -> Self {
        Self {
            key: Some(key),
            seal: Seal::Plain,
            sessions: Unacknowledged::LetGo,
        }
    }

    /// Over TCP, without a name.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self {
            key: None,
            seal: Seal::Plain,
            sessions: Unacknowledged::LetGo,
        }
    }

    /// What the device of a name connects with.
    pub(super) fn pass(&self, username: &str, link: usize) -> Result<Pass, Unissued> {
        let tls = match &self.seal {
            Seal::Plain => None,
            Seal::Tls(tls) => Some(tls.clone()),
            Seal::Mutual(office) => Some(office.device(username)?),
        };
        let key = match self.seal {
            Seal::Mutual(_) => None,
            _ => self.key.as_deref(),
        };
        let named = key.map(|key| (username, key));
        Ok(Pass {
            connect: login(Version::V5, named, self.sessions, link)?,
            tls,
        })
    }
}

/// An authority of this run: the server's certificate and key in files, devices' certificates on demand. All keys are
/// P-256; the devices share one, since making keys is not what is measured.
pub struct Office {
    dir: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
    devices: KeyPair,
    signing: Arc<dyn SigningKey>,
    tls: Tls,
}

impl std::fmt::Debug for Office {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Office")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Office {
    /// Opens one with its files in a folder.
    ///
    /// # Errors
    /// Cryptography or the file system fails.
    pub fn open(dir: &Path) -> Result<Self, Unissued> {
        fs::create_dir_all(dir)?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "benchmark authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        let devices = KeyPair::generate()?;
        let der = PrivateKeyDer::try_from(devices.serialize_der()).map_err(Unissued::Key)?;
        let office = Self {
            dir: dir.to_owned(),
            issuer,
            signing: any_supported_type(&der)?,
            devices,
            tls: Tls::trusting()?,
        };
        fs::write(office.authority(), office.issuer.pem())?;
        fs::write(office.certificate(), certificate.pem())?;
        File::options()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(office.key())?
            .write_all(key.serialize_pem().as_bytes())?;
        Ok(office)
    }

    /// The authority's certificate.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.dir.join("authority.pem")
    }

    /// The server's certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("server.pem")
    }

    /// The server's key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.dir.join("server.key")
    }

    /// The client's side of TLS without a certificate.
    #[must_use]
    pub const fn tls(&self) -> &Tls {
        &self.tls
    }

    /// The same with a certificate whose common name is the device's name.
    ///
    /// # Errors
    /// Cryptography fails.
    pub fn device(&self, username: &str) -> Result<Tls, Unissued> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, username);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&self.devices, &self.issuer)?;
        let der = certificate.der().clone();
        Ok(self.tls.with_certificate(der, Arc::clone(&self.signing)))
    }

    /// The gateway's listener on a free port, as a URL.
    #[must_use]
    pub fn listener(&self, seal: &Seal) -> String {
        let [cert, key, ca] =
            [self.certificate(), self.key(), self.authority()].map(|path| escaped(&path));
        let listener = format!("mqtts://127.0.0.1:0?cert={cert}&key={key}");
        match seal {
            Seal::Mutual(_) => format!("{listener}&client-ca={ca}&client-cert=required"),
            _ => listener,
        }
    }
}

/// A path as the value of a URL's option.
fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            // Text is written to memory: cannot fail.
            write!(text, "%{byte:02X}").unwrap_or_default();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_special_characters_is_escaped() {
        assert_eq!(escaped(Path::new("/tmp/a b&c")), "/tmp/a%20b%26c");
    }
}
