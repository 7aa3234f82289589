//! What a device may hear: its own messages, `v1/{class}/{device}/down`, and nothing else. The filter is compared with
//! the identity; a million devices with a subscription each cost no tree anything.

use bytestring::ByteString;
use rmqtt_codec::{
    types::QoS,
    v5::{Subscribe, SubscriptionOptions, Unsubscribe},
};

use super::Session;
use crate::{
    broker::line::Subscribed,
    broker::wire::{Version, Violation},
    domain::Identity,
};

/// A granted subscription to the device's own messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The highest `QoS` to send at.
    pub(crate) qos: QoS,
}

/// MQTT 3.1.1: the subscription is refused.
const FAILURE: u8 = 0x80;
const NOT_AUTHORISED: u8 = 0x87;
const FILTER_INVALID: u8 = 0x8f;
const QUOTA_EXCEEDED: u8 = 0x97;
const SHARED_NOT_SUPPORTED: u8 = 0x9e;
const IDENTIFIERS_NOT_SUPPORTED: u8 = 0xa1;
const WILDCARDS_NOT_SUPPORTED: u8 = 0xa2;
const NO_SUBSCRIPTION: u8 = 0x11;

/// The topic on which a device hears its messages.
pub(crate) fn down_topic(identity: &Identity) -> Box<str> {
    format!("v1/{identity}/down").into_boxed_str()
}

fn is_own(identity: Option<&Identity>, filter: &str) -> bool {
    let inner = filter
        .strip_prefix("v1/")
        .and_then(|rest| rest.strip_suffix("/down"));
    inner.is_some() && inner == identity.map(Identity::as_str)
}

impl Session {
    /// Whether the client hears the device's messages.
    pub(crate) const fn hears(&self) -> Subscribed {
        match self.kept.down {
            Some(_) => Subscribed::Yes,
            None => Subscribed::No,
        }
    }

    /// Decides on a SUBSCRIBE: one code for each filter; MQTT 3.1.1 has one word for every refusal.
    pub(crate) fn subscribe(
        &mut self,
        subscribe: &Subscribe,
        filters_max: usize,
    ) -> Result<Vec<u8>, Violation> {
        let mut codes = Vec::with_capacity(subscribe.topic_filters.len());
        for (at, (filter, options)) in subscribe.topic_filters.iter().enumerate() {
            let shared = filter.starts_with("$share/");
            if shared && options.no_local {
                return Err(Violation::protocol("no local on a shared subscription"));
            }
            codes.push(if subscribe.id.is_some() {
                IDENTIFIERS_NOT_SUPPORTED
            } else if at >= filters_max {
                QUOTA_EXCEEDED
            } else if shared {
                SHARED_NOT_SUPPORTED
            } else {
                self.grant(filter, *options)
            });
        }
        if self.terms.version == Version::V3 {
            for code in codes.iter_mut().filter(|code| **code > 2) {
                *code = FAILURE;
            }
        }
        Ok(codes)
    }

    fn grant(&mut self, filter: &ByteString, options: SubscriptionOptions) -> u8 {
        match wildcards(filter) {
            Wildcards::Invalid => FILTER_INVALID,
            Wildcards::Some => WILDCARDS_NOT_SUPPORTED,
            Wildcards::None if is_own(self.principal.identity(), filter) => {
                self.kept.down = Some(Grant { qos: options.qos });
                options.qos.value()
            }
            Wildcards::None => NOT_AUTHORISED,
        }
    }

    /// Decides on an UNSUBSCRIBE: one code for each filter.
    pub(crate) fn unsubscribe(&mut self, unsubscribe: &Unsubscribe) -> Vec<u8> {
        let mut codes = Vec::with_capacity(unsubscribe.topic_filters.len());
        for filter in &unsubscribe.topic_filters {
            let own = is_own(self.principal.identity(), filter);
            codes.push(match self.kept.down {
                Some(_) if own => {
                    self.kept.down = None;
                    0
                }
                _ if wildcards(filter) == Wildcards::Invalid => FILTER_INVALID,
                _ => NO_SUBSCRIPTION,
            });
        }
        codes
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Wildcards {
    None,
    Some,
    Invalid,
}

/// Whether a filter has wildcards, and whether they stand where MQTT allows them.
fn wildcards(filter: &str) -> Wildcards {
    if !filter.contains(['+', '#']) {
        return Wildcards::None;
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let alone = !level.contains(['+', '#']) || level == "+";
        let last = level == "#" && levels.peek().is_none();
        if !alone && !last {
            return Wildcards::Invalid;
        }
    }
    Wildcards::Some
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_devices_own_down_topic_is_its_own() {
        let identity = Identity::parse("manhole_cover/7").unwrap();
        let own = |filter| is_own(Some(&identity), filter);
        assert!(own("v1/manhole_cover/7/down"));
        assert_eq!(&*down_topic(&identity), "v1/manhole_cover/7/down");
        for other in [
            "v1/manhole_cover/8/down",
            "v1/manhole_cover/7/up",
            "v1/manhole_cover/7/down/x",
            "v1/down",
            "x/v1/manhole_cover/7/down",
            "/down",
            "",
        ] {
            assert!(!own(other), "{other}");
        }
        assert!(!is_own(None, "v1/manhole_cover/7/down"));
    }

    #[test]
    fn wildcards_stand_alone_in_their_level_and_hash_stands_last() {
        for (filter, kind) in [
            ("a/b", Wildcards::None),
            ("a/+/b", Wildcards::Some),
            ("#", Wildcards::Some),
            ("+/#", Wildcards::Some),
            ("a/#/b", Wildcards::Invalid),
            ("a+/b", Wildcards::Invalid),
            ("a/b#", Wildcards::Invalid),
        ] {
            assert_eq!(wildcards(filter), kind, "{filter}");
        }
    }
}
