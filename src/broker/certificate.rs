//! What a client's certificate says of its holder, taken out once after the TLS handshake has verified it.

use crate::domain::UnixNanos;

/// A verified client certificate.
#[expect(
    clippy::module_name_repetitions,
    reason = "there are certificates of our own too"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Serial number, big-endian.
    pub serial: Box<[u8]>,
    /// The whole subject, for people.
    pub subject: Box<str>,
    /// Common name of the subject.
    pub common_name: Option<Box<str>>,
    /// DNS names of the subject alternative names.
    pub san_dns: Vec<Box<str>>,
    /// URIs of the subject alternative names.
    pub san_uri: Vec<Box<str>>,
    /// When it expires.
    pub not_after: UnixNanos,
}

#[cfg(test)]
impl PeerCertificate {
    /// A certificate that says this of its holder and expires never.
    pub(crate) fn of(serial: &[u8], common_name: &str, dns: &[&str], uri: &[&str]) -> Self {
        let boxed = |names: &[&str]| names.iter().map(|&name| Box::from(name)).collect();
        Self {
            serial: Box::from(serial),
            subject: Box::from(common_name),
            common_name: Some(Box::from(common_name)),
            san_dns: boxed(dns),
            san_uri: boxed(uri),
            not_after: UnixNanos(u64::MAX),
        }
    }
}
