//! What goes in and what comes out. All or nothing: a payload of which one reading cannot be read gives none.

use std::time::Duration;

use super::{changes::Changes, class::Class, json, memory::Memory, protobuf, sheet::Scratch};
use crate::{
    config::NormaliseConfig,
    domain::{Lane, LaneMap, QuarantineReason, UnixNanos},
};

/// Most unknown members of a reading that are kept, and most attributes that a transport may bring: room for what a
/// firmware adds, none for a device that would turn a reading into a store.
pub const MEMBERS_MAX: usize = 16;
/// Most bytes, names included, of either.
pub const MEMBER_BYTES_MAX: usize = 1_024;

/// How a payload is written; the topic says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadFormat {
    /// An object of the class's fields, or an array of such objects.
    Json,
    /// `sensegate.device.v1.Report`.
    Protobuf,
}

/// One publish of a device.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    /// The device's id.
    pub device: &'a str,
    /// How the bytes are written.
    pub format: PayloadFormat,
    /// The bytes.
    pub bytes: &'a [u8],
    /// When they arrived.
    pub received_at: UnixNanos,
    /// What is remembered of devices; none where nothing is to be: alarms are not judged then.
    pub memory: Option<&'a Memory>,
    /// What the transport knew, for example MQTT user properties. Of two with one name, the later gets `#2` behind it.
    pub attributes: &'a [(&'a str, &'a str)],
}

/// Bounds of what is taken, beside [`MEMBERS_MAX`] and [`MEMBER_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most readings in one payload.
    pub readings_per_payload_max: usize,
    /// Largest encoded reading, bytes.
    pub reading_bytes_max: usize,
    /// Largest difference between observed and received time that is not flagged.
    pub skew_max: Duration,
}

impl From<&NormaliseConfig> for Limits {
    fn from(config: &NormaliseConfig) -> Self {
        Self {
            readings_per_payload_max: config.readings_per_payload_max,
            reading_bytes_max: config.reading_bytes_max,
            skew_max: config.skew_max,
        }
    }
}

/// Readings as wire bytes, with what there is to count. Reused from payload to payload: it keeps its buffers.
#[derive(Debug, Default)]
pub struct Encoded {
    /// Entries of field 15 (`Batch.readings`), one behind the other.
    pub bytes: Vec<u8>,
    /// Readings in them.
    pub count: u32,
    /// Readings whose observed time was flagged.
    pub skewed: u32,
    /// Fields whose value was flagged: outside of the plausible range, not finite, or a number that their enum lacks.
    pub out_of_range: u32,
    /// Members or protobuf fields that the class does not know and that were kept.
    pub unknown_members: u32,
    /// Readings that a rule of the operator left out, by lane.
    pub suppressed: LaneMap<u32>,
    /// Which of the readings go where, in their order.
    pub runs: Vec<Run>,
    pub(super) scratch: Scratch,
    /// What the readings changed of what is remembered.
    pub(super) changes: Changes,
}

/// Consecutive readings of one class for one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The lane.
    pub lane: Lane,
    /// Place of the class in its catalogue.
    pub class: usize,
    /// Where they end in [`Encoded::bytes`].
    pub end: usize,
    /// How many there are.
    pub count: u32,
}

impl Encoded {
    /// Gives back a buffer that grew beyond so many bytes.
    pub fn relax(&mut self, bytes_kept: usize) {
        if self.bytes.capacity() > bytes_kept {
            self.bytes = Vec::new();
        }
    }

    /// The reading appended last goes there.
    pub(super) fn ran(&mut self, lane: Lane, class: usize) {
        let end = self.bytes.len();
        match self.runs.last_mut() {
            Some(run) if run.lane == lane && run.class == class => {
                run.end = end;
                run.count += 1;
            }
            _ => self.runs.push(Run {
                lane,
                class,
                end,
                count: 1,
            }),
        }
    }

    /// Forgets all readings, keeps the buffers.
    pub fn clear(&mut self) {
        let mark = Mark::default();
        self.rewind(mark);
        self.changes.clear();
    }

    /// The readings were not placed: whatever they changed in the memory is as it was before.
    pub fn forget(&mut self, memory: &Memory) {
        memory.undo(&mut self.changes, 0);
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            changes: self.changes.len(),
            runs: self.runs.len(),
            last_run: self.runs.last().copied(),
            bytes: self.bytes.len(),
            count: self.count,
            skewed: self.skewed,
            out_of_range: self.out_of_range,
            unknown_members: self.unknown_members,
            suppressed: self.suppressed,
        }
    }

    pub(super) fn rewind(&mut self, mark: Mark) {
        self.runs.truncate(mark.runs);
        if let (Some(last), Some(held)) = (self.runs.last_mut(), mark.last_run) {
            *last = held;
        }
        self.bytes.truncate(mark.bytes);
        self.count = mark.count;
        self.skewed = mark.skewed;
        self.out_of_range = mark.out_of_range;
        self.unknown_members = mark.unknown_members;
        self.suppressed = mark.suppressed;
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mark {
    /// Of the memory; they are taken back by whoever has it.
    pub(super) changes: usize,
    runs: usize,
    last_run: Option<Run>,
    bytes: usize,
    count: u32,
    skewed: u32,
    out_of_range: u32,
    unknown_members: u32,
    suppressed: LaneMap<u32>,
}

/// Why a payload cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The reason, as in metrics and listings.
    pub reason: QuarantineReason,
    /// Which reading, which member, what is wrong with it. One line.
    pub detail: String,
}

impl Reject {
    pub(super) fn new(reason: QuarantineReason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }

    /// Puts the place of the fault before its detail.
    pub(super) fn within(mut self, place: &str) -> Self {
        self.detail.insert_str(0, ": ");
        self.detail.insert_str(0, place);
        self
    }
}

impl std::fmt::Display for Reject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

impl std::error::Error for Reject {}

/// Appends a payload's readings to `out.bytes`, each as `0x7A, varint(length), sensegate.platform.v1.Reading`: entries
/// of `Batch.readings`, ready to be concatenated.
///
/// # Errors
/// [`Reject`] says why the payload belongs in quarantine; `out` is then as it was before.
pub fn normalise(
    class: &Class,
    payload: &Payload<'_>,
    limits: &Limits,
    out: &mut Encoded,
) -> Result<(), Reject> {
    let mark = out.mark();
    let read = match payload.format {
        PayloadFormat::Json => json::read(class, payload, limits, out),
        PayloadFormat::Protobuf => protobuf::read(class, payload, limits, out),
    };
    if read.is_err() {
        out.rewind(mark);
    }
    read
}
