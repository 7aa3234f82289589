//! Which quarantine entries an operator means, and how they are read: in pages bounded by entries and bytes, so that a
//! full quarantine is never in memory. Reading needs the store alone, and works beside a running daemon.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    error::SpoolError,
    keys,
    quarantine::{self, Quarantined, Sum},
};
use crate::{
    domain::{QuarantineReason, UnixNanos},
    store::{Start, Step, Store},
};

/// Entries of a page.
const PAGE_ENTRIES_MAX: usize = 256;
/// A page ends behind the entry that passes this.
const PAGE_BYTES_MAX: usize = 4 << 20;
/// Entries that one page looks at, so that a filter that matches nothing lets its caller breathe.
const PAGE_LOOKED_MAX: usize = 16 * 1024;

/// Which entries: those that meet all of its conditions. The default means every entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// One of these numbers; empty: any.
    pub ids: Vec<u64>,
    /// One of these reasons, by name; empty: any.
    #[serde(with = "reason_names")]
    pub reasons: Vec<QuarantineReason>,
    /// This class.
    pub class: Option<String>,
    /// This device.
    pub device: Option<String>,
    /// Topics that match this MQTT filter.
    pub topic: Option<String>,
    /// Received at this time or later, Unix nanoseconds.
    pub since: Option<u64>,
    /// Received before this time, Unix nanoseconds.
    pub until: Option<u64>,
    /// This number or a higher one.
    pub from: u64,
    /// At most so many entries.
    pub limit: Option<u64>,
}

impl Selection {
    /// Whether it means every entry.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an entry meets the conditions; the limit is not one that a single entry could meet.
    #[must_use]
    pub fn matches(&self, entry: &Quarantined) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        let UnixNanos(received_at) = entry.received_at;
        entry.id >= self.from
            && (self.ids.is_empty() || self.ids.contains(&entry.id))
            && (self.reasons.is_empty() || self.reasons.contains(&entry.reason))
            && is(&self.class, &entry.class)
            && is(&self.device, &entry.device)
            && (self.topic.as_deref()).is_none_or(|filter| is_under(&entry.topic, filter))
            && self.since.is_none_or(|since| received_at >= since)
            && self.until.is_none_or(|until| received_at < until)
    }
}

/// Whether a topic matches an MQTT filter.
fn is_under(topic: &str, filter: &str) -> bool {
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            (_, None) => return false,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

mod reason_names {
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer, de::Error as _};

    use crate::domain::QuarantineReason;

    pub(super) fn serialize<S: Serializer>(
        reasons: &[QuarantineReason],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let names: Vec<&str> = reasons.iter().map(|reason| reason.name()).collect();
        names.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<QuarantineReason>, D::Error> {
        let names = Vec::<String>::deserialize(from)?;
        let reason = |name: &String| {
            let known = QuarantineReason::ALL
                .iter()
                .find(|known| known.name() == name);
            known
                .copied()
                .ok_or_else(|| D::Error::custom(format!("{name:?} is no reason of quarantine")))
        };
        names.iter().map(reason).collect()
    }
}

/// A page of the quarantine.
#[derive(Debug, Default)]
pub struct Page {
    /// The entries that match, ascending.
    pub entries: Vec<Quarantined>,
    /// Where the next page starts; none behind the last.
    pub next: Option<u64>,
    /// Numbers of entries that are damaged themselves. Only a selection that names them, or means every entry, has them.
    pub damaged: Vec<u64>,
}

/// The entries from a number on that match.
pub(super) fn page(store: &Store, wanted: &Selection, from: u64) -> Result<Page, SpoolError> {
    let mut page = Page::default();
    let (mut looked, mut bytes) = (0, 0);
    let start = keys::quarantine(from.max(wanted.from));
    store.scan(
        start..keys::quarantine_end(),
        Start::At(start),
        |key, value| {
            let id = keys::number(key);
            let full = page.entries.len() >= PAGE_ENTRIES_MAX || bytes >= PAGE_BYTES_MAX;
            if full || looked >= PAGE_LOOKED_MAX {
                page.next = Some(id);
                return Step::Stop;
            }
            looked += 1;
            match quarantine::decode(id, value) {
                Some(entry) if wanted.matches(&entry) => {
                    bytes += value.len();
                    page.entries.push(entry);
                }
                Some(_) => {}
                None => {
                    tracing::error!(id, "quarantine entry is damaged");
                    if wanted.ids.contains(&id) || wanted.is_all() {
                        page.damaged.push(id);
                    }
                }
            }
            Step::Next
        },
    )?;
    Ok(page)
}

/// The number that the next entry takes.
pub(super) fn end(store: &Store) -> Result<u64, SpoolError> {
    match store.get(&keys::quarantine_sum())? {
        None => Ok(0),
        Some(bytes) => match Sum::decode(&bytes) {
            Some(sum) => Ok(sum.next),
            None => Err(SpoolError::Book {
                what: "the quarantine's sum",
            }),
        },
    }
}

/// The quarantine of a data directory at one moment, read only.
#[derive(Debug)]
pub struct QuarantineSight(Store);

impl QuarantineSight {
    /// Looks at the quarantine of a data directory, also while a daemon runs.
    ///
    /// # Errors
    /// There is no spool, it is of a newer version, or it cannot be read.
    pub fn of(data_dir: &Path) -> Result<Self, SpoolError> {
        Ok(Self(Store::look(data_dir)?))
    }

    /// The entries from a number on that match, a page of them.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn page(&self, wanted: &Selection, from: u64) -> Result<Page, SpoolError> {
        page(&self.0, wanted, from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Lane;

    fn entry() -> Quarantined {
        Quarantined {
            id: 7,
            lane: Lane::Bulk,
            reason: QuarantineReason::FrameCheck,
            encoded: false,
            class: "water_meter".to_owned(),
            device: "d1".to_owned(),
            topic: "meters/east/d1".to_owned(),
            detail: String::new(),
            client: "app:lns".to_owned(),
            received_at: UnixNanos(100),
            payload: vec![1],
        }
    }

    #[test]
    fn an_entry_is_selected_only_if_it_meets_every_condition() {
        let all = Selection::default();
        assert!(all.matches(&entry()) && all.is_all());
        let some = |text: &str| Some(text.to_owned());
        let meets = [
            Selection {
                ids: vec![1, 7],
                ..all.clone()
            },
            Selection {
                reasons: vec![QuarantineReason::FrameCheck],
                ..all.clone()
            },
            Selection {
                class: some("water_meter"),
                device: some("d1"),
                ..all.clone()
            },
            Selection {
                since: Some(100),
                until: Some(101),
                ..all.clone()
            },
            Selection {
                from: 7,
                ..all.clone()
            },
        ];
        assert!(meets.iter().all(|wanted| wanted.matches(&entry())));
        let misses = [
            Selection {
                ids: vec![1],
                ..all.clone()
            },
            Selection {
                reasons: vec![QuarantineReason::Empty],
                ..all.clone()
            },
            Selection {
                class: some("water"),
                ..all.clone()
            },
            Selection {
                device: some("d2"),
                ..all.clone()
            },
            Selection {
                since: Some(101),
                ..all.clone()
            },
            Selection {
                until: Some(100),
                ..all.clone()
            },
            Selection { from: 8, ..all },
        ];
        assert!(!misses.iter().any(|wanted| wanted.matches(&entry())));
    }

    #[test]
    fn topics_are_matched_as_mqtt_matches_them() {
        for filter in [
            "#",
            "meters/#",
            "meters/east/d1",
            "meters/+/d1",
            "meters/east/d1/#",
            "+/+/+",
        ] {
            assert!(is_under("meters/east/d1", filter), "{filter}");
        }
        for filter in [
            "",
            "meters",
            "meters/east",
            "meters/+",
            "meters/east/d1/x",
            "meters/west/#",
        ] {
            assert!(!is_under("meters/east/d1", filter), "{filter}");
        }
    }

    #[test]
    fn a_selection_comes_back_from_its_text_and_an_unknown_reason_does_not() {
        let wanted = Selection {
            reasons: vec![QuarantineReason::NoProfile],
            topic: Some("a/#".to_owned()),
            ..Selection::default()
        };
        let text = serde_json::to_string(&wanted).unwrap();
        assert_eq!(serde_json::from_str::<Selection>(&text).unwrap(), wanted);
        assert!(serde_json::from_str::<Selection>(r#"{"reasons":["bad_luck"]}"#).is_err());
        assert!(serde_json::from_str::<Selection>(r#"{"clas":"x"}"#).is_err());
    }
}
