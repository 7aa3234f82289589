//! A listener's certificates as files hold them, and what TLS makes of them. Read as a whole or not at all; a reload
//! that fails leaves the earlier material in force.
//!
//! Decided here, for every TLS listener: TLS 1.2 and 1.3 with ring's suites; resumption by tickets that the client
//! keeps (no session is cached here: 0 bytes a client, whatever their number), one ticket after a handshake instead of
//! two; no early data, which could be replayed; no renegotiation, which rustls does not have. New material brings a new
//! ticket key, so no session outlives the authorities and revocation lists that it was checked against.
//!
//! Revocation lists are checked along the whole chain.

mod revocation;

use std::{
    collections::HashSet,
    fs, io,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use foldhash::fast::FixedState;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime, pem::PemObject as _,
    },
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    time_provider::TimeProvider,
};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use self::revocation::{revocations, warn_of_unlisted};
use super::super::certificate::{Mark, PeerCertificate, unix};
use crate::{
    config::{ClientCa, ClientTrust, TlsConfig, Transport},
    domain::{Clock, UnixNanos},
};

/// Largest file read: a revocation list of a million entries has about 40 MB.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// A certificate that expires within this time is warned of.
const EXPIRES_SOON: Duration = Duration::from_hours(14 * 24);

/// Why a listener's certificates cannot be used.
#[derive(Debug, Error)]
pub enum MaterialFault {
    /// A file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {what}", path = path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The key is another certificate's.
    #[error("{key}: is not the key of the certificate in {cert}", key = key.display(), cert = cert.display())]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// What is in force for new connections of a listener.
#[derive(Debug)]
pub(super) struct Material {
    pub(super) server: Arc<ServerConfig>,
    pub(super) not_after: UnixNanos,
    /// What can be used, and an operator should know.
    pub(super) warnings: Vec<String>,
    revoked: HashSet<Mark, FixedState>,
    digest: [u8; 32],
}

/// The files' bytes.
struct Files<'a> {
    tls: &'a TlsConfig,
    cert: Vec<u8>,
    key: Vec<u8>,
    ca: Option<(&'a ClientCa, Vec<u8>)>,
    crls: Vec<(&'a Path, Vec<u8>)>,
    digest: [u8; 32],
}

impl Material {
    pub(super) fn load(
        tls: &TlsConfig,
        transport: Transport,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, MaterialFault> {
        Self::make(&Files::read(tls)?, transport, clock)
    }

    /// Reads the files again; `None` if they hold what they held.
    pub(super) fn reload(
        &self,
        tls: &TlsConfig,
        transport: Transport,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<Self>, MaterialFault> {
        let files = Files::read(tls)?;
        if files.digest == self.digest {
            return Ok(None);
        }
        Self::make(&files, transport, clock).map(Some)
    }

    /// Whether a revocation list holds the certificate.
    pub(super) fn is_revoked(&self, certificate: &PeerCertificate) -> bool {
        self.revoked.contains(&certificate.mark)
    }

    fn make(
        files: &Files<'_>,
        transport: Transport,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, MaterialFault> {
        let provider = Arc::new(ring::default_provider());
        let mut warnings = Vec::new();
        let (certified, not_after) = own(files, &provider, clock.now(), &mut warnings)?;
        let mut revoked = HashSet::default();
        let verifier = match &files.ca {
            None => WebPkiClientVerifier::no_client_auth(),
            Some((ca, bytes)) => {
                let roots = authorities(&ca.ca_file, bytes)?;
                let lists = revocations(&files.crls, clock.now(), &mut revoked, &mut warnings)?;
                warn_of_unlisted(&roots, &lists, &ca.ca_file, &mut warnings);
                verifier(files.tls, &roots, lists, &provider)?
            }
        };
        let calendar = Arc::new(Calendar(Arc::clone(clock)));
        let mut server = ServerConfig::builder_with_details(provider, calendar)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        let protocol: &[u8] = match transport {
            Transport::SecureWebSocket => b"http/1.1",
            _ => b"mqtt",
        };
        server.alpn_protocols = vec![protocol.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.ticketer = ring::Ticketer::new()?;
        server.send_tls13_tickets = 1;
        server.max_early_data_size = 0;
        Ok(Self {
            server: Arc::new(server),
            not_after,
            warnings,
            revoked,
            digest: files.digest,
        })
    }
}

impl<'a> Files<'a> {
    fn read(tls: &'a TlsConfig) -> Result<Self, MaterialFault> {
        let mut digest = Sha256::new();
        let mut read = |path: &Path| {
            let bytes = read_file(path)?;
            digest.update(bytes.len().to_be_bytes());
            digest.update(&bytes);
            Ok::<_, MaterialFault>(bytes)
        };
        let cert = read(&tls.cert_file)?;
        let key = read(&tls.key_file)?;
        let mut crls = Vec::new();
        let ca = match tls.clients.ca() {
            None => None,
            Some(ca) => {
                for path in &ca.crl_files {
                    crls.push((path.as_path(), read(path)?));
                }
                Some((ca, read(&ca.ca_file)?))
            }
        };
        Ok(Self {
            tls,
            cert,
            key,
            ca,
            crls,
            digest: digest.finalize().into(),
        })
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, MaterialFault> {
    let unreadable = |source| MaterialFault::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
        return Err(unusable(
            path,
            format!("is longer than {FILE_BYTES_MAX} bytes"),
        ));
    }
    Ok(bytes)
}

fn unusable(path: &Path, what: impl Into<String>) -> MaterialFault {
    MaterialFault::Unusable {
        path: path.to_owned(),
        what: what.into(),
    }
}

/// The listener's own certificate and key.
fn own(
    files: &Files<'_>,
    provider: &CryptoProvider,
    now: UnixNanos,
    warnings: &mut Vec<String>,
) -> Result<(CertifiedKey, UnixNanos), MaterialFault> {
    let TlsConfig {
        cert_file,
        key_file,
        ..
    } = files.tls;
    let chain = certificates(cert_file, &files.cert)?;
    let (from, until) = chain
        .first()
        .and_then(|first| validity(first))
        .ok_or_else(|| unusable(cert_file, "holds a certificate that cannot be read"))?;
    let shown = cert_file.display();
    if now > until {
        warnings.push(format!("{shown}: the certificate has expired"));
    } else if now < from {
        warnings.push(format!("{shown}: the certificate is not valid yet"));
    } else if now.abs_diff(until) < EXPIRES_SOON {
        let days = now.abs_diff(until).as_secs() / 86_400;
        warnings.push(format!("{shown}: the certificate expires in {days} days"));
    }
    let key = PrivateKeyDer::from_pem_slice(&files.key)
        .map_err(|error| unusable(key_file, format!("holds no private key in PEM: {error}")))?;
    if fs::metadata(key_file).is_ok_and(|found| found.mode() & 0o004 != 0) {
        warnings.push(format!(
            "{}: anyone on the node can read this key",
            key_file.display()
        ));
    }
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => MaterialFault::Mismatch {
            cert: cert_file.clone(),
            key: key_file.clone(),
        },
        rustls::Error::InvalidCertificate(error) => unusable(
            cert_file,
            format!("holds a certificate that cannot be used: {error}"),
        ),
        other => unusable(
            key_file,
            format!("holds a key that cannot be used: {other}"),
        ),
    })?;
    Ok((certified, until))
}

fn certificates(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, MaterialFault> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(path, format!("is no PEM: {error}")))?;
    if found.is_empty() {
        return Err(unusable(path, "holds no certificate in PEM"));
    }
    Ok(found)
}

fn validity(der: &[u8]) -> Option<(UnixNanos, UnixNanos)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    Some((
        unix(validity.not_before.timestamp()),
        unix(validity.not_after.timestamp()),
    ))
}

fn authorities(path: &Path, bytes: &[u8]) -> Result<Arc<RootCertStore>, MaterialFault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, bytes)? {
        roots.add(certificate).map_err(|error| {
            unusable(
                path,
                format!("holds an authority that cannot be used: {error}"),
            )
        })?;
    }
    Ok(Arc::new(roots))
}

fn verifier(
    tls: &TlsConfig,
    roots: &Arc<RootCertStore>,
    lists: Vec<CertificateRevocationListDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, MaterialFault> {
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
            .with_crls(lists)
            .allow_unknown_revocation_status();
    if matches!(tls.clients, ClientTrust::Optional(_)) {
        builder = builder.allow_unauthenticated();
    }
    let path = tls
        .clients
        .ca()
        .map_or(tls.cert_file.as_path(), |ca| &ca.ca_file);
    builder.build().map_err(|error| {
        unusable(
            path,
            format!("authorities or revocation lists cannot be used: {error}"),
        )
    })
}

/// The broker's clock, as TLS asks for the time.
#[derive(Debug)]
struct Calendar(Arc<dyn Clock>);

impl TimeProvider for Calendar {
    fn current_time(&self) -> Option<UnixTime> {
        let since = Duration::from_nanos(self.0.now().0);
        Some(UnixTime::since_unix_epoch(since))
    }
}
