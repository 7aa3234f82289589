//! The loop of a load: one thread, one epoll, any number of connections. It moves bytes and splits packets; what to
//! send and when is its driver's. Sockets are registered once, edge-triggered; a short read is taken as "drained",
//! which saves the second read.

use std::{
    io,
    time::{Duration, Instant},
};

use mio::{Events, Poll, event::Event};

use super::{
    inbound::{Inbound, next_inbound},
    link::{Link, LinkStage, Links, would_block},
};

const EVENTS_MAX: usize = 1024;
/// Read buffer shared by all connections, bytes: hundreds of acknowledgements at once.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Why a connection ended.
#[derive(Debug)]
pub enum Lost {
    /// The peer closed it.
    Closed,
    /// The gateway did not welcome us: code of CONNACK.
    Refused(u8),
    /// The network, or bytes that are no MQTT.
    Broken(io::Error),
}

/// What a driver wants after its turn.
#[derive(Debug, Clone, Copy)]
pub enum Turn {
    /// To be called again when something arrives, at this time at the latest.
    Until(Instant),
    /// To end the loop; the sockets stay open until the engine is dropped.
    Stop,
}

/// A publish that arrived.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Its packet id, at `QoS` 1 and 2.
    pub packet_id: Option<u16>,
    /// The whole packet; its last bytes are the payload.
    pub frame: &'a [u8],
}

/// What a load does with its connections.
pub trait Driver {
    /// A packet arrived; what is appended to `out` leaves at once. A CONNACK that refuses arrives as [`Lost::Refused`].
    fn inbound(&mut self, index: usize, packet: Inbound, out: &mut Vec<u8>, now: Instant);
    /// A publish arrived, as [`Driver::inbound`]; for those who look at what it says.
    fn message(&mut self, index: usize, message: Message<'_>, out: &mut Vec<u8>, now: Instant) {
        self.inbound(index, Inbound::Publish(message.packet_id), out, now);
    }
    /// A connection ended; it is down and may be opened again in a later turn.
    fn lost(&mut self, index: usize, why: Lost, now: Instant);
    /// Between events: open, send what is due, close.
    fn turn(&mut self, links: &mut Links, now: Instant) -> Turn;
}

/// The loop and its connections.
#[derive(Debug)]
pub struct Engine {
    poll: Poll,
    events: Events,
    links: Links,
    scratch: Box<[u8]>,
}

impl Engine {
    /// An engine with room for `count` connections, all down.
    ///
    /// # Errors
    /// The system grants no epoll.
    pub fn new(count: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let links = Links::new(poll.registry().try_clone()?, count);
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            links,
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
        })
    }

    /// Runs until the driver says stop.
    ///
    /// # Errors
    /// epoll failed; nothing that happens to a single connection.
    pub fn run<D: Driver>(&mut self, driver: &mut D) -> io::Result<()> {
        loop {
            let now = Instant::now();
            let until = match driver.turn(&mut self.links, now) {
                Turn::Stop => {
                    self.flush(driver, now);
                    return Ok(());
                }
                Turn::Until(until) => until,
            };
            self.flush(driver, now);
            let pause = until
                .saturating_duration_since(now)
                .min(Duration::from_secs(1));
            match self.poll.poll(&mut self.events, Some(pause)) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            }
            for event in &self.events {
                happened(event, &mut self.links, &mut self.scratch, driver);
            }
        }
    }

    fn flush<D: Driver>(&mut self, driver: &mut D, now: Instant) {
        for (index, e) in self.links.flush_dirty() {
            self.links.close(index);
            driver.lost(index, Lost::Broken(e), now);
        }
    }
}

/// Serves one event; a connection that ends by it is closed and its driver told.
fn happened<D: Driver>(event: &Event, links: &mut Links, scratch: &mut [u8], driver: &mut D) {
    let index = event.token().0;
    let now = Instant::now();
    let mut served = Ok(());
    if event.is_writable() {
        let flushed = links.get(index).map_or(Ok(()), Link::flush);
        served = flushed.map_err(Lost::Broken);
    }
    if served.is_ok() && (event.is_readable() || event.is_read_closed()) {
        served = serve(links, scratch, driver, (index, now));
    }
    if let Err(why) = served {
        links.close(index);
        driver.lost(index, why, now);
    }
}

/// Reads all that a connection has, hands the packets to the driver and writes what it answers.
fn serve<D: Driver>(
    links: &mut Links,
    scratch: &mut [u8],
    driver: &mut D,
    (index, now): (usize, Instant),
) -> Result<(), Lost> {
    let Some(link) = links.get(index) else {
        return Ok(());
    };
    if link.stage == LinkStage::Down {
        return Ok(());
    }
    loop {
        let read = match link.read(scratch) {
            Ok(0) => return Err(Lost::Closed),
            Ok(read) => read,
            Err(e) if would_block(&e) => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Lost::Broken(e)),
        };
        let fresh = scratch.get(..read).unwrap_or_default();
        let mut joined = std::mem::take(&mut link.partial);
        let mut rest = if joined.is_empty() {
            fresh
        } else {
            joined.extend_from_slice(fresh);
            &joined[..]
        };
        let malformed = |e| Lost::Broken(io::Error::other(e));
        while let Some((packet, len)) = next_inbound(link.version, rest).map_err(malformed)? {
            let (frame, after) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            rest = after;
            match packet {
                Inbound::Publish(packet_id) => {
                    let message = Message { packet_id, frame };
                    driver.message(index, message, &mut link.out, now);
                    continue;
                }
                Inbound::ConnAck { code: 0, .. } => link.stage = LinkStage::Up,
                Inbound::ConnAck { code, .. } => return Err(Lost::Refused(code)),
                _ => {}
            }
            driver.inbound(index, packet, &mut link.out, now);
        }
        if !rest.is_empty() {
            link.partial = rest.to_vec();
        }
        if read < scratch.len() && link.is_drained_by_a_short_read() {
            break;
        }
    }
    link.flush().map_err(Lost::Broken)
}
