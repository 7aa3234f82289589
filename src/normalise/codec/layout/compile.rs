//! From options to a plan: every name becomes a number here, and what cannot work is refused here.

mod numbers;
mod references;

use std::collections::HashMap;

use super::{
    frame::unhex,
    options::{Form, Missing, Repeat as RepeatOptions, Take, Tlv as TlvOptions, Width},
    plan::{Count, Field, MOMENTS_MAX, Op, Place, Plan, Repeat, Source, Step, Tlv},
    scalar::{Int, Kind},
};

use numbers::check_numbers;
use references::Reference;

/// Deepest nesting of `take`: the way through a plan is recursive.
const DEPTH_MAX: usize = 6;
/// Longest value whose bytes are changed by `byte_add` or `byte_xor`, since that happens on the stack.
pub(super) const MANGLED_MAX: usize = 256;
/// Decimal places that a 64-bit mantissa can have.
const DECIMALS_MAX: u8 = 18;

/// What children have from their parents.
#[derive(Debug, Clone, Copy, Default)]
struct Inherited {
    add: u8,
    xor: u8,
    observed: Option<usize>,
    depth: usize,
    /// Bytes of the key of the row around.
    key_bytes: Option<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Compiler {
    plan: Plan,
    /// Steps that read a value of a name.
    readers: HashMap<String, Vec<usize>>,
    slots: HashMap<(String, Reference), usize>,
    slots_used: usize,
    moments: HashMap<String, usize>,
    /// The step that read a word last.
    last: Option<usize>,
}

/// A plan of takes.
pub(super) fn compile(takes: &[Take]) -> Result<Plan, String> {
    let mut compiler = Compiler::default();
    compiler.children(takes, Inherited::default())?;
    Ok(compiler.plan)
}

impl Plan {
    /// The place of a name, new or known.
    pub(super) fn place(&mut self, take: &Take) -> Result<Place, String> {
        let Some(name) = take.name.as_deref() else {
            return match take.head {
                true => Err("a head wants a name".to_owned()),
                false => Ok(Place::Nowhere),
            };
        };
        let is_head = self.heads.iter().any(|known| **known == *name);
        let code = self.names.iter().position(|known| **known == *name);
        if name.is_empty() || name.len() > 64 {
            return Err("a name has 1 to 64 bytes".to_owned());
        }
        if take.head && code.is_some() || !take.head && is_head {
            return Err("this name is a head in one place and a point in another".to_owned());
        }
        if take.head {
            if !is_head {
                self.heads.push(name.into());
            }
            return Ok(Place::Head(name.into()));
        }
        let code = code.unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        });
        Ok(Place::Point(code as u64))
    }
}

impl Compiler {
    fn children(&mut self, takes: &[Take], inherited: Inherited) -> Result<(), String> {
        for (number, take) in takes.iter().enumerate() {
            self.take(take, inherited).map_err(|e| {
                let name = take.name.as_ref().or(take.key.as_ref());
                let name = name.map_or_else(String::new, |name| format!(" {name:?}"));
                format!("take[{number}]{name}: {e}")
            })?;
        }
        Ok(())
    }

    fn take(&mut self, take: &Take, inherited: Inherited) -> Result<(), String> {
        if inherited.depth > DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX}"));
        }
        if take.field.is_some() {
            return Err("field belongs to a text payload".to_owned());
        }
        if take.key.is_some() != inherited.key_bytes.is_some() {
            return Err("key stands at the children of tlv, and at all of them".to_owned());
        }
        let when = take.when.as_ref().map(|when| self.when(when)).transpose()?;
        let observed = match &take.time {
            Some(name) => Some(
                *self
                    .moments
                    .get(name)
                    .ok_or_else(|| format!("time = {name:?} names no time that is read before"))?,
            ),
            None => inherited.observed,
        };
        let inherited = Inherited {
            add: take.byte_add.unwrap_or(inherited.add),
            xor: take.byte_xor.unwrap_or(inherited.xor),
            observed,
            depth: inherited.depth + 1,
            key_bytes: None,
        };
        let step = self.step(take, inherited)?;
        let place = self.plan.ops.len();
        let is_tlv = matches!(step, Step::Tlv(_));
        self.plan.ops.push(Op {
            at: take.at,
            when,
            step,
            end: place + 1,
        });
        self.remember(take, place);
        let key_bytes = take.tlv.as_ref().map(|tlv| tlv.key);
        self.children(
            &take.take,
            Inherited {
                key_bytes,
                ..inherited
            },
        )?;
        let end = self.plan.ops.len();
        let entries = if is_tlv {
            self.entries(take, place + 1)?
        } else {
            Box::default()
        };
        if let Some(op) = self.plan.ops.get_mut(place) {
            op.end = end;
            if let Step::Tlv(tlv) = &mut op.step {
                tlv.entries = entries;
            }
        }
        Ok(())
    }

    fn step(&mut self, take: &Take, inherited: Inherited) -> Result<Step, String> {
        let is_field = take.kind.is_some() || take.bits.is_some() || take.of.is_some();
        let forms = [
            is_field,
            take.skip.is_some(),
            take.repeat.is_some(),
            take.tlv.is_some(),
        ];
        let has_children = !take.take.is_empty();
        match (forms, has_children) {
            ([true, false, false, false], false) => self.field(take, inherited),
            ([false, true, false, false], false) => Ok(Step::Skip(take.skip.unwrap_or(0))),
            ([false, false, true, false], true) => {
                let repeat = take.repeat.clone().unwrap_or_default();
                Ok(Step::Repeat(self.repeat(&repeat)?))
            }
            ([false, false, false, true], true) => tlv(take),
            ([false, false, false, false], true) => Ok(Step::Group),
            ([false, false, false, false], false) => {
                Err("nothing to read: give type, bits, skip or take".to_owned())
            }
            _ => Err(
                "only one of type, skip, repeat, tlv; take belongs to repeat, tlv or a group"
                    .to_owned(),
            ),
        }
    }

    fn field(&mut self, take: &Take, inherited: Inherited) -> Result<Step, String> {
        let source = self.source(take)?;
        let form = take.form.unwrap_or(match take.kind.as_deref() {
            Some("bool") => Form::Bool,
            _ => Form::Number,
        });
        check_numbers(take, &source, form)?;
        let mangle = (inherited.add, inherited.xor);
        let mangle = (mangle != (0, 0)).then_some(mangle);
        if let (Some(_), Source::Wire(_, Count::Fixed(bytes))) = (mangle, &source)
            && *bytes > MANGLED_MAX
        {
            return Err(format!(
                "byte_add and byte_xor reach over at most {MANGLED_MAX} bytes"
            ));
        }
        let mut field = Field {
            place: self.plan.place(take)?,
            source,
            bits: take.bits,
            sign: take.sign,
            mangle,
            sub: take.sub,
            times: take.times.unwrap_or(1),
            decimals: take.decimals,
            missing_numbers: Box::default(),
            missing_bytes: Box::default(),
            form,
            keep_word: None,
            keep_number: None,
            keep_moment: None,
            observed: inherited.observed,
        };
        let (numbers, bytes): (Vec<_>, Vec<_>) = take
            .missing
            .iter()
            .partition(|missing| matches!(missing, Missing::Number(_)));
        field.missing_numbers = numbers
            .iter()
            .filter_map(|missing| match missing {
                Missing::Number(number) => Some(i128::from(*number)),
                Missing::Text(_) => None,
            })
            .collect();
        for missing in bytes {
            if let Missing::Text(text) = missing {
                let raw = unhex(text).map_err(|e| format!("missing: {e}"))?;
                if raw.is_empty() {
                    return Err("missing: no bytes".to_owned());
                }
                field.missing_bytes = [&*field.missing_bytes, &[raw.into()]].concat().into();
            }
        }
        let is_time = matches!(form, Form::UnixS | Form::UnixMs)
            || matches!(field.source, Source::Wire(Kind::Calendar(_), _));
        if let (true, Some(name)) = (is_time, &take.name) {
            let next = self.moments.len();
            let slot = *self.moments.entry(name.clone()).or_insert(next);
            if slot >= MOMENTS_MAX {
                return Err(format!("more than {MOMENTS_MAX} times"));
            }
            field.keep_moment = Some(slot);
        }
        for (reference, keep) in [
            (Reference::Word, &mut field.keep_word),
            (Reference::Number, &mut field.keep_number),
        ] {
            let name = take.name.clone().unwrap_or_default();
            *keep = self.slots.get(&(name, reference)).copied();
        }
        Ok(Step::Field(Box::new(field)))
    }

    fn source(&mut self, take: &Take) -> Result<Source, String> {
        let Some(kind) = &take.kind else {
            if take.bytes.is_some() || take.at.is_some() {
                return Err("without type the bits of a word are taken: no bytes, no at".to_owned());
            }
            return Ok(Source::Word(
                self.refer(take.of.as_deref(), Reference::Word)?,
            ));
        };
        if take.of.is_some() {
            return Err("either type or of".to_owned());
        }
        let kind = Kind::parse(kind, take.pattern.as_deref())?;
        let is_text = !matches!(kind, Kind::Int(_) | Kind::Float(..));
        if take.bits.is_some() && is_text {
            return Err("bits are taken of whole numbers only".to_owned());
        }
        let count = match (&take.bytes, kind.width()) {
            (None, Some(width)) => Count::Fixed(width),
            (Some(Width::Fixed(width)), None) => Count::Fixed(*width),
            (Some(Width::Named(rest)), None) if rest == "rest" => Count::Rest,
            (Some(Width::Named(name)), None) => {
                Count::Word(self.refer(Some(name), Reference::Number)?)
            }
            (None, None) => {
                return Err(
                    "this type wants bytes: a number, the name of a length, or rest".to_owned(),
                );
            }
            (Some(_), Some(width)) => {
                return Err(format!("this type has {width} bytes of its own"));
            }
        };
        if let Count::Fixed(width) = count
            && !(1..=kind.width_max()).contains(&width)
        {
            return Err(format!("this type has 1 to {} bytes", kind.width_max()));
        }
        Ok(Source::Wire(kind, count))
    }

    fn repeat(&mut self, options: &RepeatOptions) -> Result<Repeat, String> {
        let count = match &options.count {
            None => Count::Rest,
            Some(Width::Fixed(count)) => Count::Fixed(*count),
            Some(Width::Named(name)) => Count::Word(self.refer(Some(name), Reference::Number)?),
        };
        Ok(Repeat {
            count,
            is_record: options.record,
            step_s: options.step_s,
        })
    }

    /// The children of a row by key.
    fn entries(&self, take: &Take, first: usize) -> Result<Box<[(u64, usize)]>, String> {
        let bytes = take.tlv.as_ref().map_or(0, |tlv| usize::from(tlv.key));
        let mut entries = Vec::new();
        let mut at = first;
        for child in &take.take {
            let spelled = child.key.as_deref().unwrap_or_default();
            let raw = unhex(spelled).map_err(|e| format!("key: {e}"))?;
            if raw.len() != bytes {
                return Err(format!("key {spelled:?} has not {bytes} bytes"));
            }
            let key = raw
                .iter()
                .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
            entries.push((key, at));
            at = self.plan.ops.get(at).map_or(at, |op| op.end);
        }
        entries.sort_unstable();
        match entries
            .windows(2)
            .find(|pair| matches!(pair, [a, b] if a.0 == b.0))
        {
            Some([(key, _), _]) => Err(format!(
                "key {key:0width$X} stands twice",
                width = bytes * 2
            )),
            _ => Ok(entries.into()),
        }
    }
}

fn tlv(take: &Take) -> Result<Step, String> {
    let Some(TlvOptions {
        key,
        mask,
        length,
        plus,
    }) = &take.tlv
    else {
        return Err("no tlv".to_owned());
    };
    if !(1..=8).contains(key) {
        return Err("tlv.key is 1 to 8 bytes".to_owned());
    }
    let mask = mask.as_deref().map_or(Ok(u64::MAX), |mask| {
        u64::from_str_radix(mask, 16).map_err(|e| format!("tlv.mask: {e}"))
    })?;
    let length = length
        .as_deref()
        .map(|kind| Ok::<_, String>((Int::parse(kind)?, *plus)));
    Ok(Step::Tlv(Tlv {
        key_bytes: *key,
        mask,
        length: length.transpose().map_err(|e| format!("tlv.length: {e}"))?,
        entries: Box::default(),
    }))
}
