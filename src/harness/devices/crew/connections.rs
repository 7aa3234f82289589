//! A crew's connections: opened a few at a time, welcomed, lost, and opened again after a pause.

use std::{
    cmp::Reverse,
    net::{IpAddr, Ipv4Addr},
    time::Instant,
};

use bytes::Bytes;

use super::{Crew, GREETING_MAX};
use crate::harness::{
    client::{Links, Opening, Version, WireError, subscribe},
    devices::{
        fleet::FleetError,
        session::{Identities, login},
    },
};

impl Crew {
    /// Opens what may be opened now.
    pub(super) fn open_links(&mut self, links: &mut Links, now: Instant) {
        while self.greeting < GREETING_MAX {
            let Some(Reverse((_, link))) =
                self.to_open.peek().filter(|Reverse((at, _))| *at <= now)
            else {
                return;
            };
            let link = *link;
            self.to_open.pop();
            match self.open(links, link) {
                Ok(()) => self.greeting += 1,
                Err(_) => self.ended(link, now),
            }
        }
    }

    fn open(&self, links: &mut Links, link: usize) -> Result<(), FleetError> {
        let version = self.options.protocols.of(link);
        let connect = self.connect_of(version, link)?;
        let source = (self.options.source_addresses > 0).then(|| {
            let host = link % usize::from(self.options.source_addresses);
            IpAddr::V4(Ipv4Addr::new(
                127,
                0,
                0,
                u8::try_from(host + 1).unwrap_or(1),
            ))
        });
        links.open(
            link,
            &Opening {
                gateway: **self.options.gateway.load(),
                source,
                version,
                connect: &connect,
                tls: None,
            },
        )?;
        Ok(())
    }

    fn connect_of(&self, version: Version, link: usize) -> Result<Bytes, WireError> {
        let username = match &self.options.identities {
            Identities::Anonymous { .. } => None,
            Identities::Keyed(key) => self
                .roster
                .members
                .get(link)
                .map(|m| (format!("{}/{}", self.roster.class_of(m), m.device), key)),
        };
        let username = username
            .as_ref()
            .map(|(name, key)| (name.as_str(), key.as_slice()));
        login(version, username, self.options.unacknowledged, link)
    }

    /// A connection ended, or could not be opened.
    pub(super) fn ended(&mut self, link: usize, now: Instant) {
        let Some(session) = self.sessions.get_mut(link) else {
            return;
        };
        if session.up {
            self.tally.lost.add(1);
            self.tally
                .connected
                .set(self.tally.connected.get().saturating_sub(1));
        } else {
            self.greeting = self.greeting.saturating_sub(1);
        }
        let (doubtful, pause) = session.ended(self.options.unacknowledged, &mut self.rng);
        for flight in doubtful {
            self.tally.in_doubt.add(1);
            self.model.in_doubt(flight.device, flight.serial);
        }
        self.to_open.push(Reverse((now + pause, link)));
    }

    pub(super) fn welcomed(&mut self, link: usize, receive_max: u16, out: &mut Vec<u8>) {
        self.greeting = self.greeting.saturating_sub(1);
        self.tally.connected.add(1);
        let member = self.roster.members.get(link);
        if let (Identities::Keyed(_), Some(member)) = (&self.options.identities, member) {
            let filter = format!("v1/{}/{}/down", self.roster.class_of(member), member.device);
            if let Ok(packet) = subscribe(self.options.protocols.of(link), &filter) {
                out.extend_from_slice(&packet);
            }
        }
        let model = &mut self.model;
        if let Some(session) = self.sessions.get_mut(link) {
            session.welcome(receive_max, out, |device, serial| {
                model.sent_again(device, serial);
            });
        }
        self.roomy.push_back(link);
    }
}
