//! One connection of a fleet as MQTT sees it: who it is, what it has in flight, and when it may connect again. No I/O.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use rand::{Rng as _, rngs::SmallRng};
use sha2::Sha256;

use crate::harness::client::{AckKind, Login, Version, WireError, connect, pubrel};

/// Keep-alive of devices, seconds.
const KEEP_ALIVE_S: u16 = 60;
/// Seconds that a session outlives its connection where readings are sent again.
const SESSION_EXPIRY_S: u32 = 600;
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// How a fleet proves who its devices are.
#[derive(Debug, Clone)]
pub enum Identities {
    /// Each device on a connection of its own, with the HMAC of its name under this key.
    Keyed(Vec<u8>),
    /// Devices share so many connections that say nothing about themselves.
    Anonymous {
        /// How many connections.
        connections: usize,
    },
}

/// Which versions the connections of a fleet speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocols {
    /// All 3.1.1.
    V3,
    /// All 5.
    V5,
    /// In turn.
    Mixed,
}

impl Protocols {
    /// The version of a connection.
    #[must_use]
    pub const fn of(self, link: usize) -> Version {
        match self {
            Self::V3 => Version::V3,
            Self::V5 => Version::V5,
            Self::Mixed if link.is_multiple_of(2) => Version::V5,
            Self::Mixed => Version::V3,
        }
    }
}

/// What becomes of readings whose connection ends before their acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unacknowledged {
    /// They are let go: each is stored once or not at all.
    LetGo,
    /// They are sent again on the next connection: each is stored at least once.
    SendAgain,
}

/// The CONNECT of a connection: for the device `class/device`, or for nobody.
///
/// # Errors
/// A name is too long for MQTT.
pub fn login(
    version: Version,
    username: Option<(&str, &[u8])>,
    unacknowledged: Unacknowledged,
    link: usize,
) -> Result<Bytes, WireError> {
    let session_expiry_s = match unacknowledged {
        Unacknowledged::LetGo => 0,
        Unacknowledged::SendAgain => SESSION_EXPIRY_S,
    };
    let password = username.map(|(name, key)| password(name, key));
    let client_id = match username {
        Some((name, _)) => name.replace('/', "."),
        None => format!("lab-{link}"),
    };
    connect(
        version,
        &Login {
            client_id: &client_id,
            credentials: username
                .zip(password.as_ref())
                .map(|((name, _), password)| (name, password.as_bytes())),
            keep_alive_s: KEEP_ALIVE_S,
            session_expiry_s,
        },
    )
}

/// The password of a device: hex HMAC-SHA256 of its username under the gateway's key.
#[must_use]
pub(super) fn password(username: &str, key: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return String::new();
    };
    mac.update(username.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// A publish that awaits its acknowledgement.
#[derive(Debug)]
pub(super) struct Flight {
    /// Its packet id.
    pub packet_id: u16,
    /// The device that sent it.
    pub device: usize,
    /// Which of the device's readings it carries.
    pub serial: u32,
    /// When it was first sent.
    pub sent_at: Instant,
    /// Its packet, where it may be sent again.
    pub packet: Option<Box<[u8]>>,
    released: bool,
}

/// What an acknowledgement means.
#[derive(Debug)]
pub(super) enum Settled {
    /// The reading is durable.
    Stored(Flight),
    /// The gateway did not take it.
    Rejected,
    /// Nothing that was waited for.
    Nothing,
}

/// A connection's state.
#[derive(Debug)]
pub(super) struct Session {
    /// Readings in flight, oldest first.
    flights: VecDeque<Flight>,
    /// Devices that are due and wait for room.
    pub waiting: VecDeque<usize>,
    last_id: u16,
    window: usize,
    /// Most publishes in flight.
    window_max: usize,
    attempts: u32,
    /// Whether CONNACK has come.
    pub up: bool,
}

impl Session {
    /// A session that is down.
    #[must_use]
    pub(super) const fn new(window_max: usize) -> Self {
        Self {
            flights: VecDeque::new(),
            waiting: VecDeque::new(),
            last_id: 1,
            window: 0,
            window_max,
            attempts: 0,
            up: false,
        }
    }

    /// Whether one more publish may leave.
    #[must_use]
    pub(super) fn has_room(&self) -> bool {
        self.up && self.flights.len() < self.window
    }

    /// Whether nothing awaits its acknowledgement.
    #[must_use]
    pub(super) fn is_idle(&self) -> bool {
        self.flights.is_empty()
    }

    /// A packet id that is free. 1 is kept for SUBSCRIBE.
    pub(super) fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(2);
            let taken = |flight: &Flight| flight.packet_id == self.last_id;
            if !self.flights.iter().any(taken) {
                return self.last_id;
            }
        }
    }

    /// A publish left.
    pub(super) fn sent(
        &mut self,
        (packet_id, device, serial): (u16, usize, u32),
        packet: Option<Box<[u8]>>,
        sent_at: Instant,
    ) {
        self.flights.push_back(Flight {
            packet_id,
            device,
            serial,
            sent_at,
            packet,
            released: false,
        });
    }

    /// CONNACK has come. Appends what is to be sent again; tells each reading that is.
    pub(super) fn welcome(
        &mut self,
        receive_max: u16,
        out: &mut Vec<u8>,
        mut again: impl FnMut(usize, u32),
    ) {
        self.up = true;
        self.attempts = 0;
        self.window = self.window_max.min(usize::from(receive_max));
        for flight in &self.flights {
            if flight.released {
                out.extend_from_slice(&pubrel(flight.packet_id));
            } else if let Some((first, rest)) =
                flight.packet.as_deref().and_then(|p| p.split_first())
            {
                out.push(first | 0x08);
                out.extend_from_slice(rest);
                again(flight.device, flight.serial);
            }
        }
    }

    /// An acknowledgement has come.
    pub(super) fn settle(
        &mut self,
        kind: AckKind,
        (packet_id, code): (u16, u8),
        out: &mut Vec<u8>,
    ) -> Settled {
        let place = self.flights.iter().position(|f| f.packet_id == packet_id);
        let refused = code >= 0x80;
        if kind == AckKind::PubRec && !refused {
            // Whether we know the id or not: the gateway waits for its release.
            out.extend_from_slice(&pubrel(packet_id));
            let flight = place.and_then(|place| self.flights.get_mut(place));
            let Some(flight) = flight.filter(|flight| !flight.released) else {
                return Settled::Nothing;
            };
            flight.released = true;
            flight.packet = None;
            return Settled::Stored(Flight {
                packet: None,
                ..*flight
            });
        }
        let Some(flight) = place.and_then(|place| self.flights.remove(place)) else {
            return Settled::Nothing;
        };
        match kind {
            _ if flight.released => Settled::Nothing,
            _ if refused => Settled::Rejected,
            _ => Settled::Stored(flight),
        }
    }

    /// The connection ended: what is in doubt now, and how long to wait before the next attempt.
    pub(super) fn ended(
        &mut self,
        rule: Unacknowledged,
        rng: &mut SmallRng,
    ) -> (Vec<Flight>, Duration) {
        self.up = false;
        let doubtful = match rule {
            Unacknowledged::LetGo => self
                .flights
                .drain(..)
                .filter(|flight| !flight.released)
                .collect(),
            Unacknowledged::SendAgain => Vec::new(),
        };
        let ceiling = BACKOFF_MIN
            .saturating_mul(1 << self.attempts.min(10))
            .min(BACKOFF_MAX);
        self.attempts = self.attempts.saturating_add(1);
        (doubtful, ceiling.mul_f64(0.5 + 0.5 * rng.random::<f64>()))
    }

    /// The readings still in flight, when the fleet ends.
    pub(super) fn abandon(&mut self) -> impl Iterator<Item = Flight> + '_ {
        self.flights.drain(..).filter(|flight| !flight.released)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn flying(rule: Unacknowledged) -> (Session, Vec<Flight>) {
        let mut session = Session::new(10);
        session.welcome(5, &mut Vec::new(), |_, _| {});
        for serial in 0..5 {
            let id = session.next_id();
            session.sent((id, 0, serial), Some(Box::from([0x32, 0])), Instant::now());
        }
        assert!(!session.has_room());
        let (doubtful, _) = session.ended(rule, &mut SmallRng::seed_from_u64(1));
        (session, doubtful)
    }

    #[test]
    fn what_was_not_acknowledged_is_in_doubt() {
        let (session, doubtful) = flying(Unacknowledged::LetGo);
        assert_eq!(doubtful.len(), 5);
        assert!(session.is_idle());
    }

    #[test]
    fn what_was_not_acknowledged_is_sent_again_as_a_duplicate() {
        let (mut session, doubtful) = flying(Unacknowledged::SendAgain);
        assert!(doubtful.is_empty());
        let (mut out, mut again) = (Vec::new(), 0);
        session.welcome(5, &mut out, |_, _| again += 1);
        assert_eq!((again, &out[..4]), (5, &[0x3A, 0, 0x3A, 0][..]));
        let settled = session.settle(AckKind::PubAck, (2, 0), &mut out);
        assert!(matches!(settled, Settled::Stored(Flight { serial: 0, .. })));
    }

    #[test]
    fn exactly_once_is_stored_at_pubrec_and_free_at_pubcomp() {
        let mut session = Session::new(1);
        session.welcome(u16::MAX, &mut Vec::new(), |_, _| {});
        let id = session.next_id();
        session.sent((id, 0, 0), None, Instant::now());
        let mut out = Vec::new();
        assert!(matches!(
            session.settle(AckKind::PubRec, (id, 0), &mut out),
            Settled::Stored(_)
        ));
        assert_eq!(out, pubrel(id));
        assert!(!session.has_room());
        assert!(matches!(
            session.settle(AckKind::PubComp, (id, 0), &mut out),
            Settled::Nothing
        ));
        assert!(session.has_room());
    }
}
