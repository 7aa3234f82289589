//! Settings of the MQTT listeners: where, by which transport, with which certificates. `mqtt.listen` comes last: each
//! of its items takes what it does not say itself from the settings before it, which are in place by then.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Preset, Setting, Shape, address_clash, path};
use crate::config::listener::{ClientCert, ListenerConfig};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "mqtt.tls_cert_file",
        flag: "mqtt-tls-cert-file",
        default: Preset::Unset,
        help: "Certificate of the TLS listeners and its chain, PEM; `cert=` of a listener wins. Read again when it changes.",
        reason: "Nobody else can have it.",
        shape: Shape::Text {
            named: "FILE",
            set: |config, text| {
                config.mqtt.listener_defaults.cert_file = Some(path(text)?);
                Ok(())
            },
        },
    },
    Setting {
        key: "mqtt.tls_key_file",
        flag: "mqtt-tls-key-file",
        default: Preset::Unset,
        help: "Private key of that certificate, PEM (PKCS#8, PKCS#1 or SEC1); `key=` of a listener wins. Read again when it changes.",
        reason: "Nobody else can have it.",
        shape: Shape::Text {
            named: "FILE",
            set: |config, text| {
                config.mqtt.listener_defaults.key_file = Some(path(text)?);
                Ok(())
            },
        },
    },
    Setting {
        key: "mqtt.tls_client_cert",
        flag: "mqtt-tls-client-cert",
        default: Preset::Text("none"),
        help: "Whether TLS clients are asked for a certificate; `client-cert=` of a listener wins.",
        reason: "Devices prove themselves by their password unless an authority issues certificates to them.",
        shape: Shape::Choice {
            of: ClientCert::WORDS,
            set: |config, word| {
                config.mqtt.listener_defaults.client_cert =
                    ClientCert::from_word(word).unwrap_or_default();
            },
        },
    },
    Setting {
        key: "mqtt.tls_client_ca_file",
        flag: "mqtt-tls-client-ca-file",
        default: Preset::Unset,
        help: "Certificates of the authorities that issue clients' certificates, PEM; `client-ca=` of a listener wins. Read again when it changes.",
        reason: "Public authorities vouch for nobody's devices.",
        shape: Shape::Text {
            named: "FILE",
            set: |config, text| {
                config.mqtt.listener_defaults.client_ca_file = Some(path(text)?);
                Ok(())
            },
        },
    },
    Setting {
        key: "mqtt.tls_crl_files",
        flag: "mqtt-tls-crl-file",
        default: Preset::Unset,
        help: "Revocation list of such an authority, PEM or DER; repeatable; `crl=` of a listener wins. Read again when it changes.",
        reason: "An authority without a list has revoked nothing that the gateway could know of.",
        shape: Shape::List {
            named: "FILE",
            set: |config, items| {
                let files = items
                    .iter()
                    .map(|item| path(item).map_err(|what| (item.clone(), what)));
                config.mqtt.listener_defaults.crl_files = files.collect::<Result<_, _>>()?;
                Ok(())
            },
        },
    },
    Setting {
        key: "mqtt.proxy_from",
        flag: "mqtt-proxy-from",
        default: Preset::Unset,
        help: "Addresses or networks of load balancers that may tell clients' addresses on listeners with `proxy=v2`; repeatable.",
        reason: "Whoever may tell addresses may evade every limit by address.",
        shape: Shape::List {
            named: "NETWORK",
            set: |config, items| {
                let networks = items
                    .iter()
                    .map(|item| network(item).map_err(|what| (item.clone(), what)));
                config.mqtt.listener_defaults.proxy_from = networks.collect::<Result<_, _>>()?;
                Ok(())
            },
        },
    },
    Setting {
        key: "mqtt.listen",
        flag: "mqtt-listen",
        default: Preset::Text("0.0.0.0:1883"),
        help: "Where to take MQTT 3.1.1 and 5, repeatable: `mqtt://address:port` (TCP; the scheme may be left out), `mqtts://` (TLS), \
               `ws://` and `wss://` (WebSocket, path /mqtt, subprotocol mqtt). Options after `?`, joined by `&`: `cert`, `key`, \
               `client-cert`, `client-ca`, `crl` (repeatable) and `proxy=v2`; see docs/tls.md.",
        reason: "MQTT's registered port, on every IPv4 interface: devices come from outside the node.",
        shape: Shape::List {
            named: "URL",
            set: |config, items| {
                if items.is_empty() {
                    return Err((
                        String::new(),
                        "is no address: at least one is needed".to_owned(),
                    ));
                }
                let mut listeners: Vec<ListenerConfig> = Vec::with_capacity(items.len());
                for item in items {
                    let one = ListenerConfig::parse(item, &config.mqtt.listener_defaults)
                        .map_err(|what| (item.clone(), what))?;
                    if address_clash(listeners.iter().map(|other| other.address), one.address) {
                        return Err((item.clone(), "stands there twice".to_owned()));
                    }
                    listeners.push(one);
                }
                config.mqtt.listen = listeners;
                Ok(())
            },
        },
    },
];

/// A network in CIDR notation, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_no_network| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_neither| "is no network, for example 10.0.0.0/8 or 2001:db8::1".to_owned())
}
