//! Where MQTT is taken: listeners as operators write them, by URL, with what each has of its own and what it takes from
//! the settings. A listener that is incomplete or contradicts itself never reaches the broker.
//!
//! ```text
//!  mqtts://0.0.0.0:8883?client-cert=required&client-ca=/etc/ca.pem&crl=/etc/ca.crl&proxy=v2
//!  ──┬──   ─────┬──────  ───────────────────────┬──────────────────────────────────────────
//!  transport  address            options; without one, the setting of the same name
//! ```

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use ipnet::IpNet;

/// Where WebSocket clients find MQTT.
pub const WEBSOCKET_PATH: &str = "/mqtt";

const OPTIONS: &str = "client-cert, cert, key, client-ca, crl, proxy";

/// What carries MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Plain TCP, `mqtt://`.
    Tcp,
    /// TLS, `mqtts://`.
    Tls,
    /// WebSocket, `ws://`.
    WebSocket,
    /// WebSocket over TLS, `wss://`.
    SecureWebSocket,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tcp, Self::Tls, Self::WebSocket, Self::SecureWebSocket];

    /// The scheme of its URL.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Tcp => "mqtt",
            Self::Tls => "mqtts",
            Self::WebSocket => "ws",
            Self::SecureWebSocket => "wss",
        }
    }

    /// Whether there is TLS below.
    #[must_use]
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::SecureWebSocket)
    }

    const fn is_websocket(self) -> bool {
        matches!(self, Self::WebSocket | Self::SecureWebSocket)
    }
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerConfig {
    /// What carries MQTT.
    pub transport: Transport,
    /// Address and port.
    pub address: SocketAddr,
    /// Certificates: there for secure transports, and only for them.
    pub tls: Option<TlsConfig>,
    /// Whether a proxy stands before it.
    pub proxy: ProxyConfig,
}

/// The certificates of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The server's certificate and its chain, PEM.
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// What is asked of clients.
    pub clients: ClientTrust,
}

/// Whether clients prove themselves by a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientTrust {
    /// They are not asked for one.
    None,
    /// They may have one; a wrong one is refused.
    Optional(ClientCa),
    /// They need one.
    Required(ClientCa),
}

impl ClientTrust {
    /// Who issues clients' certificates, if clients are asked for one.
    #[must_use]
    pub const fn ca(&self) -> Option<&ClientCa> {
        match self {
            Self::None => None,
            Self::Optional(ca) | Self::Required(ca) => Some(ca),
        }
    }
}

/// Who issues clients' certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCa {
    /// The authorities' certificates, PEM.
    pub ca_file: PathBuf,
    /// Their revocation lists, PEM or DER.
    pub crl_files: Vec<PathBuf>,
}

/// Whether a proxy stands before a listener and tells clients' addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyConfig {
    /// Clients connect themselves.
    Off,
    /// Each connection begins with a PROXY protocol version 2 header.
    V2 {
        /// Addresses that may connect; never empty.
        trusted: Vec<IpNet>,
    },
}

/// Whether clients are asked for a certificate, as a word of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientCert {
    /// `none`
    #[default]
    None,
    /// `optional`
    Optional,
    /// `required`
    Required,
}

impl ClientCert {
    /// The words of the settings.
    pub(super) const WORDS: &'static [&'static str] = &["none", "optional", "required"];

    pub(super) fn from_word(word: &str) -> Option<Self> {
        match word {
            "none" => Some(Self::None),
            "optional" => Some(Self::Optional),
            "required" => Some(Self::Required),
            _ => None,
        }
    }
}

/// What listeners take that do not say otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenerDefaults {
    /// The server's certificate and its chain.
    pub cert_file: Option<PathBuf>,
    /// Its private key.
    pub key_file: Option<PathBuf>,
    /// Whether clients are asked for a certificate.
    pub client_cert: ClientCert,
    /// Who issues clients' certificates.
    pub client_ca_file: Option<PathBuf>,
    /// Revocation lists.
    pub crl_files: Vec<PathBuf>,
    /// Addresses of proxies that may tell clients' addresses.
    pub proxy_from: Vec<IpNet>,
}

/// A listener's options as its URL has them.
#[derive(Debug, Default)]
struct Options {
    client_cert: Option<ClientCert>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    crl: Vec<PathBuf>,
    proxy: bool,
}

impl ListenerConfig {
    /// Reads a URL, or a bare `address:port` for plain TCP. The error says what is wrong, not with which listener.
    pub(super) fn parse(text: &str, defaults: &ListenerDefaults) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("mqtt", text));
        let transport = Transport::ALL
            .into_iter()
            .find(|transport| transport.scheme() == scheme)
            .ok_or("is of no transport: mqtt://, mqtts://, ws:// or wss://")?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (place, path) = place
            .find('/')
            .map_or((place, ""), |slash| place.split_at(slash));
        let path_fits =
            path.is_empty() || path == "/" || (transport.is_websocket() && path == WEBSOCKET_PATH);
        if !path_fits {
            return Err(format!(
                "has the path {path:?}: WebSocket clients find MQTT at {WEBSOCKET_PATH}"
            ));
        }
        let address = super::table::address(place)?;
        let options = Options::read(query)?;
        Ok(Self {
            transport,
            address,
            tls: options.tls(transport, defaults)?,
            proxy: options.proxy(defaults)?,
        })
    }

    /// Every file that the listener reads, for whoever watches them.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.tls.iter().flat_map(TlsConfig::files)
    }
}

impl TlsConfig {
    /// Every file it names.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let own = [&self.cert_file, &self.key_file];
        let clients = self
            .clients
            .ca()
            .into_iter()
            .flat_map(|ca| std::iter::once(&ca.ca_file).chain(&ca.crl_files));
        own.into_iter().chain(clients)
    }
}

impl fmt::Display for ListenerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.transport.scheme(), self.address)
    }
}

impl FromStr for ListenerConfig {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text, &ListenerDefaults::default())
    }
}

impl Options {
    fn read(query: &str) -> Result<Self, String> {
        let mut options = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| format!("has the option {pair:?} without a value"))?;
            let value = decoded(value).ok_or_else(|| format!("{key}: %-escape is wrong"))?;
            options.set(key, &value)?;
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let twice = match key {
            "client-cert" => {
                let word = ClientCert::from_word(value).ok_or_else(|| {
                    format!("client-cert: {value:?} is not one of: none, optional, required")
                })?;
                self.client_cert.replace(word).is_some()
            }
            "cert" => self.cert.replace(file(key, value)?).is_some(),
            "key" => self.key.replace(file(key, value)?).is_some(),
            "client-ca" => self.client_ca.replace(file(key, value)?).is_some(),
            "crl" => {
                self.crl.push(file(key, value)?);
                false
            }
            "proxy" if value == "v2" => std::mem::replace(&mut self.proxy, true),
            "proxy" => return Err(format!("proxy: {value:?} is not v2")),
            _ => return Err(format!("has the unknown option {key:?}: {OPTIONS}")),
        };
        if twice {
            return Err(format!("has {key} twice"));
        }
        Ok(())
    }

    fn tls(
        &self,
        transport: Transport,
        defaults: &ListenerDefaults,
    ) -> Result<Option<TlsConfig>, String> {
        if !transport.is_secure() {
            let odd = [
                ("client-cert", self.client_cert.is_some()),
                ("cert", self.cert.is_some()),
                ("key", self.key.is_some()),
                ("client-ca", self.client_ca.is_some()),
                ("crl", !self.crl.is_empty()),
            ];
            return match odd.iter().find(|(_, given)| *given) {
                Some((key, _)) => Err(format!("{key}: is for mqtts:// and wss:// only")),
                None => Ok(None),
            };
        }
        let pick = |own: &Option<PathBuf>, default: &Option<PathBuf>, missing: &str| {
            own.clone()
                .or_else(|| default.clone())
                .ok_or_else(|| missing.to_owned())
        };
        Ok(Some(TlsConfig {
            cert_file: pick(
                &self.cert,
                &defaults.cert_file,
                "cert: no certificate: give cert=FILE or mqtt.tls_cert_file",
            )?,
            key_file: pick(
                &self.key,
                &defaults.key_file,
                "key: no private key: give key=FILE or mqtt.tls_key_file",
            )?,
            clients: self.clients(defaults)?,
        }))
    }

    fn clients(&self, defaults: &ListenerDefaults) -> Result<ClientTrust, String> {
        let asked = self.client_cert.unwrap_or(defaults.client_cert);
        if asked == ClientCert::None {
            let unused = if self.client_ca.is_some() {
                "client-ca"
            } else if self.crl.is_empty() {
                return Ok(ClientTrust::None);
            } else {
                "crl"
            };
            return Err(format!(
                "{unused}: is of use with client-cert=optional or required only"
            ));
        }
        let ca_file = self
            .client_ca
            .clone()
            .or_else(|| defaults.client_ca_file.clone())
            .ok_or("client-ca: clients are asked for a certificate, but nobody issues them: give client-ca=FILE or mqtt.tls_client_ca_file")?;
        let crl_files = if self.crl.is_empty() {
            defaults.crl_files.clone()
        } else {
            self.crl.clone()
        };
        let ca = ClientCa { ca_file, crl_files };
        Ok(match asked {
            ClientCert::Required => ClientTrust::Required(ca),
            ClientCert::Optional | ClientCert::None => ClientTrust::Optional(ca),
        })
    }

    fn proxy(&self, defaults: &ListenerDefaults) -> Result<ProxyConfig, String> {
        if !self.proxy {
            return Ok(ProxyConfig::Off);
        }
        if defaults.proxy_from.is_empty() {
            return Err(
                "proxy: nobody is trusted to tell addresses: give mqtt.proxy_from".to_owned(),
            );
        }
        Ok(ProxyConfig::V2 {
            trusted: defaults.proxy_from.clone(),
        })
    }
}

fn file(key: &str, value: &str) -> Result<PathBuf, String> {
    if value.is_empty() || value.contains('\0') {
        return Err(format!("{key}: {value:?} is no path"));
    }
    Ok(PathBuf::from(value))
}

/// The text without `%`-escapes.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> ListenerDefaults {
        ListenerDefaults {
            cert_file: Some("/c".into()),
            key_file: Some("/k".into()),
            client_cert: ClientCert::None,
            client_ca_file: Some("/ca".into()),
            crl_files: vec!["/crl".into()],
            proxy_from: vec!["10.0.0.0/8".parse().unwrap()],
        }
    }

    #[test]
    fn a_bare_address_is_plain_tcp() {
        let listener: ListenerConfig = "[::]:1883".parse().unwrap();
        assert_eq!(listener.transport, Transport::Tcp);
        assert_eq!(listener.to_string(), "mqtt://[::]:1883");
        assert_eq!((listener.tls, listener.proxy), (None, ProxyConfig::Off));
    }

    #[test]
    fn options_win_over_the_settings_that_win_over_nothing() {
        let text =
            "wss://0.0.0.0:443/mqtt?client-cert=required&cert=/own%20one&crl=/a&crl=/b&proxy=v2";
        let listener = ListenerConfig::parse(text, &defaults()).unwrap();
        let tls = listener.tls.clone().unwrap();
        assert_eq!(tls.cert_file, PathBuf::from("/own one"));
        assert_eq!(tls.key_file, PathBuf::from("/k"));
        let ca = ClientCa {
            ca_file: "/ca".into(),
            crl_files: vec!["/a".into(), "/b".into()],
        };
        assert_eq!(tls.clients, ClientTrust::Required(ca));
        assert_eq!(
            listener.proxy,
            ProxyConfig::V2 {
                trusted: defaults().proxy_from
            }
        );
        assert_eq!(listener.files().count(), 5);
        let plain = ListenerConfig::parse("mqtts://0.0.0.0:1", &defaults()).unwrap();
        assert_eq!(plain.tls.unwrap().clients, ClientTrust::None);
    }

    #[test]
    fn what_is_wrong_is_said_by_its_option() {
        let bare = ListenerDefaults::default();
        for (text, wanted) in [
            ("amqp://0.0.0.0:1", "is of no transport"),
            ("mqtts://0.0.0.0:1", "mqtt.tls_cert_file"),
            ("mqtts://0.0.0.0:1?cert=/c", "mqtt.tls_key_file"),
            (
                "mqtts://0.0.0.0:1?cert=/c&key=/k&client-cert=required",
                "mqtt.tls_client_ca_file",
            ),
            ("mqtts://0.0.0.0:1?cert=/c&key=/k&crl=/r", "crl: is of use"),
            (
                "mqtts://0.0.0.0:1?cert=/c&key=/k&client-cert=maybe",
                "\"maybe\" is not one of",
            ),
            ("mqtts://0.0.0.0:1?cert=/c&cert=/d", "cert twice"),
            ("mqtts://0.0.0.0:1?cert=%zz", "%-escape"),
            ("mqtts://0.0.0.0:1?cert=", "is no path"),
            ("ws://0.0.0.0:1?cert=/c", "cert: is for mqtts:// and wss://"),
            ("ws://0.0.0.0:1/other", "has the path \"/other\""),
            ("mqtt://0.0.0.0:1?what=1", "unknown option \"what\""),
            ("mqtt://0.0.0.0:1?proxy", "without a value"),
            ("mqtt://0.0.0.0:1?proxy=v1", "is not v2"),
            ("mqtt://0.0.0.0:1?proxy=v2", "mqtt.proxy_from"),
            ("mqtt://0.0.0.0", "is no address with a port"),
        ] {
            let told = ListenerConfig::parse(text, &bare).unwrap_err();
            assert!(told.contains(wanted), "{text}: {told}");
        }
    }
}
