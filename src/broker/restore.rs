//! Reading the archive at start: sessions of clients that are now away, their letters, and the retained messages. What
//! belongs to nobody any more is removed; what cannot be read is counted, told and removed.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU32,
    sync::Arc,
};

use super::{
    archive::{Changes, RecordKey},
    hub::Core,
    message::{Letter, Message},
    pulse::Ticks,
    records::{self, LetterRecord, MessageRecord, SessionRecord},
    registry::Absence,
    session,
};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Restoration {
    pub(crate) sessions: usize,
    pub(crate) letters: usize,
    pub(crate) retained: usize,
    /// Sessions that had expired, or for which there was no room.
    pub(crate) ended: usize,
    /// Records that could not be read or belonged to nobody.
    pub(crate) unreadable: usize,
}

impl Restoration {
    /// Says in the log what was found, if anything was.
    pub(crate) fn tell(&self) {
        let Self {
            sessions,
            letters,
            retained,
            ended,
            unreadable,
        } = *self;
        if sessions + retained + ended > 0 {
            tracing::info!(
                sessions,
                letters,
                retained,
                ended,
                "MQTT sessions and retained messages restored"
            );
        }
        if unreadable > 0 {
            tracing::warn!(
                records = unreadable,
                "records of MQTT sessions that could not be used were removed"
            );
        }
    }
}

#[derive(Default)]
struct Loading {
    sessions: BTreeMap<u32, SessionRecord>,
    letters: HashMap<u32, BTreeMap<u64, LetterRecord>>,
    received: HashMap<u32, Vec<u16>>,
    bodies: HashMap<u64, Arc<Message>>,
    gone: Changes,
    found: Restoration,
}

/// Restores everything.
pub(crate) fn restore(
    core: &Core,
    stored: impl Iterator<Item = (RecordKey, Vec<u8>)>,
) -> Restoration {
    let mut loading = Loading::default();
    for (key, value) in stored {
        if loading.read(core, &key, &value).is_none() {
            loading.found.unreadable += 1;
            loading.gone.delete(key);
        }
    }
    let sessions = loading.sessions.last_key_value().map_or(0, |(&n, _)| n);
    let bodies = loading.bodies.keys().max().copied().unwrap_or_default();
    core.exchange
        .skip_to(sessions.saturating_add(1), bodies + 1);
    // The newest first: of two sessions of one client the older one had ended.
    while let Some((number, record)) = loading.sessions.pop_last() {
        loading.settle(core, number, record);
    }
    loading.sweep();
    core.exchange.archive.note(loading.gone, None);
    loading.found
}

impl Loading {
    fn read(&mut self, core: &Core, key: &RecordKey, value: &[u8]) -> Option<()> {
        let [kind, ..] = *key;
        let (session, position) = records::read_positioned(key);
        match kind {
            records::SESSION => {
                self.sessions.insert(session, records::decode(value)?);
            }
            records::LETTER => {
                let letter = records::decode(value)?;
                let letters = self.letters.entry(session).or_default();
                letters.insert(position, letter);
            }
            records::BODY => {
                let record: MessageRecord = records::decode(value)?;
                let number = records::read_number(key);
                let mut message = records::read_message(record);
                message.body = Some(core.exchange.bodies.body(number));
                self.bodies.insert(number, Arc::new(message));
            }
            records::RETAINED => {
                let record: MessageRecord = records::decode(value)?;
                let message = records::read_message(record);
                let number = records::read_number(key);
                core.exchange.retained.load(number, message);
                self.found.retained += 1;
            }
            records::RECEIVED => {
                let id = u16::try_from(position).ok()?;
                self.received.entry(session).or_default().push(id);
            }
            _ => return None,
        }
        Some(())
    }

    fn settle(&mut self, core: &Core, number: u32, record: SessionRecord) {
        let now = core.clock.now();
        let away_since = match record.away_since {
            0 => now.0,
            since => since,
        };
        let lifetime = u64::from(record.expiry_s).saturating_mul(1_000_000_000);
        let left = away_since.saturating_add(lifetime).saturating_sub(now.0);
        let letters = self.letters.remove(&number).unwrap_or_default();
        let received = self.received.remove(&number).unwrap_or_default();
        let records = (letters, received);
        let lasting = NonZeroU32::new(number).filter(|_| left > 0);
        let Some(lasting) = lasting else {
            return self.end(number, records);
        };
        let (letters, received) = records;
        let letters = letters
            .into_iter()
            .filter_map(|(position, record)| {
                let letter = self.letter(position, &record);
                if letter.is_none() && record.body != 0 {
                    self.gone.delete(records::letter_key(number, position));
                    self.found.unreadable += 1;
                    return None;
                }
                Some((position, letter))
            })
            .collect::<session::Letters>();
        let count = letters.len();
        let restored = session::restore(&core.exchange, lasting, record, (letters, received));
        let Some(restored) = restored else {
            self.found.unreadable += 1;
            self.gone.delete(records::session_key(number));
            return;
        };
        let tick = core.pulse.now();
        let seconds = u32::try_from(left / 1_000_000_000).unwrap_or(u32::MAX);
        let absence = Absence {
            kept: Box::new(restored.kept),
            expires: tick.plus(Ticks::from_seconds(seconds.max(1))),
            will: restored
                .will
                .map(|will| (tick.plus(Ticks::from_seconds(will.delay_s)), will)),
            line: None,
        };
        match core
            .registry
            .restore(restored.key, Box::new(absence), restored.down)
        {
            Ok(()) => {
                self.found.sessions += 1;
                self.found.letters += count;
            }
            Err(absence) => {
                self.found.ended += 1;
                absence.kept.retire(&core.exchange);
            }
        }
    }

    fn letter(&self, position: u64, record: &LetterRecord) -> Option<Letter> {
        let message = self.bodies.get(&record.body)?;
        Some(Letter {
            message: Arc::clone(message),
            position,
            qos: records::qos(record.qos),
            retain: record.retain,
            again: true,
            ids: record.ids.iter().copied().collect(),
        })
    }

    /// Nothing of a session stays.
    fn end(&mut self, number: u32, (letters, received): (BTreeMap<u64, LetterRecord>, Vec<u16>)) {
        self.found.ended += 1;
        self.gone.delete(records::session_key(number));
        for position in letters.into_keys() {
            self.gone.delete(records::letter_key(number, position));
        }
        for id in received {
            self.gone.delete(records::received_key(number, id));
        }
    }

    /// Letters and identifiers of sessions that are not there.
    fn sweep(&mut self) {
        let letters = std::mem::take(&mut self.letters);
        let received = std::mem::take(&mut self.received);
        for (number, letters) in letters {
            self.found.unreadable += letters.len();
            for position in letters.into_keys() {
                self.gone.delete(records::letter_key(number, position));
            }
        }
        for (number, ids) in received {
            for id in ids {
                self.gone.delete(records::received_key(number, id));
            }
        }
    }
}
