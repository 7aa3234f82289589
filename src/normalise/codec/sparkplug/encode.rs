//! Payloads of simulated devices: the codec writes names, an [`EdgeNode`] behaves as the standard has it, with
//! certificates, aliases, a sequence and a will.

use std::collections::BTreeMap;

use super::{
    super::{
        super::{
            point::{Moment, OwnedKey, Value},
            quality::Quality,
            wire,
        },
        encoding::{Encoder, Report},
    },
    Kind, Sparkplug, Topic,
    command::{REBIRTH, put_field, put_key, put_number},
    metric::datatype,
};
use crate::domain::UnixNanos;

/// One metric to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written<'a> {
    /// The whole name, also where only its alias is written.
    pub(crate) name: &'a str,
    pub(crate) value: Value<'a>,
    /// When the value was captured.
    pub(crate) at: UnixNanos,
    pub(crate) quality: Quality,
    pub(crate) is_historical: bool,
}

impl<'a> Written<'a> {
    /// Of now and of good quality.
    pub(crate) const fn new(name: &'a str, value: Value<'a>, at: UnixNanos) -> Self {
        Self {
            name,
            value,
            at,
            quality: Quality::GOOD,
            is_historical: false,
        }
    }
}

/// How a metric is named on the wire.
#[derive(Debug, Clone, Copy)]
enum Naming {
    Name,
    /// As in certificates.
    Both(u64),
    Alias(u64),
}

impl Encoder for Sparkplug {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let mut out = payload_of(report.at, Some(u64::from(report.serial % 256)));
        for (key, value) in report.points {
            let OwnedKey::Name(name) = key else {
                return Err(format!("{key:?}: metrics are named"));
            };
            let metric = Written::new(name, *value, report.at);
            put_metric(&mut out, &metric, Naming::Name)?;
        }
        Ok(out)
    }
}

/// An edge node with its devices, as seen by a broker: every message is a topic and a payload.
#[derive(Debug, Clone)]
pub(crate) struct EdgeNode {
    group: String,
    node: String,
    seq: u8,
    bd_seq: u8,
    /// Of the node under the empty name, and of the devices: names and their aliases.
    aliases: BTreeMap<String, BTreeMap<String, u64>>,
}

impl EdgeNode {
    /// A node in its first session, not born yet.
    pub(crate) fn new(group: &str, node: &str) -> Self {
        Self {
            group: group.to_owned(),
            node: node.to_owned(),
            seq: 0,
            bd_seq: 0,
            aliases: BTreeMap::new(),
        }
    }

    /// A new session: every certificate is to be written again.
    pub(crate) fn reconnect(&mut self) {
        self.bd_seq = self.bd_seq.wrapping_add(1);
        self.aliases.clear();
    }

    /// The will of the session, or what is published before it ends.
    pub(crate) fn ndeath(&self, at: UnixNanos) -> Result<(String, Vec<u8>), String> {
        let mut out = payload_of(at, None);
        self.put_bd_seq(&mut out, at)?;
        Ok((self.topic(Kind::NodeDeath, None), out))
    }

    /// The node's certificate. Aliases are numbered from `first_alias`.
    pub(crate) fn nbirth(
        &mut self,
        at: UnixNanos,
        metrics: &[Written<'_>],
        first_alias: u64,
    ) -> Result<(String, Vec<u8>), String> {
        self.seq = 0;
        let mut out = self.begin(at);
        self.put_bd_seq(&mut out, at)?;
        let control = Written::new(REBIRTH, Value::Bool(false), at);
        put_metric(&mut out, &control, Naming::Name)?;
        self.put_birth(&mut out, "", metrics, first_alias)?;
        Ok((self.topic(Kind::NodeBirth, None), out))
    }

    /// A device's certificate.
    pub(crate) fn dbirth(
        &mut self,
        device: &str,
        at: UnixNanos,
        metrics: &[Written<'_>],
        first_alias: u64,
    ) -> Result<(String, Vec<u8>), String> {
        let mut out = self.begin(at);
        self.put_birth(&mut out, device, metrics, first_alias)?;
        Ok((self.topic(Kind::DeviceBirth, Some(device)), out))
    }

    /// Data by alias, of the node itself where there is no device.
    pub(crate) fn data(
        &mut self,
        device: Option<&str>,
        at: UnixNanos,
        metrics: &[Written<'_>],
    ) -> Result<(String, Vec<u8>), String> {
        let mut out = self.begin(at);
        let aliases = self.aliases.get(device.unwrap_or_default());
        for metric in metrics {
            let alias = aliases.and_then(|aliases| aliases.get(metric.name));
            let naming = alias.map_or(Naming::Name, |alias| Naming::Alias(*alias));
            put_metric(&mut out, metric, naming)?;
        }
        let kind = match device {
            Some(_) => Kind::DeviceData,
            None => Kind::NodeData,
        };
        Ok((self.topic(kind, device), out))
    }

    /// The end of a device.
    pub(crate) fn ddeath(&mut self, device: &str, at: UnixNanos) -> (String, Vec<u8>) {
        let out = self.begin(at);
        (self.topic(Kind::DeviceDeath, Some(device)), out)
    }

    fn begin(&mut self, at: UnixNanos) -> Vec<u8> {
        let out = payload_of(at, Some(u64::from(self.seq)));
        self.seq = self.seq.wrapping_add(1);
        out
    }

    fn put_bd_seq(&self, out: &mut Vec<u8>, at: UnixNanos) -> Result<(), String> {
        let number = Value::Whole(i64::from(self.bd_seq));
        put_metric(out, &Written::new("bdSeq", number, at), Naming::Name)
    }

    fn put_birth(
        &mut self,
        out: &mut Vec<u8>,
        device: &str,
        metrics: &[Written<'_>],
        first_alias: u64,
    ) -> Result<(), String> {
        let aliases = self.aliases.entry(device.to_owned()).or_default();
        aliases.clear();
        for (alias, metric) in (first_alias..).zip(metrics) {
            aliases.insert(metric.name.to_owned(), alias);
            put_metric(out, metric, Naming::Both(alias))?;
        }
        Ok(())
    }

    fn topic(&self, kind: Kind, device: Option<&str>) -> String {
        let topic = Topic {
            group: &self.group,
            kind,
            node: &self.node,
            device,
        };
        topic.to_string()
    }
}

fn payload_of(at: UnixNanos, seq: Option<u64>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    put_number(&mut out, 1, at.0 / 1_000_000);
    if let Some(seq) = seq {
        put_number(&mut out, 3, seq);
    }
    out
}

fn put_metric(out: &mut Vec<u8>, written: &Written<'_>, naming: Naming) -> Result<(), String> {
    let mut metric = Vec::with_capacity(64);
    if let Naming::Name | Naming::Both(_) = naming {
        put_field(&mut metric, 1, written.name.as_bytes());
    }
    if let Naming::Alias(alias) | Naming::Both(alias) = naming {
        put_number(&mut metric, 2, alias);
    }
    put_number(&mut metric, 3, written.at.0 / 1_000_000);
    let has_datatype = !matches!(naming, Naming::Alias(_));
    if has_datatype {
        put_number(&mut metric, 4, u64::from(datatype_of(written.value)));
    }
    if written.is_historical {
        put_number(&mut metric, 5, 1);
    }
    if written.quality != Quality::GOOD {
        put_field(&mut metric, 9, &quality_set(written.quality));
    }
    put_value(&mut metric, written)?;
    put_field(out, 2, &metric);
    Ok(())
}

/// The widest datatype of a value; null says nothing of its own.
const fn datatype_of(value: Value<'_>) -> u32 {
    match value {
        Value::Missing | Value::Decimal(_) | Value::Real(_) => datatype::DOUBLE,
        Value::Bool(_) => datatype::BOOLEAN,
        Value::Whole(_) => datatype::INT64,
        Value::Large(_) => datatype::UINT64,
        Value::Text(_) => datatype::STRING,
        Value::Bytes(_) => datatype::BYTES,
        Value::Time(_) => datatype::DATE_TIME,
    }
}

fn put_value(out: &mut Vec<u8>, written: &Written<'_>) -> Result<(), String> {
    let mut real = |value: f64| {
        put_key(out, 13, wire::FIXED64);
        out.extend_from_slice(&value.to_bits().to_le_bytes());
    };
    match written.value {
        Value::Decimal(value) => {
            real(value.mantissa as f64 / 10_f64.powi(i32::from(value.places)));
        }
        Value::Real(value) => real(value),
        Value::Missing => put_number(out, 7, 1),
        Value::Bool(value) => put_number(out, 14, u64::from(value)),
        Value::Whole(value) => put_number(out, 11, value.cast_unsigned()),
        Value::Large(value) => put_number(out, 11, value),
        Value::Text(text) => put_field(out, 15, text.as_bytes()),
        Value::Bytes(bytes) => put_field(out, 16, bytes),
        Value::Time(Moment::Unix(time)) => put_number(out, 11, time.0 / 1_000_000),
        Value::Time(Moment::Local(_)) => {
            return Err(format!("{}: times of Sparkplug are UTC", written.name));
        }
    }
    Ok(())
}

/// A property set of the one property `Quality`.
fn quality_set(quality: Quality) -> Vec<u8> {
    let code = match quality.severity() {
        "good" => 192,
        "bad" => 0,
        _ => 500,
    };
    let mut value = Vec::new();
    put_number(&mut value, 1, u64::from(datatype::INT32));
    put_number(&mut value, 3, code);
    let mut set = Vec::new();
    put_field(&mut set, 1, b"Quality");
    put_field(&mut set, 2, &value);
    set
}
