//! The HTTP request that opens a WebSocket (RFC 6455, section 4.2) and the broker's answer. Pure: bytes of the request
//! in, the whole answer out. What is not the opening of an MQTT WebSocket is told what it should have been.
//!
//! Pages of any origin may open one: a browser adds no credentials of its own to MQTT, so the origin proves nothing.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use httparse::{EMPTY_HEADER, Error as HttpError, Header, Request, Status};
use sha1::{Digest as _, Sha1};

use crate::config::WEBSOCKET_PATH;

/// Longest request head, bytes.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Most header fields.
const FIELDS_MAX: usize = 64;
/// What the client's key is hashed with (RFC 6455, section 1.3).
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Subprotocols taken, the preferred one first (MQTT-6.0.0-3, and what clients of version 3.1 ask for).
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// What a request amounts to.
#[derive(Debug, PartialEq, Eq)]
pub enum Opening {
    /// The head is not complete.
    More,
    /// A WebSocket is open once this answer is sent; the head took `used` bytes.
    Accepted {
        /// The answer.
        answer: Vec<u8>,
        /// Bytes of the request's head.
        used: usize,
    },
    /// This answer is sent and the connection closed.
    Refused {
        /// The answer.
        answer: Vec<u8>,
    },
}

/// Why a request opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Malformed,
    Key,
    Subprotocol,
    Path,
    Method,
    NoUpgrade,
    HttpVersion,
    TooLarge,
}

impl Fault {
    const fn parts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Malformed => ("400 Bad Request", "", "this is no HTTP request\n"),
            Self::Key => ("400 Bad Request", "", "the Sec-WebSocket-Key is wrong\n"),
            Self::Subprotocol => (
                "400 Bad Request",
                "",
                "Sec-WebSocket-Protocol must offer mqtt\n",
            ),
            Self::Path => ("404 Not Found", "", "MQTT is at /mqtt\n"),
            Self::Method => (
                "405 Method Not Allowed",
                "Allow: GET\r\n",
                "a WebSocket is opened by GET\n",
            ),
            Self::NoUpgrade => (
                "426 Upgrade Required",
                "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
                "this is a WebSocket, version 13\n",
            ),
            Self::HttpVersion => (
                "505 HTTP Version Not Supported",
                "",
                "a WebSocket is opened by HTTP/1.1\n",
            ),
            Self::TooLarge => (
                "431 Request Header Fields Too Large",
                "",
                "the request's head is too large\n",
            ),
        }
    }

    fn answer(self) -> Vec<u8> {
        let (status, fields, text) = self.parts();
        let connection = if self == Self::NoUpgrade {
            "Upgrade, close"
        } else {
            "close"
        };
        let length = text.len();
        format!(
            "HTTP/1.1 {status}\r\n{fields}Connection: {connection}\r\nContent-Type: text/plain\r\n\
             Content-Length: {length}\r\n\r\n{text}"
        )
        .into_bytes()
    }
}

/// Reads what has come of a request.
#[must_use]
pub fn read(bytes: &[u8]) -> Opening {
    match try_read(bytes) {
        Ok(Some((answer, used))) => Opening::Accepted { answer, used },
        Ok(None) => Opening::More,
        Err(fault) => Opening::Refused {
            answer: fault.answer(),
        },
    }
}

fn try_read(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Fault> {
    let mut fields = [EMPTY_HEADER; FIELDS_MAX];
    let mut request = Request::new(&mut fields);
    let used = match request.parse(bytes) {
        Ok(Status::Complete(used)) if used <= HEAD_BYTES_MAX => used,
        Ok(Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
        Ok(_) | Err(HttpError::TooManyHeaders) => return Err(Fault::TooLarge),
        Err(HttpError::Version) => return Err(Fault::HttpVersion),
        Err(_) => return Err(Fault::Malformed),
    };
    let target = request.path.unwrap_or_default();
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    if path != WEBSOCKET_PATH {
        return Err(Fault::Path);
    }
    if request.method != Some("GET") {
        return Err(Fault::Method);
    }
    if request.version != Some(1) {
        return Err(Fault::HttpVersion);
    }
    answer(&Fields(request.headers)).map(|answer| Some((answer, used)))
}

fn answer(fields: &Fields<'_, '_>) -> Result<Vec<u8>, Fault> {
    if !(fields.lists("upgrade", "websocket") && fields.lists("connection", "upgrade")) {
        return Err(Fault::NoUpgrade);
    }
    if fields.one("sec-websocket-version") != Some(b"13") {
        return Err(Fault::NoUpgrade);
    }
    // A body would be taken for frames.
    let body = fields.all("content-length").any(|length| length != b"0")
        || fields.all("transfer-encoding").next().is_some();
    if body || fields.one("host").is_none() {
        return Err(Fault::Malformed);
    }
    let key = fields.one("sec-websocket-key").ok_or(Fault::Key)?;
    if !STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16) {
        return Err(Fault::Key);
    }
    let subprotocol = SUBPROTOCOLS
        .into_iter()
        .find(|name| fields.lists("sec-websocket-protocol", name))
        .ok_or(Fault::Subprotocol)?;
    let accept = STANDARD.encode(
        Sha1::new()
            .chain_update(key)
            .chain_update(KEY_SUFFIX)
            .finalize(),
    );
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
    )
    .into_bytes())
}

struct Fields<'a, 'b>(&'a [Header<'b>]);

impl<'b> Fields<'_, 'b> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.0
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value.trim_ascii())
    }

    /// The value of a field that is there once.
    fn one(&self, name: &str) -> Option<&'b [u8]> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// Whether a field's list holds a word, in either case.
    fn lists(&self, name: &str, word: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "GET /mqtt HTTP/1.1\r\nHost: gateway\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Protocol: other, mqttv3.1, mqtt\r\n\r\n";

    fn refused(request: &str) -> String {
        match read(request.as_bytes()) {
            Opening::Refused { answer } => String::from_utf8(answer).unwrap(),
            other => panic!("{request}: {other:?}"),
        }
    }

    #[test]
    fn the_example_of_the_rfc_is_answered_as_there() {
        let request = [GOOD.as_bytes(), b"\x82"].concat();
        let Opening::Accepted { answer, used } = read(&request) else {
            panic!("refused");
        };
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(used, GOOD.len());
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(
            answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            "{answer}"
        );
        assert!(
            answer.contains("Sec-WebSocket-Protocol: mqtt\r\n"),
            "{answer}"
        );
        let old = GOOD
            .replace("mqttv3.1, mqtt", "mqttv3.1")
            .replace("/mqtt", "/mqtt?token=1");
        assert!(matches!(read(old.as_bytes()), Opening::Accepted { .. }));
    }

    #[test]
    fn what_is_something_else_is_told_what_it_should_be() {
        for (from, to, status) in [
            ("GET /mqtt ", "GET /mqtt/x ", "404"),
            ("GET /mqtt ", "GET / ", "404"),
            ("GET ", "POST ", "405"),
            ("HTTP/1.1", "HTTP/1.0", "505"),
            ("HTTP/1.1", "HTTP/3", "505"),
            ("Upgrade: WebSocket\r\n", "", "426"),
            ("keep-alive, Upgrade", "keep-alive", "426"),
            ("Version: 13", "Version: 8", "426"),
            ("other, mqttv3.1, mqtt", "chat", "400"),
            (
                "Sec-WebSocket-Protocol: other, mqttv3.1, mqtt\r\n",
                "",
                "400",
            ),
            ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", "400"),
            ("Host: gateway\r\n", "", "400"),
            (
                "Host: gateway\r\n",
                "Host: gateway\r\nContent-Length: 5\r\n",
                "400",
            ),
            ("Host: gateway\r\n", "Host: a\r\nHost: b\r\n", "400"),
            ("GET ", "\x16\x03\x01", "400"),
        ] {
            let request = GOOD.replacen(from, to, 1);
            assert_ne!(request, GOOD);
            let answer = refused(&request);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{request}: {answer}"
            );
            assert!(answer.contains("close\r\n"), "{answer}");
        }
    }

    #[test]
    fn a_head_without_end_is_refused_at_the_bound() {
        let long = format!("GET /mqtt HTTP/1.1\r\nX: {}", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(read(&long.as_bytes()[..HEAD_BYTES_MAX - 1]), Opening::More);
        assert!(refused(&long).starts_with("HTTP/1.1 431 "));
        let many = format!(
            "GET /mqtt HTTP/1.1\r\n{}\r\n",
            "X: y\r\n".repeat(FIELDS_MAX + 1)
        );
        assert!(refused(&many).starts_with("HTTP/1.1 431 "));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0..GOOD.len()) {
            let _read = read(&bytes);
            let mixed = [&GOOD.as_bytes()[..cut], &bytes].concat();
            let _read = read(&mixed);
        }
    }
}
