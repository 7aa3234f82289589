//! `org.eclipse.tahu.protobuf.Payload`: the envelope, and the walk over its metrics to the sink.

use std::hash::BuildHasher as _;

use super::{
    super::{
        super::{
            payload::Reject,
            point::{Key, Point, Sink, Value},
            quality::Quality,
        },
        message::fields::{Fields, Raw},
    },
    array,
    metric::{Carried, Metric, is_array, moment, text, whole},
    names::Known,
};

/// Metrics of one record that are told apart; a name that stands twice among them begins a new record.
const TOLD_APART_MAX: usize = 64;

/// A payload whose outermost fields are sound. What is within its metrics has not been looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Envelope<'a> {
    bytes: &'a [u8],
    /// Milliseconds since 1970; 0 for none.
    time_ms: u64,
    /// None where it is left out, as encoders of proto3 do with a zero.
    pub(super) seq: Option<u64>,
    uuid: Option<&'a [u8]>,
    body: Option<&'a [u8]>,
}

impl<'a> Envelope<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Reject> {
        let mut envelope = Self {
            bytes,
            time_ms: 0,
            seq: None,
            uuid: None,
            body: None,
        };
        let mut fields = Fields::new(bytes, 0);
        while let Some(field) = fields.next()? {
            match field {
                (1, Raw::Varint(time)) => envelope.time_ms = time,
                (3, Raw::Varint(seq)) => envelope.seq = Some(seq),
                (4, Raw::Bytes(uuid)) => envelope.uuid = Some(uuid),
                (5, Raw::Bytes(body)) => envelope.body = Some(body),
                _ => {}
            }
        }
        Ok(envelope)
    }

    pub(super) fn heads<S: Sink>(&self, sink: &mut S) -> Result<(), Reject> {
        if let Some(time) = moment(self.time_ms) {
            sink.head(Key::Name("timestamp"), Value::Time(time))?;
        }
        if let Some(seq) = self.seq {
            sink.head(Key::Name("seq"), super::metric::unsigned(seq))?;
        }
        if let Some(uuid) = self.uuid {
            sink.head(Key::Name("uuid"), Value::Text(&text(uuid)))?;
        }
        if let Some(body) = self.body {
            sink.head(Key::Name("body"), Value::Bytes(body))?;
        }
        Ok(())
    }

    pub(super) const fn metrics(&self) -> Metrics<'a> {
        Metrics(Fields::new(self.bytes, 0))
    }

    /// The number in the metric `bdSeq`, which ties a node's death to its birth.
    pub(super) fn bd_seq(&self) -> Result<Option<u64>, Reject> {
        let mut metrics = self.metrics();
        while let Some(metric) = metrics.next()? {
            match (metric.name, metric.carried) {
                (Some(b"bdSeq"), Carried::Long(number)) => return Ok(Some(number)),
                (Some(b"bdSeq"), Carried::Int(number)) => return Ok(Some(u64::from(number))),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Hands the metrics to a sink: first those of now, then the historical ones.
    pub(super) fn read_metrics<S: Sink>(
        &self,
        known: Known<'_>,
        sink: &mut S,
    ) -> Result<(), Reject> {
        let mut record = Record::default();
        let mut has_history = false;
        let mut metrics = self.metrics();
        while let Some(metric) = metrics.next()? {
            if metric.is_historical {
                has_history = true;
            } else {
                record.put(&metric, self.time_ms, known, sink)?;
            }
        }
        record.end(sink)?;
        if has_history {
            self.read_history(known, sink)?;
        }
        Ok(())
    }

    /// Historical metrics: those of one time that stand together are one record.
    #[cold]
    fn read_history<S: Sink>(&self, known: Known<'_>, sink: &mut S) -> Result<(), Reject> {
        let mut record = Record::default();
        let mut time_ms = 0;
        let mut metrics = self.metrics();
        while let Some(metric) = metrics.next()? {
            if !metric.is_historical {
                continue;
            }
            if metric.time_ms != time_ms {
                record.end(sink)?;
                time_ms = metric.time_ms;
            }
            record.put(&metric, self.time_ms, known, sink)?;
        }
        record.end(sink)
    }
}

/// The metrics of a payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metrics<'a>(Fields<'a>);

impl<'a> Metrics<'a> {
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Metric<'a>>, Reject> {
        while let Some(field) = self.0.next()? {
            if let (2, Raw::Bytes(bytes)) = field {
                let read = Metric::read(bytes, 0);
                return match read {
                    Ok(metric) => Ok(Some(metric)),
                    // Only now it matters where the metric begins.
                    Err(_) => Metric::read(bytes, self.0.base_of(bytes)).map(Some),
                };
            }
        }
        Ok(None)
    }
}

/// The record in work.
struct Record {
    hasher: foldhash::fast::FixedState,
    names: [u64; TOLD_APART_MAX],
    points: usize,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            hasher: foldhash::fast::FixedState::default(),
            names: [0; TOLD_APART_MAX],
            points: 0,
        }
    }
}

impl Record {
    #[inline]
    fn put<S: Sink>(
        &mut self,
        metric: &Metric<'_>,
        payload_ms: u64,
        known: Known<'_>,
        sink: &mut S,
    ) -> Result<(), Reject> {
        if let Some(name) = metric.name {
            let datatype = known.of_name(metric, name)?;
            return self.put_named((&text(name), datatype), metric, payload_ms, sink);
        }
        if let Some(alias) = metric.alias {
            let named = known.of_alias(metric, alias)?;
            return self.put_named(named, metric, payload_ms, sink);
        }
        // Neither name nor alias: there is nothing that it could be.
        Ok(())
    }

    #[inline]
    fn put_named<S: Sink>(
        &mut self,
        (name, datatype): (&str, u32),
        metric: &Metric<'_>,
        payload_ms: u64,
        sink: &mut S,
    ) -> Result<(), Reject> {
        if metric.carried == Carried::Unread {
            return Ok(());
        }
        let hash = self.hasher.hash_one(name);
        let told_apart = self.points.min(TOLD_APART_MAX);
        let seen = self.names.get(..told_apart).unwrap_or_default();
        if seen.contains(&hash) {
            self.end(sink)?;
        }
        if let Some(place) = self.names.get_mut(self.points) {
            *place = hash;
        }
        if self.points == 0 && metric.is_historical {
            sink.point(Point::new(Key::Name("historical"), Value::Bool(true)))?;
        }
        self.points += 1;
        let mut point = Point::new(Key::Name(name), Value::Missing).quality(metric.quality);
        if metric.time_ms != payload_ms {
            point.time = moment(metric.time_ms);
        }
        hand_over(point, metric.carried, datatype, sink)
    }

    fn end<S: Sink>(&mut self, sink: &mut S) -> Result<(), Reject> {
        if self.points > 0 {
            sink.end_record()?;
        }
        self.points = 0;
        Ok(())
    }
}

#[inline]
fn hand_over<S: Sink>(
    point: Point<'_>,
    carried: Carried<'_>,
    datatype: u32,
    sink: &mut S,
) -> Result<(), Reject> {
    let mut quality = point.quality;
    let lived;
    let value = match carried {
        Carried::Nothing | Carried::Unread => Value::Missing,
        Carried::Float(value) => Value::Real(f64::from(value)),
        Carried::Double(value) => Value::Real(value),
        Carried::Boolean(value) => Value::Bool(value),
        Carried::Int(_) | Carried::Long(_) => {
            let (value, judged) = whole(carried, datatype);
            if quality == Quality::GOOD {
                quality = judged;
            }
            value
        }
        Carried::Text(bytes) => {
            lived = text(bytes);
            Value::Text(&lived)
        }
        Carried::Bytes(bytes) if is_array(datatype) => {
            return array::read(datatype, bytes, point, sink);
        }
        Carried::Bytes(bytes) => Value::Bytes(bytes),
    };
    sink.point(Point {
        value,
        quality,
        ..point
    })
}
