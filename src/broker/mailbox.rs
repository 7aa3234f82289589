//! A session's queue of letters: where every publisher leaves what the session is to hear, and from where its connection
//! takes as much as the client may be sent. It outlives connections as the session does.
//!
//! A slow client costs its own mailbox and nobody else's: a mailbox that is full drops by policy, counted, and the
//! publisher goes on. The connection is told once that there is mail and not again until it has taken everything.
//!
//! Sessions that outlive a restart have a number. Their letters at `QoS` 1 and 2 are recorded first and deposited here
//! once that is durable; in between they hold their place and count against the bounds.

use std::{
    collections::VecDeque,
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use rmqtt_codec::types::QoS;

use super::{
    line::{Line, Signals, locked},
    message::Letter,
};
use crate::config::WhenQueueFull;

/// Bounds of mailboxes, and what they hold in sum.
#[derive(Debug)]
pub(crate) struct Postage {
    /// Most letters of one session.
    pub(crate) letters_max: usize,
    /// Most bytes of one session.
    pub(crate) bytes_max: usize,
    /// Most bytes of all sessions.
    pub(crate) total_bytes_max: usize,
    /// What happens beyond.
    pub(crate) when_full: WhenQueueFull,
    total: AtomicUsize,
}

impl Postage {
    pub(crate) const fn new(
        letters_max: usize,
        bytes_max: usize,
        total_bytes_max: usize,
        when_full: WhenQueueFull,
    ) -> Self {
        Self {
            letters_max,
            bytes_max,
            total_bytes_max,
            when_full,
            total: AtomicUsize::new(0),
        }
    }

    /// Bytes of all letters that wait.
    pub(crate) fn total(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    fn subtract(&self, bytes: usize) {
        self.total.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// The connection is told of the next letter.
    #[default]
    Quiet,
    /// It knows that there is mail.
    Told,
    /// The session has ended.
    Closed,
}

#[derive(Debug, Default)]
struct Desk {
    line: Option<Arc<Line>>,
    state: State,
    queue: VecDeque<Letter>,
    /// Letters that wait here or are being recorded.
    count: usize,
    bytes: usize,
    next_position: u64,
}

/// A session's queue.
#[derive(Debug)]
pub(crate) struct Mailbox {
    /// Names it among all mailboxes of this process.
    pub(crate) id: u64,
    /// The number of a session that outlives a restart.
    pub(crate) number: Option<NonZeroU32>,
    desk: Mutex<Desk>,
}

/// What became of a letter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    /// It waits.
    Queued,
    /// The client is away, and letters at `QoS` 0 do not wait.
    Away,
    /// There is no room.
    Full,
}

/// A place for a letter that is being recorded.
#[derive(Debug)]
pub(crate) struct Place {
    /// Its position.
    pub(crate) position: u64,
    /// Letters that had to make room.
    pub(crate) displaced: Vec<Letter>,
}

/// How a look into the mailbox ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Nothing is left; the connection will be told of the next letter.
    Everything,
    /// More waits.
    Some,
}

/// How much a connection may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Letters at `QoS` 1 and 2.
    pub(crate) exchanges: usize,
    /// Bytes.
    pub(crate) bytes: usize,
}

impl Mailbox {
    /// An empty mailbox; positions start at `next_position`.
    pub(crate) fn new(id: u64, number: Option<NonZeroU32>, next_position: u64) -> Self {
        let desk = Desk {
            next_position,
            ..Desk::default()
        };
        Self {
            id,
            number,
            desk: Mutex::new(desk),
        }
    }

    /// Puts a letter in, for a session that does not outlive a restart or at `QoS` 0.
    pub(crate) fn push(&self, mut letter: Letter, postage: &Postage) -> (Posted, Vec<Letter>) {
        let mut desk = locked(&self.desk);
        let away = desk.line.is_none() || desk.state == State::Closed;
        if away && letter.qos == QoS::AtMostOnce {
            return (Posted::Away, Vec::new());
        }
        let cost = letter.message.cost();
        let Some(displaced) = desk.make_room(cost, postage, letter.qos) else {
            return (Posted::Full, Vec::new());
        };
        if letter.qos != QoS::AtMostOnce {
            letter.position = desk.position();
        }
        desk.queue.push_back(letter);
        self.tell(desk);
        (Posted::Queued, displaced)
    }

    /// Keeps a place for a letter that is recorded before it is deposited.
    pub(crate) fn reserve(&self, cost: usize, postage: &Postage) -> Option<Place> {
        let mut desk = locked(&self.desk);
        if desk.state == State::Closed {
            return None;
        }
        let displaced = desk.make_room(cost, postage, QoS::AtLeastOnce)?;
        Some(Place {
            position: desk.position(),
            displaced,
        })
    }

    /// Puts in a retained message that a subscription asked for. Many of them may come at once, so bytes bound them and
    /// not their number.
    pub(crate) fn push_retained(&self, mut letter: Letter, postage: &Postage) -> Posted {
        let mut desk = locked(&self.desk);
        if !desk.admit_retained(letter.message.cost(), postage) {
            return Posted::Full;
        }
        if letter.qos != QoS::AtMostOnce {
            letter.position = desk.position();
        }
        desk.queue.push_back(letter);
        self.tell(desk);
        Posted::Queued
    }

    /// Keeps a place for a retained message that is recorded before it is deposited.
    pub(crate) fn reserve_retained(&self, cost: usize, postage: &Postage) -> Option<u64> {
        let mut desk = locked(&self.desk);
        desk.admit_retained(cost, postage).then(|| desk.position())
    }

    /// Gives a place back: the letter was not recorded.
    pub(crate) fn give_back(&self, cost: usize, postage: &Postage) {
        let mut desk = locked(&self.desk);
        desk.count = desk.count.saturating_sub(1);
        desk.bytes = desk.bytes.saturating_sub(cost);
        postage.subtract(cost);
    }

    /// Puts a letter into its place; gives it back if the session has ended.
    pub(crate) fn deposit(&self, letter: Letter, postage: &Postage) -> Result<(), Letter> {
        let mut desk = locked(&self.desk);
        if desk.state == State::Closed {
            postage.subtract(letter.message.cost());
            return Err(letter);
        }
        desk.queue.push_back(letter);
        self.tell(desk);
        Ok(())
    }

    /// Puts in a letter that waited before a restart, whatever the bounds are now.
    pub(crate) fn load(&self, letter: Letter, postage: &Postage) {
        let mut desk = locked(&self.desk);
        desk.count += 1;
        desk.bytes += letter.message.cost();
        postage.add(letter.message.cost());
        desk.queue.push_back(letter);
    }

    fn tell(&self, mut desk: std::sync::MutexGuard<'_, Desk>) {
        if desk.state != State::Quiet {
            return;
        }
        let Some(line) = desk.line.clone() else {
            return;
        };
        desk.state = State::Told;
        drop(desk);
        line.signal(Signals::MAIL);
    }

    /// Takes letters in their order, as long as there is room.
    pub(crate) fn take(&self, room: Room, postage: &Postage, letters: &mut Vec<Letter>) -> Taken {
        let mut desk = locked(&self.desk);
        let Room {
            mut exchanges,
            mut bytes,
        } = room;
        while let Some(letter) = desk.queue.front() {
            let is_exchange = letter.qos != QoS::AtMostOnce;
            if bytes == 0 || (is_exchange && exchanges == 0) {
                return Taken::Some;
            }
            let cost = letter.message.cost();
            bytes = bytes.saturating_sub(cost);
            exchanges -= usize::from(is_exchange);
            letters.extend(desk.pop(postage));
        }
        if desk.queue.capacity() > 16 {
            desk.queue.shrink_to(0);
        }
        if desk.state == State::Told {
            desk.state = State::Quiet;
        }
        Taken::Everything
    }

    /// A connection serves the session from now on; `true` if mail waits.
    pub(crate) fn attach(&self, line: &Arc<Line>) -> bool {
        let mut desk = locked(&self.desk);
        if desk.state == State::Closed {
            return false;
        }
        desk.line = Some(Arc::clone(line));
        let waits = !desk.queue.is_empty();
        desk.state = if waits { State::Told } else { State::Quiet };
        waits
    }

    /// The connection does not serve the session any more; letters at `QoS` 0 do not wait for another one.
    pub(crate) fn detach(&self, line: &Arc<Line>, postage: &Postage) {
        let mut desk = locked(&self.desk);
        if !desk.line.as_ref().is_some_and(|own| Arc::ptr_eq(own, line)) {
            return;
        }
        desk.line = None;
        if desk.state == State::Told {
            desk.state = State::Quiet;
        }
        let mut kept = VecDeque::new();
        while let Some(letter) = desk.pop(postage) {
            if letter.qos != QoS::AtMostOnce {
                desk.count += 1;
                desk.bytes += letter.message.cost();
                postage.add(letter.message.cost());
                kept.push_back(letter);
            }
        }
        desk.queue = kept;
    }

    /// Ends it; what waited is given back.
    pub(crate) fn close(&self, postage: &Postage) -> Vec<Letter> {
        let mut desk = locked(&self.desk);
        desk.state = State::Closed;
        desk.line = None;
        let mut letters = Vec::with_capacity(desk.queue.len());
        while let Some(letter) = desk.pop(postage) {
            letters.push(letter);
        }
        letters
    }

    /// The first position that was not taken yet.
    pub(crate) fn untaken_from(&self) -> u64 {
        let desk = locked(&self.desk);
        let first = desk.queue.iter().find(|l| l.qos != QoS::AtMostOnce);
        first.map_or(desk.next_position, |letter| letter.position)
    }

    /// Whether a connection is there that keeps up: a shared subscription prefers such members.
    pub(crate) fn is_ready(&self) -> bool {
        let desk = locked(&self.desk);
        desk.line.is_some() && desk.state != State::Closed && desk.queue.len() < READY_LETTERS_MAX
    }
}

/// A member of a shared subscription with more letters waiting gets the next one only if all others have as many.
const READY_LETTERS_MAX: usize = 64;

/// Retained messages stop here whatever their size: packet identifiers follow from positions, and no two open letters
/// may share one.
const RETAINED_LETTERS_MAX: usize = 60_000;

impl Desk {
    fn position(&mut self) -> u64 {
        let position = self.next_position;
        self.next_position += 1;
        position
    }

    /// Counts a letter in; `None` if there is no room and nothing may make room for it.
    fn make_room(&mut self, cost: usize, postage: &Postage, qos: QoS) -> Option<Vec<Letter>> {
        let mut displaced = Vec::new();
        while !self.fits(cost, postage) {
            let may_displace =
                postage.when_full == WhenQueueFull::DropOldest && qos != QoS::AtMostOnce;
            match self.queue.front() {
                Some(_) if may_displace => displaced.extend(self.pop(postage)),
                _ if displaced.is_empty() => return None,
                _ => break,
            }
        }
        self.count += 1;
        self.bytes += cost;
        postage.add(cost);
        Some(displaced)
    }

    fn fits(&self, cost: usize, postage: &Postage) -> bool {
        self.count < postage.letters_max && self.has_bytes(cost, postage)
    }

    fn has_bytes(&self, cost: usize, postage: &Postage) -> bool {
        self.bytes + cost <= postage.bytes_max && postage.total() + cost <= postage.total_bytes_max
    }

    /// Counts a retained message in, if there is room.
    fn admit_retained(&mut self, cost: usize, postage: &Postage) -> bool {
        let admitted = self.count < RETAINED_LETTERS_MAX
            && self.state != State::Closed
            && self.has_bytes(cost, postage);
        if admitted {
            self.count += 1;
            self.bytes += cost;
            postage.add(cost);
        }
        admitted
    }

    fn pop(&mut self, postage: &Postage) -> Option<Letter> {
        let letter = self.queue.pop_front()?;
        let cost = letter.message.cost();
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(cost);
        postage.subtract(cost);
        Some(letter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{
        message::{Message, SubscriptionIds},
        pulse::{Tick, Ticks},
    };

    fn letter(qos: QoS, text: &str) -> Letter {
        let message = Message {
            topic: "t".into(),
            payload: text.to_owned().into(),
            forwarded: Box::default(),
            qos,
            retain: false,
            expires: None,
            taken_at: crate::domain::UnixNanos(0),
            body: None,
        };
        Letter {
            message: Arc::new(message),
            position: 0,
            qos,
            retain: false,
            again: false,
            ids: SubscriptionIds::new(),
        }
    }

    fn payloads(letters: &[Letter]) -> Vec<&[u8]> {
        letters.iter().map(|l| &*l.message.payload).collect()
    }

    const EVERYTHING: Room = Room {
        exchanges: 100,
        bytes: 1 << 20,
    };

    fn attached(postage: &Postage, letters: &[(QoS, &str)]) -> Mailbox {
        let mailbox = Mailbox::new(1, None, 0);
        let line = Arc::new(Line::new(Tick(0), Ticks::NEVER));
        mailbox.attach(&line);
        for (qos, text) in letters {
            mailbox.push(letter(*qos, text), postage);
        }
        mailbox
    }

    #[test]
    fn a_full_mailbox_drops_the_newest_or_the_oldest_as_it_is_told() {
        for (policy, left) in [
            (WhenQueueFull::DropNewest, [b"a", b"b"]),
            (WhenQueueFull::DropOldest, [b"b", b"c"]),
        ] {
            let postage = Postage::new(2, 1 << 20, 1 << 20, policy);
            let qos = QoS::AtLeastOnce;
            let mailbox = attached(&postage, &[(qos, "a"), (qos, "b"), (qos, "c")]);
            let mut letters = Vec::new();
            assert_eq!(
                mailbox.take(EVERYTHING, &postage, &mut letters),
                Taken::Everything
            );
            assert_eq!(payloads(&letters), left);
            assert_eq!(postage.total(), 0);
        }
    }

    #[test]
    fn the_window_stops_exchanges_and_keeps_their_order() {
        let postage = Postage::new(9, 1 << 20, 1 << 20, WhenQueueFull::DropNewest);
        let (zero, one) = (QoS::AtMostOnce, QoS::AtLeastOnce);
        let mailbox = attached(
            &postage,
            &[(zero, "a"), (one, "b"), (one, "c"), (zero, "d")],
        );
        let room = Room {
            exchanges: 1,
            bytes: 1 << 20,
        };
        let mut letters = Vec::new();
        assert_eq!(mailbox.take(room, &postage, &mut letters), Taken::Some);
        assert_eq!(payloads(&letters), [b"a", b"b"]);
    }

    #[test]
    fn the_bound_of_all_mailboxes_holds_for_each() {
        let cost = letter(QoS::AtLeastOnce, "a").message.cost();
        let postage = Postage::new(9, 1 << 20, cost + 1, WhenQueueFull::DropNewest);
        let _first = attached(&postage, &[(QoS::AtLeastOnce, "a")]);
        let second = attached(&postage, &[]);
        let (posted, _) = second.push(letter(QoS::AtLeastOnce, "b"), &postage);
        assert_eq!(posted, Posted::Full);
    }

    #[test]
    fn letters_at_qos_0_do_not_wait_for_a_client_that_is_away() {
        let postage = Postage::new(9, 1 << 20, 1 << 20, WhenQueueFull::DropNewest);
        let mailbox = Mailbox::new(1, None, 0);
        let line = Arc::new(Line::new(Tick(0), Ticks::NEVER));
        mailbox.attach(&line);
        mailbox.push(letter(QoS::AtMostOnce, "a"), &postage);
        mailbox.push(letter(QoS::AtLeastOnce, "b"), &postage);
        mailbox.detach(&line, &postage);
        let (posted, _) = mailbox.push(letter(QoS::AtMostOnce, "c"), &postage);
        assert_eq!(posted, Posted::Away);
        assert_eq!(payloads(&mailbox.close(&postage)), [b"b"]);
        assert_eq!(postage.total(), 0);
    }
}
