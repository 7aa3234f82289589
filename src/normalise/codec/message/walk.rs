//! The way of a payload through the tree of keys. As deep as the deepest key, whatever the payload holds.

use super::{
    super::super::{
        payload::Reject,
        point::{Key, Point, Sink},
        wire::Wire,
    },
    Zeros,
    fields::{Fields, Raw},
    scalar::{Read, Scalar},
    schema::{EDGES_MAX, Edge, Leaf, Map, MapKey, Presence, ROOT, Schema, Target, To},
};
use crate::domain::QuarantineReason;

/// Where values go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// To all records: what stands outside of `each`.
    Head,
    /// To the record in work.
    Record,
}

/// One payload on its way.
pub(super) struct Walk<'s, S> {
    schema: &'s Schema,
    zeros: Zeros,
    sink: &'s mut S,
    place: Place,
    points: usize,
}

/// The fields of a message that have been met.
#[derive(Default)]
struct Met([u64; EDGES_MAX / 64]);

impl Met {
    /// Marks a field; says whether it had not been met.
    #[inline]
    fn mark(&mut self, place: usize) -> bool {
        let bit = 1_u64 << (place % 64);
        let Some(word) = self.0.get_mut(place / 64) else {
            return true;
        };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

impl<'s, S: Sink> Walk<'s, S> {
    /// Reads a payload.
    pub(super) fn run(
        schema: &'s Schema,
        zeros: Zeros,
        payload: &[u8],
        sink: &'s mut S,
    ) -> Result<(), Reject> {
        let mut walk = Self {
            schema,
            zeros,
            sink,
            place: Place::Record,
            points: 0,
        };
        let Some((numbers, records)) = &schema.each else {
            walk.message(ROOT, payload)?;
            return if walk.points > 0 {
                walk.sink.end_record()
            } else {
                Ok(())
            };
        };
        walk.place = Place::Head;
        walk.message(ROOT, payload)?;
        walk.place = Place::Record;
        walk.records(numbers, *records, payload)
    }

    /// The elements that are records, below so many levels.
    fn records(&mut self, numbers: &[u32], node: usize, bytes: &[u8]) -> Result<(), Reject> {
        let Some((wanted, below)) = numbers.split_first() else {
            self.message(node, bytes)?;
            return self.sink.end_record();
        };
        let mut fields = Fields::new(bytes, 0);
        while let Some((number, raw)) = fields.next()? {
            if number != *wanted {
                continue;
            }
            let Raw::Bytes(inner) = raw else {
                return Err(other_type(number));
            };
            self.records(below, node, inner)
                .map_err(|reject| within(number, reject))?;
        }
        Ok(())
    }

    fn message(&mut self, node: usize, bytes: &[u8]) -> Result<(), Reject> {
        let schema = self.schema;
        let edges = schema.edges(node);
        let mut met = Met::default();
        let mut fields = Fields::new(bytes, 0);
        // Fields mostly come in the order of their numbers: the edge wanted next is the one behind the last.
        let mut next = 0;
        while let Some((number, raw)) = fields.next()? {
            let Some((place, edge)) = find(edges, next, number) else {
                continue;
            };
            next = place + 1;
            let is_new = met.mark(place);
            if !is_new && matches!(edge.to, To::One(_)) {
                let detail = format!("field {number} stands twice in one message");
                return Err(Reject::new(QuarantineReason::FieldDuplicate, detail));
            }
            self.edge(edge, raw)?;
        }
        if self.zeros == Zeros::Read {
            self.left_out(edges, &mut met)?;
        }
        Ok(())
    }

    #[inline]
    fn edge(&mut self, edge: &Edge, raw: Raw<'_>) -> Result<(), Reject> {
        match &edge.to {
            To::One(target) => self.target(edge.number, *target, raw),
            To::Many(Target::Leaf(leaf)) => match raw {
                Raw::Bytes(packed) if leaf.scalar.is_packable() => {
                    self.packed(edge.number, *leaf, packed)
                }
                raw => self.leaf(edge.number, *leaf, raw),
            },
            To::Many(target) => self.target(edge.number, *target, raw),
            To::Map(map) => self.map_entry(edge.number, map, raw),
            To::Records => Ok(()),
        }
    }

    #[inline]
    fn target(&mut self, number: u32, target: Target, raw: Raw<'_>) -> Result<(), Reject> {
        match (target, raw) {
            (Target::Leaf(leaf), raw) => self.leaf(number, leaf, raw),
            (Target::Message(node), Raw::Bytes(inner)) => self
                .message(node, inner)
                .map_err(|reject| within(number, reject)),
            (Target::Message(_), _) => Err(other_type(number)),
        }
    }

    #[inline]
    fn leaf(&mut self, number: u32, leaf: Leaf, raw: Raw<'_>) -> Result<(), Reject> {
        let read = leaf.scalar.read(raw, &self.schema.enums);
        let read = read.ok_or_else(|| other_type(number))?;
        let key = Key::Code(leaf.code);
        if self.place == Place::Head {
            return self.sink.head(key, read.value());
        }
        self.points += 1;
        let mut point = Point::new(key, read.value()).quality(read.quality());
        if leaf.scalar == Scalar::Duration {
            point = point.unit("s");
        }
        self.sink.point(point)
    }

    fn packed(&mut self, number: u32, leaf: Leaf, packed: &[u8]) -> Result<(), Reject> {
        let mut wire = Wire::new(packed);
        while !wire.is_empty() {
            let element = leaf.scalar.unpack(&mut wire).ok_or_else(|| {
                let detail = format!("field {number}: its packed elements are cut off");
                Reject::new(QuarantineReason::FrameMalformed, detail)
            })?;
            self.leaf(number, leaf, element)?;
        }
        Ok(())
    }

    fn map_entry(&mut self, number: u32, map: &Map, raw: Raw<'_>) -> Result<(), Reject> {
        let Raw::Bytes(entry) = raw else {
            return Err(other_type(number));
        };
        let mut key = map.key.zero();
        let mut value = None;
        let mut fields = Fields::new(entry, 0);
        while let Some(field) = fields.next().map_err(|reject| within(number, reject))? {
            match field {
                (1, raw) => key = raw,
                (2, raw) => value = Some(raw),
                _ => {}
            }
        }
        let key = map.key.read(key, &[]).ok_or_else(|| other_type(number))?;
        let wanted = map.entries.iter().find(|entry| is_key(&entry.0, &key));
        let Some((_, target)) = wanted else {
            return Ok(());
        };
        let zero = match target {
            Target::Leaf(leaf) => leaf.scalar.zero(),
            Target::Message(_) => Raw::Bytes(&[]),
        };
        self.target(number, *target, value.unwrap_or(zero))
    }

    /// Fields without presence that were not met are zero.
    fn left_out(&mut self, edges: &[Edge], met: &mut Met) -> Result<(), Reject> {
        for (place, edge) in edges.iter().enumerate() {
            if let (Presence::Implicit, To::One(Target::Leaf(leaf))) = (edge.presence, &edge.to)
                && met.mark(place)
            {
                self.leaf(edge.number, *leaf, leaf.scalar.zero())?;
            }
        }
        Ok(())
    }
}

#[inline]
fn find(edges: &[Edge], next: usize, number: u32) -> Option<(usize, &Edge)> {
    if let Some(edge) = edges.get(next)
        && edge.number == number
    {
        return Some((next, edge));
    }
    let place = edges
        .binary_search_by_key(&number, |edge| edge.number)
        .ok()?;
    edges.get(place).map(|edge| (place, edge))
}

fn is_key(wanted: &MapKey, found: &Read<'_>) -> bool {
    use super::super::super::point::Value;
    match (wanted, found.value()) {
        (MapKey::Text(wanted), Value::Text(found)) => **wanted == *found,
        (MapKey::Whole(wanted), Value::Whole(found)) => *wanted == found,
        (MapKey::Large(wanted), Value::Large(found)) => *wanted == found,
        (MapKey::Bool(wanted), Value::Bool(found)) => *wanted == found,
        _ => false,
    }
}

#[cold]
fn within(number: u32, reject: Reject) -> Reject {
    reject.within(&format!("in field {number}"))
}

#[cold]
fn other_type(number: u32) -> Reject {
    let detail = format!("field {number} is of another type than the message declares");
    Reject::new(QuarantineReason::FieldType, detail)
}
