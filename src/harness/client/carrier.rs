//! What carries a connection: TCP, or TLS 1.3 over it.
//!
//! This side of TLS is a load's: it takes any certificate of a server without checking its signature, so that a
//! measurement on shared cores spends as little as it can on the client, and it resumes no session, so that every
//! handshake is a full one. Never for anything but loads.

use std::{
    io::{self, Read as _, Write as _},
    sync::Arc,
};

use mio::net::TcpStream;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
    client::{
        ResolvesClientCert, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::{CertifiedKey, SigningKey},
};

/// The client's side of TLS.
#[derive(Debug, Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    /// TLS 1.3 without a certificate of one's own.
    ///
    /// # Errors
    /// The provider of cryptography offers no TLS 1.3.
    pub fn trusting() -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TakesAny))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"mqtt".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// The same with a certificate of one's own.
    #[must_use]
    pub fn with_certificate(
        &self,
        certificate: CertificateDer<'static>,
        key: Arc<dyn SigningKey>,
    ) -> Self {
        let mut config = (*self.0).clone();
        let own = CertifiedKey::new(vec![certificate], key);
        config.client_auth_cert_resolver = Arc::new(Holder(Arc::new(own)));
        Self(Arc::new(config))
    }
}

/// Shows the one certificate that it holds.
#[derive(Debug)]
struct Holder(Arc<CertifiedKey>);

impl ResolvesClientCert for Holder {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct TakesAny;

impl ServerCertVerifier for TakesAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ED25519,
            SignatureScheme::RSA_PSS_SHA256,
        ]
    }
}

/// A socket and what is spoken on it.
#[derive(Debug)]
pub(super) enum Carrier {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<Sealed>),
}

/// A socket with its TLS session; the handshake goes on in reads and flushes.
#[derive(Debug)]
pub(super) struct Sealed {
    stream: TcpStream,
    session: ClientConnection,
}

impl Carrier {
    pub(super) fn new(stream: TcpStream, tls: Option<&Tls>) -> io::Result<Self> {
        let Some(Tls(config)) = tls else {
            return Ok(Self::Plain(stream));
        };
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(Sealed { stream, session })))
    }

    pub(super) fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(scratch),
            Self::Tls(sealed) => sealed.read(scratch),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(sealed) => sealed.write(bytes),
        }
    }

    /// Hands what TLS has sealed to the socket.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(sealed) => sealed.flush(),
        }
    }
}

impl Sealed {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(scratch) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                opened => return opened,
            }
            if self.session.read_tls(&mut self.stream)? == 0 {
                return Ok(0);
            }
            self.session
                .process_new_packets()
                .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
        }
    }

    /// Takes bytes to be sealed; they leave at the next flush.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.session.writer().write(bytes)?;
        if taken > 0 {
            return Ok(taken);
        }
        self.flush()?;
        match self.session.writer().write(bytes)? {
            // Still shaking hands: the session holds no more before that is done.
            0 => Err(io::ErrorKind::WouldBlock.into()),
            taken => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.stream) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
