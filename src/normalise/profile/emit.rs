//! A record that is complete becomes a reading: class, device, right to report, time, fields, status, alarms.

mod parts;

use super::{
    super::{
        classes::Classes,
        codec::Any,
        memory::Crossing,
        moment::Clock,
        payload::{Encoded, Limits, Mark, Payload, PayloadFormat, Reject},
        plan::Slot,
        point::Point,
        quality::Quality,
        sheet::Sheet,
    },
    number::Number,
    plan::{ClassPlan, ClassRule, FieldPlan, Meaning, Profile, StatusPlan},
    read::Report,
    spec::{Fallback, FieldTimes, Rounding, Strictness},
    stage::{Cell, Source, Stage, Waiting},
    take::{self, Put},
};
use crate::domain::{DeviceId, QuarantineReason, UnixNanos};
use parts::{Cells, Part};

/// Where the readings of a payload go.
pub(super) struct Emission<'a> {
    profile: &'a Profile,
    classes: &'a Classes,
    limits: &'a Limits,
    report: &'a Report<'a>,
    out: &'a mut Encoded,
    readings: usize,
    skipped: u32,
    /// Points that the profile does not mention and that are kept: name and text.
    kept: Vec<(String, String)>,
    text: String,
}

/// How far an emission was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    out: Mark,
    readings: usize,
    skipped: u32,
}

impl<'a> Emission<'a> {
    pub(super) fn new(
        profile: &'a Profile,
        classes: &'a Classes,
        limits: &'a Limits,
        report: &'a Report<'a>,
        out: &'a mut Encoded,
    ) -> Self {
        Self {
            profile,
            classes,
            limits,
            report,
            out,
            readings: 0,
            skipped: 0,
            kept: Vec::new(),
            text: String::new(),
        }
    }

    pub(super) fn mark(&self) -> Progress {
        Progress {
            out: self.out.mark(),
            readings: self.readings,
            skipped: self.skipped,
        }
    }

    pub(super) fn rewind(&mut self, mark: Progress) {
        if let Some(memory) = self.report.memory {
            memory.undo(&mut self.out.changes, mark.out.changes);
        }
        self.out.rewind(mark.out);
        self.readings = mark.readings;
        self.skipped = mark.skipped;
        self.kept.clear();
    }

    pub(super) const fn readings(&self) -> usize {
        self.readings
    }

    pub(super) const fn skipped(&self) -> u32 {
        self.skipped
    }

    /// Keeps a point that the profile does not mention.
    pub(super) fn keep(&mut self, point: &Point<'_>) {
        let mut text = String::new();
        take::as_text(point.value, &mut text);
        let name = match point.key {
            super::super::point::Key::Name(name) => name.to_owned(),
            super::super::point::Key::Code(code) => format!("{code:X}"),
        };
        if self.kept.len() < super::super::payload::MEMBERS_MAX {
            self.kept.push((name, text));
        }
    }

    /// Makes the record in work its readings.
    pub(super) fn record(&mut self, stage: &mut Stage) -> Result<(), Reject> {
        let profile = self.profile;
        if !profile
            .when
            .iter()
            .all(|(source, values)| self.holds(stage, *source, values))
        {
            self.skipped += 1;
            self.kept.clear();
            return Ok(());
        }
        let class = self.class(stage)?;
        let rule = &profile.time;
        let at = rule.of(stage, self.report.received_at);
        if at.is_none() && rule.fallback == Fallback::Reject {
            let detail = "no observed time that the profile can read";
            return Err(Reject::new(QuarantineReason::ObservedAt, detail));
        }
        let mut device = std::mem::take(&mut stage.device);
        let mut fields = std::mem::take(&mut stage.fields);
        class.mark(stage.told(), &mut fields);
        let made = self.readings_of((class, &fields), (&mut device, at), stage);
        stage.device = device;
        stage.fields = fields;
        self.kept.clear();
        made
    }

    /// The readings of a record of a class.
    fn readings_of(
        &mut self,
        (class, fields): (&'a ClassPlan, &[u64]),
        (device, at): (&mut String, Option<UnixNanos>),
        stage: &mut Stage,
    ) -> Result<(), Reject> {
        let profile = self.profile;
        let rule = &profile.time;
        self.device(stage, device)?;
        for field in class.marked(fields) {
            if let Some(series) = field.series {
                let anchor = at.unwrap_or(self.report.received_at);
                for source in &field.from {
                    stage.spread(*source, anchor, series);
                }
            }
        }
        let stage = &*stage;
        let times = rule.others(stage, at);
        let main = Part {
            stage,
            time: at,
            cells: Cells::Told,
            rule,
        };
        // A certificate that speaks of other things is no report of this device.
        let may_be_empty = times.is_empty() && !matches!(profile.codec, Any::Sparkplug(_));
        let told = || {
            class
                .marked(fields)
                .any(|field| main.first(&field.from).is_some())
        };
        let is_main = may_be_empty || told();
        // In the order of their times; a record without one was observed last.
        let (before, behind) =
            times.split_at(times.partition_point(|time| at.is_none_or(|at| *time < at)));
        let main = is_main.then_some(main);
        for (time, main) in before
            .iter()
            .map(|time| (Some(*time), None))
            .chain([(None, main)])
            .chain(behind.iter().map(|time| (Some(*time), None)))
        {
            if let Some(main) = main {
                self.reading((class, fields), device, main)?;
            }
            let Some(time) = time else { continue };
            let part = Part {
                stage,
                time: Some(time),
                cells: Cells::Untold,
                rule,
            };
            self.reading((class, fields), device, part)?;
        }
        Ok(())
    }

    fn holds(&mut self, stage: &Stage, source: Source, values: &[Box<str>]) -> bool {
        let Some(cell) = stage.get(source) else {
            return false;
        };
        let found = stage.value(cell);
        self.text.clear();
        take::as_text(found, &mut self.text);
        values.iter().any(|value| **value == *self.text)
    }

    fn class(&mut self, stage: &Stage) -> Result<&'a ClassPlan, Reject> {
        let profile = self.profile;
        let at = match &profile.class {
            ClassRule::Fixed(at) => Some(*at),
            ClassRule::Chosen { from, map, other } => {
                let found = from.iter().find_map(|source| {
                    self.text.clear();
                    take::as_text(stage.value(stage.get(*source)?), &mut self.text);
                    map.get(self.text.as_str()).copied()
                });
                found.or(*other)
            }
        };
        at.and_then(|at| profile.classes.get(at)).ok_or_else(|| {
            let detail = format!("profile {}: {:?} chooses no class", profile.id, self.text);
            Reject::new(QuarantineReason::UnknownClass, detail)
        })
    }

    /// Writes the device id of a record.
    fn device(&self, stage: &Stage, found: &mut String) -> Result<(), Reject> {
        found.clear();
        for source in &self.profile.device {
            let Some(cell) = stage.get(*source) else {
                continue;
            };
            found.clear();
            take::as_text(stage.value(cell), found);
            if DeviceId::is_valid(found) {
                return Ok(());
            }
        }
        let from: Vec<&str> = self
            .profile
            .device
            .iter()
            .filter_map(|source| self.profile.sources.get(usize::from(source.0)))
            .map(|name| &**name)
            .collect();
        let detail = format!("no device id in {}: {found:?}", from.join(", "));
        Err(Reject::new(QuarantineReason::DeviceId, detail))
    }

    fn reading(
        &mut self,
        (plan, fields): (&ClassPlan, &[u64]),
        device: &str,
        part: Part<'_>,
    ) -> Result<(), Reject> {
        let Some(class) = self.classes.by_index(plan.class) else {
            return Err(Reject::new(
                QuarantineReason::UnknownClass,
                "the class is gone",
            ));
        };
        if !(self.report.may_report)(class.id(), device) {
            let detail = format!("the sender may not report for {}/{device}", class.id());
            return Err(Reject::new(QuarantineReason::DeviceRights, detail));
        }
        if self.readings == self.limits.readings_per_payload_max {
            let detail = format!("more than {} readings in one payload", self.readings);
            return Err(Reject::new(QuarantineReason::TooLarge, detail));
        }
        let payload = Payload {
            device,
            format: PayloadFormat::Json,
            bytes: self.report.bytes,
            received_at: self.report.received_at,
            memory: self.report.memory,
            attributes: self.report.attributes,
        };
        let mut sheet = Sheet::new(class, &payload, self.limits, self.out)?;
        sheet.observed_at = part.time;
        sheet.news = plan.news();
        for field in plan.marked(fields) {
            if let Some(slot) = class.plan.slot(field.slot) {
                put_field(&mut sheet, slot, field, (part, self.profile.strictness))?;
            }
        }
        for status in &plan.status {
            put_status(&mut sheet, status, part);
        }
        for (name, source) in &self.profile.attributes {
            if let Some(cell) = part.stage.get(*source) {
                self.text.clear();
                take::as_text(part.stage.value(cell), &mut self.text);
                sheet.put_attribute(name, &self.text)?;
            }
        }
        for (name, text) in &self.kept {
            sheet.put_unknown(name, text)?;
        }
        sheet.flag_if_empty();
        sheet.put_profile(&self.profile.id_entry);
        sheet.finish()?;
        self.readings += 1;
        Ok(())
    }
}

fn put_field(
    sheet: &mut Sheet<'_>,
    slot: &Slot,
    field: &FieldPlan,
    (part, strictness): (Part<'_>, Strictness),
) -> Result<(), Reject> {
    // A candidate whose value is a sentinel makes room for the next.
    for source in &field.from {
        let Some(cell) = part.get(*source) else {
            continue;
        };
        match take::put(sheet, slot, &field.take, (cell, part.stage)) {
            Ok(Put::Done) => {
                if cell.quality != Quality::GOOD {
                    sheet.flag(field.number, cell.quality);
                }
                return Ok(());
            }
            Ok(Put::Absent) => {}
            Err(reject) if strictness == Strictness::Whole => return Err(reject),
            Err(_) => {
                let mut text = String::new();
                take::as_text(part.stage.value(cell), &mut text);
                sheet.flag(field.number, Quality::BAD);
                return sheet.put_unknown(&slot.name, &text);
            }
        }
    }
    if let Some(cell) = part.first(&field.from)
        && cell.quality != Quality::GOOD
    {
        sheet.flag(field.number, cell.quality);
    }
    Ok(())
}

/// Says what a status means.
fn put_status(sheet: &mut Sheet<'_>, status: &StatusPlan, part: Part<'_>) {
    let Some(cell) = part.first(&status.from) else {
        return;
    };
    let number = match &cell.value {
        Waiting::Number(number) => Some(*number),
        Waiting::Bool(value) => Some(Number::whole(i64::from(*value))),
        Waiting::Text(range) => Number::parse(part.stage.text(range)),
        Waiting::Missing | Waiting::Bytes(_) | Waiting::Time(_) => None,
    };
    let text = match &cell.value {
        Waiting::Text(range) => Some(part.stage.text(range)),
        _ => None,
    };
    let word = number.and_then(|number| number.to_whole(Rounding::Exact));
    let set = status.bits.iter().filter_map(|(bit, meaning)| {
        let word = word?;
        (word >> bit & 1 == 1).then_some(meaning)
    });
    let named = status.values.iter().filter_map(|(value, wanted, meaning)| {
        let same_text = text == Some(&**value);
        let same_number = number.zip(*wanted).is_some_and(|(a, b)| a.is(b));
        (same_text || same_number).then_some(meaning)
    });
    for meaning in set.chain(named) {
        put_meaning(sheet, meaning);
    }
}

fn put_meaning(sheet: &mut Sheet<'_>, meaning: &Meaning) {
    if let Some(quality) = meaning.quality {
        if meaning.fields.is_empty() {
            sheet.flag(0, quality);
        }
        for number in &meaning.fields {
            sheet.flag(*number, quality);
        }
    }
    if let Some(alarm) = &meaning.alarm {
        sheet.put_alarm(
            &alarm.code,
            alarm.level,
            (alarm.field_number, Crossing::Raised),
        );
    }
}
