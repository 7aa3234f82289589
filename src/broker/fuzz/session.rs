//! Sessions: four clients of two devices do what the bytes say, one step after another: raw bytes, whole packets of
//! every kind with small numbers so that identifiers meet, closing, time that passes, receipts that are settled or not,
//! a disk that is slow or full. In the end nothing may be left ([`Play::end`]).

use std::{cell::RefCell, str};

use tokio::runtime::{Builder, Runtime};

use super::play::{Play, password};
use crate::broker::wire::Version;
use crate::domain::Outcome;

/// Steps of one run.
const STEPS_MAX: usize = 64;

const TOPICS: [&str; 8] = [
    "v1/manhole_cover/7/up",
    "v1/manhole_cover/8/up",
    "v1/manhole_cover/7/down",
    "plaza/1",
    "plaza",
    "$SYS/x",
    "plaza/1/2",
    "",
];
const FILTERS: [&str; 8] = [
    "v1/manhole_cover/7/down",
    "plaza/#",
    "#",
    "+/1",
    "$share/a/plaza/#",
    "$share/b/#",
    "$SYS/#",
    "plaza/1",
];

thread_local! {
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

/// Plays a script.
pub fn session(bytes: &[u8]) {
    RUNTIME.with_borrow_mut(|runtime| {
        let runtime = runtime.get_or_insert_with(|| {
            let built = Builder::new_current_thread().enable_all().build();
            built.expect("a runtime")
        });
        runtime.block_on(async {
            let mut play = Play::new();
            let mut script = Script(bytes);
            for _ in 0..STEPS_MAX {
                let Some(step) = script.byte() else { break };
                act(&mut play, step, &mut script).await;
            }
            play.end().await;
        });
    });
}

struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn or_zero(&mut self) -> u8 {
        self.byte().unwrap_or(0)
    }

    fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

async fn act(play: &mut Play, step: u8, script: &mut Script<'_>) {
    let place = usize::from(step >> 6);
    match step & 0x0f {
        0 => {
            let length = usize::from(script.or_zero());
            play.send(place, script.bytes(length)).await;
        }
        1 | 2 => play.send(place, &connect(place, script)).await,
        3 | 4 => play.send(place, &publish(version_of(step), script)).await,
        5 => play.send(place, &subscribe(version_of(step), script)).await,
        6 => {
            play.send(place, &unsubscribe(version_of(step), script))
                .await;
        }
        7 | 8 => {
            let kind = script.or_zero();
            let first = 0x40 + 0x10 * (kind & 3) + if kind & 3 == 2 { 2 } else { 0 };
            let id = u16::from(kind >> 2 & 7);
            play.send(place, &packet(first, &id.to_be_bytes())).await;
        }
        9 => play.settle(outcome(step >> 4 & 3)).await,
        10 => play.pass(u64::from(script.or_zero())).await,
        11 => play.close(place).await,
        12 => {
            let body: &[u8] = if step & 0x10 == 0 { &[] } else { &[4] };
            play.send(place, &packet(0xe0, body)).await;
        }
        13 => play.disk(step >> 4).await,
        14 if step & 0x10 == 0 => play.fill_inlet().await,
        14 => play.make_room().await,
        _ => match step >> 4 & 1 {
            0 => play.send(place, &[0xc0, 0]).await,
            _ => play.abandon().await,
        },
    }
}

const fn outcome(which: u8) -> Outcome {
    match which {
        0 => Outcome::Refused,
        _ => Outcome::Stored,
    }
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let low = u8::try_from(length & 0x7f).unwrap_or_default();
    let mut bytes = match u8::try_from(length >> 7).unwrap_or(0x7f) {
        0 => vec![first, low],
        high => vec![first, low | 0x80, high],
    };
    bytes.extend_from_slice(body);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or_default();
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

fn one<'a>(of: &[&'a str; 8], which: u8) -> &'a str {
    of.get(usize::from(which & 7)).copied().unwrap_or_default()
}

/// A CONNECT of a device: which, its client id, version, clean start, expiry, will.
fn connect(place: usize, script: &mut Script<'_>) -> Vec<u8> {
    let how = script.or_zero();
    let five = how & 1 != 0;
    let username = if how & 2 == 0 {
        "manhole_cover/7"
    } else {
        "manhole_cover/8"
    };
    let mut flags = 0xc0 | if how & 4 == 0 { 0 } else { 2 };
    let client_id = match (how & 8, place & 1) {
        (0, _) => "same",
        (_, 0) => "a",
        _ => "b",
    };
    let mut body = text("MQTT");
    let with_will = how & 0x10 != 0;
    let will_flags = script.or_zero();
    if with_will {
        flags |= 4 | (will_flags & 0x18).min(0x10) | (will_flags & 0x20);
    }
    body.extend([if five { 5 } else { 4 }, flags, 0, 30]);
    if five {
        let expiry = if how & 0x20 == 0 { 0 } else { script.or_zero() };
        let receive = 1 + (how >> 6);
        body.extend([8, 0x11, 0, 0, 0, expiry, 0x21, 0, receive]);
    }
    body.extend(text(client_id));
    if with_will {
        if five {
            body.extend([5, 0x18, 0, 0, 0, will_flags & 7]);
        }
        body.extend(text(one(&TOPICS, will_flags)));
        body.extend(text("gone"));
    }
    body.extend(text(username));
    body.extend(text(&password(username)));
    packet(0x10, &body)
}

fn version_of(step: u8) -> Version {
    if step & 0x10 == 0 {
        Version::V3
    } else {
        Version::V5
    }
}

fn publish(version: Version, script: &mut Script<'_>) -> Vec<u8> {
    let five = version == Version::V5;
    let (how, what) = (script.or_zero(), script.or_zero());
    let qos = (how & 3).min(2);
    let first = 0x30 | (qos << 1) | (how >> 2 & 1) | if qos > 0 { how & 8 } else { 0 };
    let mut body = text(one(&TOPICS, what));
    if qos > 0 {
        body.extend([0, how >> 4 & 7]);
    }
    if five {
        match what >> 5 {
            0 => body.push(0),
            1 => body.extend([5, 2, 0, 0, 0, script.or_zero()]),
            2 => body.extend([3, 0x23, 0, script.or_zero() & 15]),
            3 => body.extend([7, 0x26, 0, 1, b'k', 0, 1, b'v']),
            _ => {
                let section = script.bytes(usize::from(what >> 3));
                body.push(u8::try_from(section.len()).unwrap_or_default());
                body.extend_from_slice(section);
            }
        }
    }
    body.extend_from_slice(script.bytes(usize::from(how >> 7) * 8));
    packet(first, &body)
}

fn subscribe(version: Version, script: &mut Script<'_>) -> Vec<u8> {
    let five = version == Version::V5;
    let (what, options) = (script.or_zero(), script.or_zero());
    let mut body = vec![0, 1 + (what >> 6)];
    if five && what & 8 != 0 {
        body.extend([2, 0x0b, 1 + (what >> 4 & 3)]);
    } else if five {
        body.push(0);
    }
    body.extend(text(one(&FILTERS, what)));
    let options = if five { options & 0x3f } else { options & 3 };
    body.push(options);
    packet(0x82, &body)
}

fn unsubscribe(version: Version, script: &mut Script<'_>) -> Vec<u8> {
    let five = version == Version::V5;
    let what = script.or_zero();
    let mut body = vec![0, 1];
    if five {
        body.push(0);
    }
    body.extend(text(one(&FILTERS, what)));
    packet(0xa2, &body)
}
