//! An edge node that behaves as the standard has it, with certificates, aliases, a sequence and a will.

use std::collections::BTreeMap;

use super::{
    super::super::point::Value,
    command::REBIRTH,
    encode::{Naming, Written, payload_of, put_metric},
    topic::{Kind, Topic},
};
use crate::domain::UnixNanos;

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
