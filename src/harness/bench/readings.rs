//! The readings that loads send: packets are encoded once; a sending copies the template, puts the packet id, the time
//! and fifteen digits of its values in, so that readings differ and a block compresses as the city's would.

use std::time::{Duration, Instant};

use crate::{
    domain::{Clock as _, SystemClock},
    harness::client::{Qos, Spots, Version, WireError, publish},
};

/// The class of the load: telemetry with five numbers.
pub const CLASS: &str = "utility_tunnel_env";
/// A payload; `###` are digits that change, `T` the time in Unix milliseconds.
pub(super) const PAYLOAD: &str = "{\"oxygen\":20.1###,\"methane\":1.2###,\"hydrogen_sulfide\":2.3###,\
    \"temperature\":18.4###,\"humidity\":61.5###,\"observed_at\":TTTTTTTTTTTTT}";
const DIGIT_GROUPS: usize = 5;

/// Bytes of one payload.
#[must_use]
pub const fn payload_bytes() -> usize {
    PAYLOAD.len()
}

/// The username of a load's device.
pub(super) fn device_name(prefix: &str, link: usize) -> String {
    format!("{CLASS}/{prefix}-{link:05}")
}

/// The publishes of a load's devices, one template a device.
#[derive(Debug)]
pub(super) struct Readings {
    templates: Vec<(Vec<u8>, Spots)>,
    digits: Vec<[u8; 3]>,
    digit_spots: [usize; DIGIT_GROUPS],
    time_spot: usize,
    time_text: [u8; 13],
    time_as_of: Option<Instant>,
    random: u64,
}

impl Readings {
    /// Of devices `prefix-00000` and on, each on its own topic, at `QoS` 1 in MQTT 5.
    pub(super) fn of(prefix: &str, devices: usize) -> Result<Self, WireError> {
        let mut digit_spots = [0; DIGIT_GROUPS];
        for (spot, (at, _)) in digit_spots.iter_mut().zip(PAYLOAD.match_indices("###")) {
            *spot = at;
        }
        let templates = (0..devices)
            .map(|link| {
                let topic = format!("v1/{}/up", device_name(prefix, link));
                let (mut packet, payload) = (Vec::new(), PAYLOAD.as_bytes());
                let qos = (Qos::AtLeastOnce, 1);
                let spots = publish(Version::V5, qos, &topic, payload, &mut packet)?;
                Ok((packet, spots))
            })
            .collect::<Result<_, WireError>>()?;
        Ok(Self {
            templates,
            digits: (0..1000).map(three_digits).collect(),
            digit_spots,
            time_spot: PAYLOAD.find('T').unwrap_or(0),
            time_text: [b'0'; 13],
            time_as_of: None,
            random: 0x2545_F491_4F6C_DD1D,
        })
    }

    /// Appends the next publish of a device.
    pub(super) fn append(&mut self, link: usize, packet_id: u16, out: &mut Vec<u8>, now: Instant) {
        self.renew_time(now);
        let Some((packet, spots)) = self.templates.get_mut(link) else {
            return;
        };
        put(packet, spots.packet_id, &packet_id.to_be_bytes());
        put(packet, spots.payload + self.time_spot, &self.time_text);
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let mut random = self.random;
        for spot in self.digit_spots {
            let pick = usize::try_from(random % 1000).unwrap_or(0);
            random /= 1000;
            if let Some(digits) = self.digits.get(pick) {
                put(packet, spots.payload + spot, digits);
            }
        }
        out.extend_from_slice(packet);
    }

    fn renew_time(&mut self, now: Instant) {
        let old = |as_of| now.saturating_duration_since(as_of) >= Duration::from_millis(1);
        if self.time_as_of.is_none_or(old) {
            self.time_as_of = Some(now);
            let text = (SystemClock.now().0 / 1_000_000).to_string();
            put(&mut self.time_text, 0, text.as_bytes());
        }
    }
}

/// Writes a part over the bytes at a place.
pub(super) fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
    if let Some(spot) = bytes.get_mut(at..at + part.len()) {
        spot.copy_from_slice(part);
    }
}

fn three_digits(number: u16) -> [u8; 3] {
    let digit = |divisor: u16| b'0' + u8::try_from(number / divisor % 10).unwrap_or(0);
    [digit(100), digit(10), digit(1)]
}
