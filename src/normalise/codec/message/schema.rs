//! Keys compiled: a tree by field numbers, of which each level is a message. Everything that a payload is read with is
//! in it; descriptors are met while a profile is compiled and never again.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::{
    Enums,
    path::{Pick, Segment},
    scalar::{EnumNames, Scalar},
};

/// Most fields of one message that a profile reads: a walk marks the ones that it has met in so many bits.
pub(super) const EDGES_MAX: usize = 256;

/// Place of the outermost message among the nodes.
pub(super) const ROOT: usize = 0;

/// The tree.
#[derive(Debug)]
pub(super) struct Schema {
    nodes: Vec<Vec<Edge>>,
    pub(super) enums: Vec<EnumNames>,
    enums_as: Enums,
    /// Field numbers down to the repeated message that gives the records, and its node.
    pub(super) each: Option<(Vec<u32>, usize)>,
}

/// A level of a key on its node.
#[derive(Debug, Clone, Copy)]
struct At<'a> {
    node: usize,
    field: &'a FieldDescriptor,
    segment: &'a Segment<'a>,
}

/// A field that is read.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) number: u32,
    pub(super) presence: Presence,
    pub(super) to: To,
}

/// What it means that a field is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// There is none.
    Explicit,
    /// It is zero or empty (proto3 without `optional`).
    Implicit,
}

#[derive(Debug)]
pub(super) enum To {
    One(Target),
    Many(Target),
    Map(Map),
    /// The elements that are records.
    Records,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Leaf(Leaf),
    /// Place of its node.
    Message(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) code: u64,
    pub(super) scalar: Scalar,
}

#[derive(Debug)]
pub(super) struct Map {
    pub(super) key: Scalar,
    /// Small: linear search is the fastest.
    pub(super) entries: Vec<(MapKey, Target)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum MapKey {
    Text(Box<str>),
    Whole(i64),
    Large(u64),
    Bool(bool),
}

impl Schema {
    pub(super) fn new(enums_as: Enums) -> Self {
        Self {
            nodes: vec![Vec::new()],
            enums: Vec::new(),
            enums_as,
            each: None,
        }
    }

    /// Fields of a node, sorted by number.
    pub(super) fn edges(&self, node: usize) -> &[Edge] {
        self.nodes.get(node).map(Vec::as_slice).unwrap_or_default()
    }

    /// Makes the elements of a repeated message the records.
    pub(super) fn set_each(
        &mut self,
        root: &MessageDescriptor,
        segments: &[Segment<'_>],
    ) -> Result<(), String> {
        let mut message = root.clone();
        let mut numbers = Vec::new();
        for (place, segment) in segments.iter().enumerate() {
            let field = field(&message, segment.field)?;
            let is_last = place + 1 == segments.len();
            if field.is_map() || field.is_list() != is_last {
                return Err(format!(
                    "each: `{}` of {}: the last field, and no other, is to be a repeated message",
                    segment.field,
                    message.full_name()
                ));
            }
            numbers.push(field.number());
            message = inner(&field)?;
        }
        let records = self.node()?;
        self.each = Some((numbers, records));
        Ok(())
    }

    /// Enters a key under the code that its points will have.
    pub(super) fn enter(
        &mut self,
        root: &MessageDescriptor,
        segments: &[Segment<'_>],
        code: u64,
    ) -> Result<(), String> {
        let (mut node, mut message) = (ROOT, root.clone());
        // The numbers so far, as long as no field is repeated.
        let mut numbers = Some(Vec::new());
        let mut rest = segments;
        while let Some((segment, behind)) = rest.split_first() {
            rest = behind;
            let field = field(&message, segment.field)?;
            check_pick(&field, segment)?;
            if let Some(numbers) = &mut numbers {
                numbers.push(field.number());
            }
            let is_each = |(each, _): &&(Vec<u32>, usize)| Some(each) == numbers.as_ref();
            if let Some(records) = self.each.as_ref().filter(is_each).map(|each| each.1) {
                self.records_edge(node, &field)?;
                (node, message, numbers) = (records, inner(&field)?, None);
                continue;
            }
            if segment.pick != Pick::One {
                numbers = None;
            }
            let value = match segment.pick {
                Pick::Entry(_) => inner(&field)?.map_entry_value_field(),
                _ => field.clone(),
            };
            let at = At {
                node,
                field: &field,
                segment,
            };
            if rest.is_empty() {
                return self.enter_leaf(at, &value, code);
            }
            let to = self.enter_message(at)?;
            (node, message) = (to, inner(&value)?);
        }
        Err("the elements of `each` are messages: go on with `.` and one of their fields".into())
    }

    fn enter_leaf(&mut self, at: At<'_>, value: &FieldDescriptor, code: u64) -> Result<(), String> {
        let scalar = match value.kind() {
            Kind::Enum(_) if self.enums_as == Enums::Numbers => Scalar::Int32,
            Kind::Enum(descriptor) => {
                self.enums.push(EnumNames::of(&descriptor));
                Scalar::Enum(self.enums.len() - 1)
            }
            Kind::Message(message) => match message.full_name() {
                "google.protobuf.Timestamp" => Scalar::Timestamp,
                "google.protobuf.Duration" => Scalar::Duration,
                name if is_wrapper(name) => {
                    let node = self.enter_message(at)?;
                    let value = field(&message, "value")?;
                    let inner = At {
                        node,
                        field: &value,
                        segment: &Segment {
                            field: "value",
                            pick: Pick::One,
                        },
                    };
                    return self.enter_leaf(inner, &value, code);
                }
                name => {
                    return Err(format!(
                        "`{}` is a message, {name}: go on with `.` and one of {}",
                        at.segment.field,
                        fields_of(&message)
                    ));
                }
            },
            kind => Scalar::of(&kind).ok_or("a type without values")?,
        };
        let target = Target::Leaf(Leaf { code, scalar });
        self.put(at, target).map(drop)
    }

    /// The node below a field, a new one if there is none yet.
    fn enter_message(&mut self, at: At<'_>) -> Result<usize, String> {
        let fresh = self.nodes.len();
        match self.put(at, Target::Message(fresh))? {
            Target::Message(below) => {
                if below == fresh {
                    self.node()?;
                }
                Ok(below)
            }
            Target::Leaf(_) => Err(taken(at.segment)),
        }
    }

    /// Puts a target below a field unless there is one; gives the one that is there then.
    fn put(&mut self, at: At<'_>, target: Target) -> Result<Target, String> {
        let to = match at.segment.pick {
            Pick::One => To::One(target),
            Pick::Every => To::Many(target),
            Pick::Entry(_) => To::Map(Map {
                key: map_key_scalar(at.field)?,
                entries: Vec::new(),
            }),
        };
        let found = match (self.edge(at.node, at.field, to)?, at.segment.pick) {
            (To::One(found) | To::Many(found), _) => *found,
            (To::Map(map), Pick::Entry(entry)) => map.entry(entry, target)?,
            _ => return Err(taken(at.segment)),
        };
        let is_same_kind =
            matches!((found, target), (Target::Message(_), Target::Message(_))) || found == target;
        if is_same_kind {
            Ok(found)
        } else {
            Err(taken(at.segment))
        }
    }

    fn records_edge(&mut self, node: usize, field: &FieldDescriptor) -> Result<(), String> {
        self.edge(node, field, To::Records).map(drop)
    }

    /// The edge of a field, a new one if there is none yet.
    fn edge(&mut self, node: usize, field: &FieldDescriptor, to: To) -> Result<&mut To, String> {
        let edges = self.nodes.get_mut(node).ok_or("no such node")?;
        let number = field.number();
        let place = match edges.binary_search_by_key(&number, |edge| edge.number) {
            Ok(place) => place,
            Err(_) if edges.len() == EDGES_MAX => {
                return Err(format!(
                    "more than {EDGES_MAX} fields of one message are read"
                ));
            }
            Err(place) => {
                let is_implicit = matches!(to, To::One(Target::Leaf(_)))
                    && !field.supports_presence()
                    && !field.is_required();
                let presence = if is_implicit {
                    Presence::Implicit
                } else {
                    Presence::Explicit
                };
                let edge = Edge {
                    number,
                    presence,
                    to,
                };
                edges.insert(place, edge);
                place
            }
        };
        let edge = edges.get_mut(place).ok_or("no such edge")?;
        Ok(&mut edge.to)
    }

    fn node(&mut self) -> Result<usize, String> {
        self.nodes.push(Vec::new());
        Ok(self.nodes.len() - 1)
    }
}

impl Map {
    fn entry(&mut self, spelled: &str, target: Target) -> Result<Target, String> {
        let wrong = || format!("`[{spelled}]`: the map's keys are of another type");
        let key = match self.key {
            Scalar::Text => MapKey::Text(spelled.into()),
            Scalar::Bool => MapKey::Bool(spelled.parse().map_err(|_other| wrong())?),
            _ => match spelled.parse() {
                Ok(number) => MapKey::Whole(number),
                Err(_) => MapKey::Large(spelled.parse().map_err(|_other| wrong())?),
            },
        };
        if let Some((_, known)) = self.entries.iter().find(|entry| entry.0 == key) {
            return Ok(*known);
        }
        self.entries.push((key, target));
        Ok(target)
    }
}

fn field(message: &MessageDescriptor, name: &str) -> Result<FieldDescriptor, String> {
    let found = message
        .get_field_by_name(name)
        .or_else(|| message.get_field_by_json_name(name));
    match found {
        Some(field) if field.is_group() => Err(format!("`{name}` is a group, which is not read")),
        Some(field) => Ok(field),
        None => Err(format!(
            "{} has no field `{name}`; it has {}",
            message.full_name(),
            fields_of(message)
        )),
    }
}

/// The message of a field; of a map, the one of its entries.
fn inner(field: &FieldDescriptor) -> Result<MessageDescriptor, String> {
    match field.kind() {
        Kind::Message(message) => Ok(message),
        _ => Err(format!(
            "`{}` is no message: nothing stands below it",
            field.name()
        )),
    }
}

fn check_pick(field: &FieldDescriptor, segment: &Segment<'_>) -> Result<(), String> {
    let name = segment.field;
    match segment.pick {
        Pick::Entry(_) if field.is_map() => Ok(()),
        Pick::Every if field.is_list() => Ok(()),
        Pick::One if !field.is_map() && !field.is_list() => Ok(()),
        _ if field.is_map() => Err(format!("`{name}` is a map: write `{name}[key]`")),
        _ if field.is_list() => Err(format!("`{name}` is repeated: write `{name}[]`")),
        _ => Err(format!("`{name}` stands once: write it without brackets")),
    }
}

fn map_key_scalar(field: &FieldDescriptor) -> Result<Scalar, String> {
    let kind = inner(field)?.map_entry_key_field().kind();
    Scalar::of(&kind).ok_or_else(|| format!("`{}` is a map without keys", field.name()))
}

fn fields_of(message: &MessageDescriptor) -> String {
    let names: Vec<_> = message
        .fields()
        .map(|field| field.name().to_owned())
        .collect();
    names.join(", ")
}

/// Messages that exist to tell zero from nothing.
pub(super) fn is_wrapper(name: &str) -> bool {
    let last = name.strip_prefix("google.protobuf.");
    last.is_some_and(|last| {
        let kinds = [
            "Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes",
        ];
        last.strip_suffix("Value")
            .is_some_and(|kind| kinds.contains(&kind))
    })
}

fn taken(segment: &Segment<'_>) -> String {
    format!(
        "`{}` is read as a whole and by its fields at once",
        segment.field
    )
}
