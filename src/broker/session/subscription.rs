//! What a session has subscribed to. A device's subscription to its own topic is recognised by its identity: a million
//! devices with one each cost no tree anything.

use super::super::{exchange::Options, principal::Principal};
use crate::domain::Identity;

/// A subscription as it was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// As the client wrote it, `$share` and all.
    pub(crate) filter: Box<str>,
    pub(crate) options: Options,
    /// Subscription identifier; 0: none.
    pub(crate) id: u32,
}

impl Subscription {
    /// The filter without the name of a shared subscription.
    pub(crate) fn inner(&self) -> &str {
        let shared = self.filter.strip_prefix("$share/");
        let inner = shared.and_then(|named| named.split_once('/'));
        inner.map_or(&*self.filter, |(_, inner)| inner)
    }
}

/// The topic on which a device hears its messages.
pub(crate) fn down_topic(identity: &Identity) -> Box<str> {
    format!("v1/{identity}/down").into_boxed_str()
}

/// Whether a filter is the device's own topic for messages.
pub(crate) fn is_own_down(principal: &Principal, filter: &str) -> bool {
    let inner = filter
        .strip_prefix("v1/")
        .and_then(|rest| rest.strip_suffix("/down"));
    inner.is_some() && inner == principal.identity().map(Identity::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_devices_own_down_topic_is_its_own() {
        let identity = Identity::parse("manhole_cover/7").unwrap();
        let device = Principal::Device(identity.clone());
        assert!(is_own_down(&device, "v1/manhole_cover/7/down"));
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
            assert!(!is_own_down(&device, other), "{other}");
        }
        assert!(!is_own_down(
            &Principal::Anonymous,
            "v1/manhole_cover/7/down"
        ));
    }
}
