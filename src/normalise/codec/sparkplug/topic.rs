//! Topics of Sparkplug (3.0, chapter 4): `spBv1.0/{group}/{type}/{node}[/{device}]`.

use std::fmt;

use super::super::super::payload::Reject;
use crate::domain::QuarantineReason;

const NAMESPACE: &str = "spBv1.0";

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    NodeBirth,
    NodeDeath,
    NodeData,
    NodeCommand,
    DeviceBirth,
    DeviceDeath,
    DeviceData,
    DeviceCommand,
}

impl Kind {
    /// As in topics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NodeBirth => "NBIRTH",
            Self::NodeDeath => "NDEATH",
            Self::NodeData => "NDATA",
            Self::NodeCommand => "NCMD",
            Self::DeviceBirth => "DBIRTH",
            Self::DeviceDeath => "DDEATH",
            Self::DeviceData => "DDATA",
            Self::DeviceCommand => "DCMD",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "NBIRTH" => Self::NodeBirth,
            "NDEATH" => Self::NodeDeath,
            "NDATA" => Self::NodeData,
            "NCMD" => Self::NodeCommand,
            "DBIRTH" => Self::DeviceBirth,
            "DDEATH" => Self::DeviceDeath,
            "DDATA" => Self::DeviceData,
            "DCMD" => Self::DeviceCommand,
            _ => return None,
        })
    }

    const fn is_of_device(self) -> bool {
        matches!(
            self,
            Self::DeviceBirth | Self::DeviceDeath | Self::DeviceData | Self::DeviceCommand
        )
    }
}

/// A topic taken apart. Its device is there exactly where its kind is one of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Topic<'a> {
    /// Id of the group of nodes.
    pub(crate) group: &'a str,
    /// The message's type.
    pub(crate) kind: Kind,
    /// Id of the edge node, unique within the group.
    pub(crate) node: &'a str,
    /// Id of the device behind the node.
    pub(crate) device: Option<&'a str>,
}

impl<'a> Topic<'a> {
    /// Takes a topic apart; none for the state of a host application (`spBv1.0/STATE/{host}`, before 3.0
    /// `STATE/{host}`), which is of no concern here.
    ///
    /// # Errors
    /// What the topic lacks.
    pub(crate) fn parse(topic: &'a str) -> Result<Option<Self>, Reject> {
        let mut levels = topic.split('/');
        match levels.next() {
            Some(NAMESPACE) => {}
            Some("STATE") => return Ok(None),
            _ => return Err(refused(topic, "it does not begin with spBv1.0")),
        }
        let group = levels.next().unwrap_or_default();
        if group == "STATE" {
            return Ok(None);
        }
        let kind = levels.next().and_then(Kind::of).ok_or_else(|| {
            refused(topic, "its third level is none of NBIRTH, NDATA, NDEATH, NCMD, DBIRTH, DDATA, DDEATH, DCMD")
        })?;
        let node = levels.next().unwrap_or_default();
        let device = levels.next();
        if levels.next().is_some() || device.is_some() != kind.is_of_device() {
            let wanted = if kind.is_of_device() { 5 } else { 4 };
            return Err(refused(
                topic,
                format_args!("{} has {wanted} levels", kind.name()),
            ));
        }
        let is_named = |level: &str| !level.is_empty() && !level.contains(['+', '#', '\0']);
        if !is_named(group) || !is_named(node) || !device.is_none_or(is_named) {
            return Err(refused(
                topic,
                "group, node or device is empty or a wildcard",
            ));
        }
        Ok(Some(Self {
            group,
            kind,
            node,
            device,
        }))
    }
}

impl fmt::Display for Topic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.name();
        write!(f, "{NAMESPACE}/{}/{kind}/{}", self.group, self.node)?;
        match self.device {
            Some(device) => write!(f, "/{device}"),
            None => Ok(()),
        }
    }
}

fn refused(topic: &str, why: impl fmt::Display) -> Reject {
    Reject::new(QuarantineReason::DeviceId, format!("topic {topic}: {why}"))
}
