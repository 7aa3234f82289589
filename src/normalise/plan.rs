//! A class compiled for the path of a reading: every name, number and range at hand, nothing to interpret.

use super::{
    class::{AlarmRule, Field, FieldKind},
    wire,
};

/// Most fields of a class; the bit set of members seen has this many bits.
pub(super) const FIELDS_MAX: usize = 256;

/// How an integer field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Integer {
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
}

/// How a field's value is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    Double,
    Float,
    Integer(Integer),
    Bool,
    Text,
    Enum,
}

impl Form {
    /// The wire type of the field's key.
    pub(super) const fn wire_type(&self) -> u8 {
        match self {
            Self::Double | Self::Integer(Integer::Fixed64 | Integer::Sfixed64) => wire::FIXED64,
            Self::Float | Self::Integer(Integer::Fixed32 | Integer::Sfixed32) => wire::FIXED32,
            Self::Text => wire::LENGTH,
            Self::Integer(_) | Self::Bool | Self::Enum => wire::VARINT,
        }
    }

    /// What a reader of an error message calls it.
    pub(super) const fn wanted(&self) -> &'static str {
        match self {
            Self::Double | Self::Float => "a number",
            Self::Integer(_) => "an integer",
            Self::Bool => "true or false",
            Self::Text => "text",
            Self::Enum => "a code",
        }
    }
}

/// One field of the plan.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: Box<str>,
    json_name: Box<str>,
    pub(super) number: u32,
    pub(super) form: Form,
    /// The field's key on the wire.
    pub(super) key: Box<[u8]>,
    /// Plausible range; infinite where the class names none.
    pub(super) min: f64,
    pub(super) max: f64,
    codes: Box<[Code]>,
    /// Values beyond which an alarm is up.
    pub(super) thresholds: Box<[AlarmRule]>,
}

#[derive(Debug)]
struct Code {
    code: Box<str>,
    name: Box<str>,
    number: i32,
}

impl Slot {
    /// The number of an enum's code or of a value's full name.
    #[inline]
    pub(super) fn code(&self, text: &str) -> Option<i32> {
        let by = |is: fn(&Code) -> &str| self.codes.iter().find(|code| is(code) == text);
        by(|code| &code.code)
            .or_else(|| by(|code| &code.name))
            .map(|code| code.number)
    }

    /// The codes, for an error message.
    pub(super) fn codes_listed(&self) -> String {
        let codes: Vec<&str> = self
            .codes
            .iter()
            .filter(|code| code.number != 0)
            .map(|code| &*code.code)
            .collect();
        codes.join(", ")
    }

    /// Whether the enum knows the number.
    #[inline]
    pub(super) fn knows(&self, number: i32) -> bool {
        self.codes.iter().any(|code| code.number == number)
    }

    /// Whether a number lies in the plausible range.
    #[inline]
    pub(super) fn plausible(&self, value: f64) -> bool {
        self.min <= value && value <= self.max
    }
}

/// The plan of a class.
#[derive(Debug)]
pub(super) struct Plan {
    slots: Box<[Slot]>,
    /// Every name of every slot, by length and bytes.
    names: Box<[(Box<str>, usize)]>,
    /// The entry `class_id` of `sensegate.platform.v1.Reading`.
    pub(super) class_entry: Box<[u8]>,
}

impl Plan {
    /// Compiles the fields, which are ascending by number; `forms` and `zeros` (the name of an enum's zero value, or
    /// empty) stand beside them.
    pub(super) fn new(class_id: &str, fields: &[Field], forms: Vec<(Form, String)>) -> Self {
        let slots: Box<[Slot]> = fields
            .iter()
            .zip(forms)
            .map(|(field, (form, zero))| slot(field, form, zero))
            .collect();
        let mut names: Vec<(Box<str>, usize)> = Vec::new();
        for (at, slot) in slots.iter().enumerate() {
            names.push((slot.name.clone(), at));
            if slot.json_name != slot.name {
                names.push((slot.json_name.clone(), at));
            }
        }
        names.sort_by(|(a, _), (b, _)| order(a, b));
        let mut class_entry = vec![2 << 3 | wire::LENGTH];
        wire::put_bytes(&mut class_entry, class_id.as_bytes());
        Self {
            slots,
            names: names.into(),
            class_entry: class_entry.into(),
        }
    }

    /// Takes these thresholds in place of a field's own.
    pub(super) fn put_thresholds(&mut self, number: u32, thresholds: &[AlarmRule]) {
        for slot in &mut self.slots {
            if slot.number == number {
                slot.thresholds = thresholds.into();
            }
        }
    }

    /// The slot at a place.
    #[inline]
    pub(super) fn slot(&self, at: usize) -> Option<&Slot> {
        self.slots.get(at)
    }

    /// The slot of a member's name. Members mostly come in one order, so the one at `expected` is tried first.
    #[inline]
    pub(super) fn by_name(&self, name: &str, expected: usize) -> Option<(usize, &Slot)> {
        if let Some(slot) = self.slots.get(expected)
            && (*slot.name == *name || *slot.json_name == *name)
        {
            return Some((expected, slot));
        }
        let at = self
            .names
            .binary_search_by(|(known, _)| order(known, name))
            .ok()?;
        let (_, at) = *self.names.get(at)?;
        Some((at, self.slots.get(at)?))
    }

    /// The slot of a field number. Numbers mostly run from 1 without holes, so that place is tried first.
    #[inline]
    pub(super) fn by_number(&self, number: u32) -> Option<(usize, &Slot)> {
        let guess = (number as usize).wrapping_sub(1);
        if let Some(slot) = self.slots.get(guess)
            && slot.number == number
        {
            return Some((guess, slot));
        }
        let at = self
            .slots
            .binary_search_by_key(&number, |slot| slot.number)
            .ok()?;
        Some((at, self.slots.get(at)?))
    }
}

fn slot(field: &Field, form: Form, zero: String) -> Slot {
    let mut key = Vec::new();
    wire::put_varint(
        &mut key,
        u64::from(field.number) << 3 | u64::from(form.wire_type()),
    );
    let mut codes: Vec<Code> = match &field.kind {
        FieldKind::Enum(codes) => codes
            .iter()
            .map(|code| Code {
                code: code.code.as_str().into(),
                name: code.name.as_str().into(),
                number: code.number,
            })
            .collect(),
        _ => Vec::new(),
    };
    if form == Form::Enum {
        codes.push(Code {
            code: zero.as_str().into(),
            name: zero.into(),
            number: 0,
        });
    }
    Slot {
        name: field.name.as_str().into(),
        json_name: field.json_name.as_str().into(),
        number: field.number,
        form,
        key: key.into(),
        min: field.min.unwrap_or(f64::NEG_INFINITY),
        max: field.max.unwrap_or(f64::INFINITY),
        codes: codes.into(),
        thresholds: field.thresholds.clone().into(),
    }
}

fn order(a: &str, b: &str) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}
