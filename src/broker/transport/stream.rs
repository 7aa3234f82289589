//! The bytes of MQTT, whatever carries them.
//!
//! Contract of writing, narrower than [`AsyncWrite`]'s: bytes count as written once the socket has taken what they
//! became. Until then `poll_write` is pending, and has to be called again with the same bytes first (more may follow):
//! some of them may be sealed in a record already. So whoever writes sees a slow reader as it is, and nothing has to be
//! flushed.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{super::certificate::PeerCertificate, tls::TlsStream, websocket::WebSocket};

/// A client's connection, as MQTT sees it.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS.
    Tls(Box<TlsStream>),
    /// WebSocket.
    Ws(Box<WebSocket<TcpStream>>),
    /// WebSocket over TLS.
    Wss(Box<WebSocket<TlsStream>>),
}

impl Stream {
    /// The client's certificate, once the handshake has verified it. Read from what TLS keeps at each call, so that
    /// nothing is kept twice: to be asked at CONNECT and when revocation lists have changed.
    pub(crate) fn certificate(&self) -> Option<Arc<PeerCertificate>> {
        let tls = match self {
            Self::Tcp(_) | Self::Ws(_) => return None,
            Self::Tls(tls) => tls,
            Self::Wss(websocket) => websocket.below(),
        };
        tls.certificate().map(Arc::new)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, buffer),
            Self::Ws(websocket) => Pin::new(&mut **websocket).poll_read(cx, buffer),
            Self::Wss(websocket) => Pin::new(&mut **websocket).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, bytes),
            Self::Ws(websocket) => Pin::new(&mut **websocket).poll_write(cx, bytes),
            Self::Wss(websocket) => Pin::new(&mut **websocket).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
            Self::Ws(websocket) => Pin::new(&mut **websocket).poll_flush(cx),
            Self::Wss(websocket) => Pin::new(&mut **websocket).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
            Self::Ws(websocket) => Pin::new(&mut **websocket).poll_shutdown(cx),
            Self::Wss(websocket) => Pin::new(&mut **websocket).poll_shutdown(cx),
        }
    }
}
