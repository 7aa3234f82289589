//! One codec's side of a payload in work: the points that it has so far, and what was learned of the forms it takes.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::{
    super::{
        super::{
            codec::{
                Any, Codec as _, Decoded, Framing,
                encoding::{Encoder as _, Report},
            },
            payload::Reject,
            point::{Key, OwnedKey, Point, Sink, Value},
        },
        number::Number,
        plan::Table,
        spec::Rounding,
        stage::Source,
    },
    forms::{Form, Kept},
    wish::Wish,
};
use crate::domain::UnixNanos;

/// What the id of an object of GB/T 26875.3 says.
pub(super) const OF_OBJECT: [&str; 3] = ["system_type", "system_address", "part_address"];

/// What a codec says of one key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Heard {
    pub(super) value: Kept,
    pub(super) unit: Option<&'static str>,
}

impl Heard {
    /// The whole number that it is, if it is one.
    pub(super) fn whole(&self) -> Option<i128> {
        match &self.value {
            Kept::Number(number) => number.to_whole(Rounding::Exact),
            _ => None,
        }
    }
}

/// The form that a source takes, and the unit that the codec gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lesson {
    form: Form,
    unit: Option<&'static str>,
}

/// Whether what is put is read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    Looks,
    /// A form that was learned is taken as it is.
    Trusts,
}

/// What was learned of a profile's format.
#[derive(Debug, Clone, Default)]
pub struct Learned {
    lessons: HashMap<Source, Lesson, FixedState>,
    /// An address that the format takes, where the device's id stands in the topic.
    pub(super) address: Option<String>,
}

impl Learned {
    pub(super) fn keep(&mut self, source: Source, lesson: Lesson) {
        self.lessons.insert(source, lesson);
    }
}

/// The points of one codec.
pub(super) struct Side<'a> {
    codec: &'a Any,
    table: &'a Table,
    address: &'a str,
    at: UnixNanos,
    east_s: i32,
    serial: u32,
    points: Vec<(OwnedKey, Kept)>,
}

impl<'a> Side<'a> {
    pub(super) const fn new(
        codec: &'a Any,
        table: &'a Table,
        address: &'a str,
        (at, east_s, serial): (UnixNanos, i32, u32),
    ) -> Self {
        Self {
            codec,
            table,
            address,
            at,
            east_s,
            serial,
            points: Vec::new(),
        }
    }

    /// Is the object of this name: `ADDRESS.SSAA.PPPPPPPP`.
    pub(super) fn be_object(&mut self, name: &'a str) {
        let mut parts = name.split('.');
        self.address = parts.next().unwrap_or_default();
        let system = u16::from_str_radix(parts.next().unwrap_or_default(), 16).unwrap_or(0);
        let part = parts.next().unwrap_or_default().to_owned();
        let byte = |byte| Kept::Number(Number::whole(i64::from(byte)));
        let [kind, address] = system.to_be_bytes();
        let said = [byte(kind), byte(address), Kept::Text(part)];
        for (name, kept) in OF_OBJECT.iter().zip(said) {
            self.set(&OwnedKey::Name((*name).into()), kept);
        }
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, String> {
        let points: Vec<(OwnedKey, Value<'_>)> = self
            .points
            .iter()
            .map(|(key, kept)| (key.clone(), kept.value()))
            .collect();
        self.codec.encode(&Report {
            address: self.address,
            at: self.at,
            east_s: self.east_s,
            serial: self.serial,
            points: &points,
        })
    }

    /// Puts what a source is wished to say, in the form that comes closest.
    ///
    /// # Errors
    /// No form is taken and read back as the wish.
    pub(super) fn put(
        &mut self,
        (source, wish): (Source, &Wish<'_>),
        learned: &Learned,
        care: Care,
    ) -> Result<Lesson, String> {
        let key = self
            .table
            .key_of(source)
            .ok_or_else(|| "nothing of this codec".to_owned())?;
        if let (Care::Trusts, Some(lesson)) = (care, learned.lessons.get(&source)) {
            let kept = wish.kept(lesson.form, lesson.unit);
            let is_known = kept.is_some() || lesson.form == Form::Unsaid;
            if let Some(kept) = kept {
                self.set(&key, kept);
            }
            if is_known {
                return Ok(*lesson);
            }
        }
        if let Wish::Word { .. } = wish {
            return self.put_word(&key, wish);
        }
        let mut unit = learned.lessons.get(&source).and_then(|lesson| lesson.unit);
        let mut found = self.search(&key, wish, unit);
        let said = match &found {
            Ok(best) => best.heard.unit,
            Err((_, unit)) => *unit,
        };
        // The codec named a unit only now.
        if said != unit {
            unit = said;
            found = self.search(&key, wish, unit);
        }
        let best = found.map_err(|(why, _)| why)?;
        if let Some(kept) = best.kept {
            self.set(&key, kept);
        }
        Ok(Lesson {
            form: best.form,
            unit: best.heard.unit,
        })
    }

    /// Puts bits into what the codec says of the word without being asked.
    fn put_word(&mut self, key: &OwnedKey, wish: &Wish<'_>) -> Result<Lesson, String> {
        let unsaid = self
            .encode()
            .and_then(|bytes| hear(self.codec, &bytes, key));
        let whole = unsaid.ok().flatten().and_then(|heard| heard.whole());
        let wish = wish.over(whole.unwrap_or(0));
        let best = self.search(key, &wish, None).map_err(|(why, _)| why)?;
        if let Some(kept) = best.kept {
            self.set(key, kept);
        }
        Ok(Lesson {
            form: Form::Kept,
            unit: None,
        })
    }

    fn set(&mut self, key: &OwnedKey, kept: Kept) {
        match self.points.iter_mut().find(|(known, _)| known == key) {
            Some((_, held)) => *held = kept,
            None => self.points.push((key.clone(), kept)),
        }
    }

    /// The best form and its value; the unit that was heard.
    fn search(
        &mut self,
        key: &OwnedKey,
        wish: &Wish<'_>,
        unit: Option<&'static str>,
    ) -> Result<Best, (String, Option<&'static str>)> {
        let before = self.points.clone();
        let mut best: Option<Best> = None;
        let (mut fault, mut said_unit) = (None, unit);
        for form in wish.forms(unit) {
            self.points.clone_from(&before);
            match self.trial(key, (wish, wish), form, unit) {
                Ok(Some(found)) => {
                    said_unit = found.heard.unit.or(said_unit);
                    if best
                        .as_ref()
                        .is_none_or(|best| found.distance < best.distance)
                    {
                        best = Some(found);
                    }
                    if best.as_ref().is_some_and(|best| best.distance <= 0.0) {
                        break;
                    }
                }
                Ok(None) => {}
                Err((why, unit)) => {
                    said_unit = unit.or(said_unit);
                    fault = fault.or_else(|| (form != Form::Unsaid).then_some(why));
                }
            }
        }
        if let Some(held) = &mut best
            && held.distance > 0.0
            && let Some(beyond) = wish.beyond(&held.heard)
        {
            self.points.clone_from(&before);
            if let Ok(Some(found)) = self.trial(key, (wish, &beyond), held.form, unit)
                && found.distance < held.distance
            {
                *held = found;
            }
        }
        self.points = before;
        best.ok_or_else(|| (fault.unwrap_or_else(|| "no form".to_owned()), said_unit))
    }

    /// What comes of saying the second wish in a form, judged by the first; none where there is no such form of it.
    fn trial(
        &mut self,
        key: &OwnedKey,
        (wish, said): (&Wish<'_>, &Wish<'_>),
        form: Form,
        unit: Option<&'static str>,
    ) -> Result<Option<Best>, (String, Option<&'static str>)> {
        let kept = said.kept(form, unit);
        match &kept {
            Some(kept) => self.set(key, kept.clone()),
            None if form == Form::Unsaid => {}
            None => return Ok(None),
        }
        let heard = self
            .encode()
            .and_then(|bytes| hear(self.codec, &bytes, key))
            .map_err(|why| (why, None))?
            .ok_or_else(|| ("it is not read back".to_owned(), None))?;
        let distance = wish.distance(&heard).map_err(|why| (why, heard.unit))?;
        Ok(Some(Best {
            distance,
            form,
            kept,
            heard,
        }))
    }
}

/// What came closest so far.
struct Best {
    distance: f64,
    form: Form,
    kept: Option<Kept>,
    heard: Heard,
}

/// What a payload says of a key first.
fn hear(codec: &Any, bytes: &[u8], key: &OwnedKey) -> Result<Option<Heard>, String> {
    let mut ear = Ear {
        key: key.as_key(),
        heard: None,
    };
    let mut rest = bytes;
    while let Framing::Frame { skip, len } = codec.frame(rest) {
        let end = skip.saturating_add(len).max(1);
        let frame = rest.get(skip..end).unwrap_or_default();
        match codec.decode(frame, &mut ear) {
            Ok(Decoded::Whole) => {}
            Ok(Decoded::Part(_)) => return Err("it takes several packets".to_owned()),
            Err(reject) => return Err(reject.detail),
        }
        rest = rest.get(end..).unwrap_or_default();
    }
    Ok(ear.heard)
}

struct Ear<'k> {
    key: Key<'k>,
    heard: Option<Heard>,
}

impl Sink for Ear<'_> {
    fn head(&mut self, key: Key<'_>, value: Value<'_>) -> Result<(), Reject> {
        self.point(Point::new(key, value))
    }

    fn point(&mut self, point: Point<'_>) -> Result<(), Reject> {
        if point.key == self.key && self.heard.is_none() {
            self.heard = Some(Heard {
                value: Kept::of(point.value),
                unit: point.unit,
            });
        }
        Ok(())
    }

    fn end_record(&mut self) -> Result<(), Reject> {
        Ok(())
    }
}
