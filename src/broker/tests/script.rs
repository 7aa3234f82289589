//! An inlet that follows the test's script.

use std::sync::Mutex;

use tokio::sync::{Notify, mpsc};

use crate::broker::{Inbound, Inlet, Offer, Receipt, Refusal};

/// A publish as the inlet saw it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) utf8: bool,
    pub(super) user_properties: Vec<(String, String)>,
    pub(super) receipt: Option<Receipt>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    Take,
    Busy,
    Refuse(Refusal),
}

/// An inlet that does as the test says and shows the test every publish it takes.
#[derive(Debug)]
pub(super) struct Script {
    mode: Mutex<Mode>,
    room: Notify,
    pub(super) busy: Notify,
    seen: mpsc::Sender<Seen>,
}

impl Script {
    pub(super) fn new(seen: mpsc::Sender<Seen>) -> Self {
        Self {
            mode: Mutex::new(Mode::Take),
            room: Notify::new(),
            busy: Notify::new(),
            seen,
        }
    }

    pub(super) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
        self.room.notify_waiters();
    }
}

impl Inlet for Script {
    fn offer(&self, publish: Inbound<'_>, receipt: Option<Receipt>) -> Offer {
        let readings = publish.topic.ends_with("/up") || publish.topic.ends_with("/pb");
        if !readings {
            return Offer::Ordinary(receipt);
        }
        let mode = *self.mode.lock().unwrap();
        match mode {
            Mode::Busy => {
                self.busy.notify_one();
                Offer::Busy(receipt)
            }
            Mode::Refuse(refusal) => Offer::Refused(receipt, refusal),
            Mode::Take => {
                assert_ne!(publish.payload, b"panic", "asked for by the test");
                let seen = Seen {
                    topic: publish.topic.to_owned(),
                    payload: publish.payload.to_vec(),
                    utf8: publish.payload_format_utf8,
                    user_properties: publish
                        .user_properties
                        .iter()
                        .map(|(k, v)| (k.to_string(), v.to_string()))
                        .collect(),
                    receipt,
                };
                self.seen
                    .try_send(seen)
                    .expect("the test reads what it sends");
                Offer::Owed
            }
        }
    }

    async fn room(&self) {
        let notified = self.room.notified();
        if matches!(*self.mode.lock().unwrap(), Mode::Busy) {
            notified.await;
        }
    }
}
