//! Stepping a session of rustls' unbuffered interface over the records that came, and sealing what is to leave.

use rustls::{
    Error as TlsError,
    server::UnbufferedServerConnection,
    unbuffered::{
        ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError,
        UnbufferedStatus, WriteTraffic,
    },
};
use tokio::io::ReadBuf;

/// What a record adds, more than any suite does; rustls says if it is not enough.
pub(super) const SEAL_BYTES: usize = 64;

/// What is to be sealed once the session can.
pub(super) enum Word<'a> {
    Nothing,
    Data(&'a [u8]),
    Goodbye,
}

/// What stepping a session came to.
pub(super) struct Step {
    /// Bytes of the incoming ones that are done with.
    pub(super) used: usize,
    pub(super) closed: bool,
    pub(super) fault: Option<TlsError>,
}

/// Where opened records go: the caller's buffer, and beside it what that has no room for.
pub(super) struct Sink<'a, 'b> {
    pub(super) buffer: &'a mut ReadBuf<'b>,
    pub(super) rest: &'a mut Vec<u8>,
}

impl Sink<'_, '_> {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let count = if self.rest.is_empty() {
            bytes.len().min(self.buffer.remaining())
        } else {
            0
        };
        let (now, later) = bytes.split_at_checked(count).unwrap_or_default();
        self.buffer.put_slice(now);
        self.rest.extend_from_slice(later);
    }
}

/// Steps a session over the records that came, until it needs more of them.
pub(super) fn step(
    session: &mut UnbufferedServerConnection,
    records: &mut [u8],
    outward: &mut Vec<u8>,
    sink: &mut Sink<'_, '_>,
    mut word: Word<'_>,
) -> Step {
    let mut stepped = Step {
        used: 0,
        closed: false,
        fault: None,
    };
    loop {
        let rest = records.get_mut(stepped.used..).unwrap_or_default();
        let UnbufferedStatus { mut discard, state } = session.process_tls_records(rest);
        let done = match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                let mut fault = None;
                while let Some(record) = traffic.next_record() {
                    match record {
                        Ok(record) => {
                            discard += record.discard;
                            sink.take(record.payload);
                        }
                        Err(error) => fault = Some(error),
                    }
                }
                stepped.fault = fault;
                stepped.fault.is_some()
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                encode(&mut data, outward);
                false
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                false
            }
            Ok(ConnectionState::PeerClosed) => {
                stepped.closed = true;
                false
            }
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                match std::mem::replace(&mut word, Word::Nothing) {
                    Word::Nothing => true,
                    word => {
                        stepped.fault = seal(&mut traffic, &word, outward).err();
                        stepped.fault.is_some()
                    }
                }
            }
            // Early data is off: that state does not come.
            Ok(_) => true,
            Err(error) => {
                stepped.fault = Some(error);
                true
            }
        };
        stepped.used += discard;
        if done {
            return stepped;
        }
    }
}

/// Takes what a session has to say after a fault, the alert above all. Only while there is something: asked further,
/// rustls would look for the message that it stumbled over.
pub(super) fn drain(session: &mut UnbufferedServerConnection, outward: &mut Vec<u8>) {
    while session.wants_write() {
        match session.process_tls_records(&mut []).state {
            Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, outward),
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while traffic.next_record().is_some() {}
            }
            _ => return,
        }
    }
}

fn encode<D>(data: &mut EncodeTlsData<'_, D>, outward: &mut Vec<u8>) {
    into_spare(outward, SEAL_BYTES, |spare| match data.encode(spare) {
        Ok(count) => Ok(count),
        Err(EncodeError::InsufficientSize(more)) => Err(Some(more)),
        Err(EncodeError::AlreadyEncoded) => Err(None),
    })
    .unwrap_or_default();
}

fn seal<D>(
    traffic: &mut WriteTraffic<'_, D>,
    word: &Word<'_>,
    outward: &mut Vec<u8>,
) -> Result<(), TlsError> {
    let length = match word {
        Word::Data(bytes) => bytes.len(),
        Word::Nothing | Word::Goodbye => 0,
    };
    let sealed = into_spare(outward, length + SEAL_BYTES, |spare| {
        let sealed = match word {
            Word::Data(bytes) => traffic.encrypt(bytes, spare),
            Word::Goodbye => traffic.queue_close_notify(spare),
            Word::Nothing => Ok(0),
        };
        sealed.map_err(|error| match error {
            EncryptError::InsufficientSize(more) => Some(more),
            EncryptError::EncryptExhausted => None,
        })
    });
    sealed.map_err(|()| TlsError::EncryptError)
}

/// Lets `write` append to a buffer, with as much room as it asks for.
fn into_spare(
    buffer: &mut Vec<u8>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<InsufficientSizeError>>,
) -> Result<(), ()> {
    let start = buffer.len();
    let mut room = room;
    loop {
        buffer.resize(start + room, 0);
        match write(buffer.get_mut(start..).unwrap_or_default()) {
            Ok(count) => {
                buffer.truncate(start + count);
                return Ok(());
            }
            Err(Some(more)) if more.required_size > room => room = more.required_size,
            Err(_) => {
                buffer.truncate(start);
                return Err(());
            }
        }
    }
}
