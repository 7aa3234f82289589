//! A client's certificate after TLS has verified it: the names that may say who the client is, and what it takes to
//! find it in a revocation list. Nothing is decided here.
//!
//! Names are text for templates, so what could be read in two ways is not shown: more than one common name counts as
//! none, names with control characters or beyond the bounds are left out (RFC 5280, sections 4.1.2 and 4.2.1.6).

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::domain::UnixNanos;

/// Longest name that is shown, bytes: longer than every DNS name.
const NAME_BYTES_MAX: usize = 256;
/// Most alternative names of each kind that are shown; a device has one or two.
const NAMES_MAX: usize = 8;
/// Longest subject that is shown, bytes; it is for logs.
const SUBJECT_BYTES_MAX: usize = 512;

/// A verified client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::module_name_repetitions,
    reason = "the gateway's own certificate is another thing"
)]
pub struct PeerCertificate {
    /// Serial number, big-endian without leading zeros; unique to its issuer only.
    pub serial: Box<[u8]>,
    /// The subject, for logs.
    pub subject: Box<str>,
    /// The subject's common name, if it has exactly one.
    pub common_name: Option<Box<str>>,
    /// Alternative names: DNS.
    pub san_dns: Vec<Box<str>>,
    /// Alternative names: URI.
    pub san_uri: Vec<Box<str>>,
    /// Alternative names: e-mail.
    pub san_email: Vec<Box<str>>,
    /// Alternative names: IP.
    pub san_ip: Vec<IpAddr>,
    /// When it expires.
    pub not_after: UnixNanos,
    /// What revocation lists know it by.
    pub(crate) mark: Mark,
}

/// An issuer's serial number, as a digest: 16 bytes whatever names and numbers an issuer likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Mark([u8; 16]);

impl Mark {
    /// Of the issuer's name in DER and a serial number.
    pub(crate) fn new(issuer: &[u8], serial: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(issuer)
            .chain_update([0])
            .chain_update(trimmed(serial))
            .finalize()
            .into();
        let [mark, _] = digest.as_chunks::<16>().0 else {
            return Self([0; 16]);
        };
        Self(*mark)
    }
}

impl PeerCertificate {
    /// Reads a certificate in DER; `None` if it is none.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut names = certificate.subject().iter_common_name();
        let common_name = match (names.next(), names.next()) {
            (Some(name), None) => name.as_str().ok().and_then(shown),
            _ => None,
        };
        let mut subject = certificate.subject().to_string();
        subject.truncate(subject.floor_char_boundary(SUBJECT_BYTES_MAX));
        let mut read = Self {
            serial: trimmed(certificate.raw_serial()).into(),
            subject: subject.into(),
            common_name,
            san_dns: Vec::new(),
            san_uri: Vec::new(),
            san_email: Vec::new(),
            san_ip: Vec::new(),
            not_after: unix(certificate.validity().not_after.timestamp()),
            mark: Mark::new(certificate.issuer().as_raw(), certificate.raw_serial()),
        };
        if let Ok(Some(names)) = certificate.subject_alternative_name() {
            for name in &names.value.general_names {
                read.add(name);
            }
        }
        Some(read)
    }

    fn add(&mut self, name: &GeneralName<'_>) {
        match name {
            GeneralName::DNSName(name) => keep(&mut self.san_dns, shown(name)),
            GeneralName::URI(name) => keep(&mut self.san_uri, shown(name)),
            GeneralName::RFC822Name(name) => keep(&mut self.san_email, shown(name)),
            GeneralName::IPAddress(bytes) => keep(&mut self.san_ip, address(bytes)),
            _ => {}
        }
    }
}

fn keep<T>(names: &mut Vec<T>, name: Option<T>) {
    if names.len() < NAMES_MAX {
        names.extend(name);
    }
}

fn shown(name: &str) -> Option<Box<str>> {
    let plain =
        !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
    plain.then(|| name.into())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_longer| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

/// Without the zeros that DER puts before a number whose first bit is set.
fn trimmed(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|&&byte| byte == 0).count();
    serial.get(zeros..).unwrap_or_default()
}

/// A time of a certificate; what lies before 1970 is 1970.
pub(crate) fn unix(seconds: i64) -> UnixNanos {
    UnixNanos(
        u64::try_from(seconds)
            .unwrap_or_default()
            .saturating_mul(1_000_000_000),
    )
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
            san_email: Vec::new(),
            san_ip: Vec::new(),
            not_after: UnixNanos(u64::MAX),
            mark: Mark::new(b"", serial),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, SerialNumber};

    use super::*;

    fn read(make: impl FnOnce(&mut CertificateParams)) -> PeerCertificate {
        let mut params = CertificateParams::default();
        make(&mut params);
        let key = KeyPair::generate().unwrap();
        PeerCertificate::read(params.self_signed(&key).unwrap().der()).unwrap()
    }

    #[test]
    fn names_serial_and_expiry_are_read() {
        let certificate = read(|params| {
            params.serial_number = Some(SerialNumber::from_slice(&[0xab, 0xcd]));
            params
                .distinguished_name
                .push(DnType::CommonName, "manhole_cover/7");
            params.subject_alt_names = vec![
                SanType::DnsName("dev.example".try_into().unwrap()),
                SanType::URI("urn:dev:7".try_into().unwrap()),
                SanType::Rfc822Name("a@b.example".try_into().unwrap()),
                SanType::IpAddress("10.1.2.3".parse().unwrap()),
            ];
            params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        });
        assert_eq!(*certificate.serial, [0xab, 0xcd]);
        assert_eq!(certificate.common_name.as_deref(), Some("manhole_cover/7"));
        assert_eq!(certificate.san_dns, ["dev.example".into()]);
        assert_eq!(certificate.san_uri, ["urn:dev:7".into()]);
        assert_eq!(certificate.san_email, ["a@b.example".into()]);
        assert_eq!(certificate.san_ip, ["10.1.2.3".parse::<IpAddr>().unwrap()]);
        assert_eq!(certificate.not_after, unix(1_893_456_000));
    }

    #[test]
    fn names_that_could_mislead_are_not_shown() {
        let certificate = read(|params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params
                .distinguished_name
                .push(DnType::CommonName, "a/1\u{0}b");
            let long = format!("urn:{}", "x".repeat(NAME_BYTES_MAX));
            params.subject_alt_names = vec![SanType::URI(long.as_str().try_into().unwrap())];
            let many = (0..20).map(|n| SanType::DnsName(format!("n{n}").try_into().unwrap()));
            params.subject_alt_names.extend(many);
        });
        assert_eq!(certificate.common_name, None);
        assert_eq!(certificate.san_uri.len(), 0);
        assert_eq!(certificate.san_dns.len(), NAMES_MAX);
    }

    #[test]
    fn a_serial_number_is_its_issuers_only_and_leading_zeros_do_not_count() {
        assert_eq!(Mark::new(b"a", &[0, 0x80]), Mark::new(b"a", &[0x80]));
        assert_ne!(Mark::new(b"a", &[1]), Mark::new(b"b", &[1]));
        assert_ne!(Mark::new(b"a", &[1]), Mark::new(b"a", &[2]));
        assert_eq!(PeerCertificate::read(b"not a certificate"), None);
    }
}
