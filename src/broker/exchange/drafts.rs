//! Letters on their way into the archive, and the records of letters and bodies.

use std::sync::Arc;

use crate::broker::{
    archive::Changes,
    mailbox::Mailbox,
    message::{Letter, Message},
    records::{self, LetterRecord},
};

/// A letter that is being recorded.
pub(super) struct Draft {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) letter: Letter,
}

/// Letters that wait for a record.
#[derive(Default)]
pub(crate) struct Posting(pub(super) Vec<Draft>);

impl Posting {
    /// Adds another subscription's.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }
}

pub(super) fn forget(changes: &mut Changes, mailbox: &Mailbox, letter: &Letter) {
    if let Some(number) = mailbox.number {
        changes.delete(records::letter_key(number.get(), letter.position));
    }
}

pub(super) fn put_letter(changes: &mut Changes, mailbox: &Mailbox, letter: &Letter) {
    let (Some(number), Some(body)) = (mailbox.number, &letter.message.body) else {
        return;
    };
    let record = LetterRecord {
        body: body.number,
        qos: letter.qos.value().into(),
        retain: letter.retain,
        ids: letter.ids.to_vec(),
    };
    let key = records::letter_key(number.get(), letter.position);
    changes.put(key, records::encode(&record));
}

pub(super) fn put_body(changes: &mut Changes, message: &Message) {
    if let Some(body) = &message.body {
        let record = records::encode(&records::message(message));
        changes.put(records::body_key(body.number), record);
    }
}
