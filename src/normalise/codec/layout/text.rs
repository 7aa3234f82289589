//! Text payloads whose values stand between separators.

use super::{
    super::{
        super::{
            payload::Reject,
            point::{Key, Moment, Point, Sink, Value},
            quality::Quality,
        },
        bits::gb18030,
    },
    options::{self, Form, Missing, Take, TextField},
    plan::{Place, Plan},
    scalar::{Calendar, Digits, decimal},
    value::unix,
};

/// A compiled text layout.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) fields: u8,
    pub(super) records: Option<u8>,
    pub(super) equals: Option<u8>,
    pub(super) columns: Box<[Column]>,
}

/// One value of a record.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) field: Field,
    pub(super) place: Place,
    pub(super) form: Form,
    pub(super) calendar: Calendar,
    missing: Box<[Box<str>]>,
}

/// How a record names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    Place(usize),
    Name(Box<str>),
}

fn separator(character: char) -> Result<u8, String> {
    u8::try_from(character)
        .ok()
        .filter(u8::is_ascii)
        .ok_or_else(|| format!("text: {character:?} is not an ASCII character"))
}

impl Text {
    /// The layout, with the names of its columns.
    pub(super) fn new(options: &options::Text, takes: &[Take]) -> Result<(Self, Plan), String> {
        let mut plan = Plan::default();
        let mut columns = Vec::new();
        for (number, take) in takes.iter().enumerate() {
            let at = |e| format!("take[{number}]: {e}");
            let column = column(take, &mut plan, options.equals).map_err(at)?;
            if columns
                .iter()
                .any(|known: &Column| known.field == column.field)
            {
                return Err(at(format!("field {:?} stands twice", column.field)));
            }
            columns.push(column);
        }
        let text = Self {
            fields: separator(options.fields)?,
            records: options.records.map(separator).transpose()?,
            equals: options.equals.map(separator).transpose()?,
            columns: columns.into(),
        };
        Ok((text, plan))
    }

    /// Hands every record of a body over.
    pub(super) fn read<S: Sink>(&self, body: &[u8], sink: &mut S) -> Result<(), Reject> {
        let Some(between) = self.records else {
            return self.record(body, sink);
        };
        body.split(|byte| *byte == between)
            .try_for_each(|record| self.record(record, sink))
    }

    fn record<S: Sink>(&self, record: &[u8], sink: &mut S) -> Result<(), Reject> {
        let mut is_open = false;
        for (place, element) in record.split(|byte| *byte == self.fields).enumerate() {
            if let Some((column, raw)) = self.column(place, element) {
                column.give(raw.trim_ascii(), sink)?;
                is_open |= matches!(column.place, Place::Point(_));
            }
        }
        if is_open {
            sink.end_record()?;
        }
        Ok(())
    }

    /// The column of an element, with its value.
    fn column<'r>(&self, place: usize, element: &'r [u8]) -> Option<(&Column, &'r [u8])> {
        let Some(equals) = self.equals else {
            let mut columns = self.columns.iter();
            let column = columns.find(|column| column.field == Field::Place(place))?;
            // An empty line is no record.
            return (place > 0 || !element.trim_ascii().is_empty()).then_some((column, element));
        };
        let at = element.iter().position(|byte| *byte == equals)?;
        let (name, value) = element.split_at_checked(at)?;
        let name = name.trim_ascii();
        let column = self.columns.iter().find(|column| match &column.field {
            Field::Name(known) => known.as_bytes() == name,
            Field::Place(_) => false,
        })?;
        Some((column, value.get(1..)?))
    }
}

fn column(take: &Take, plan: &mut Plan, equals: Option<char>) -> Result<Column, String> {
    let field = match (&take.field, equals) {
        (Some(TextField::Place(place)), None) => Field::Place(*place),
        (Some(TextField::Name(name)), Some(_)) => Field::Name(name.as_str().into()),
        (Some(TextField::Place(place)), Some(_)) => Field::Name(place.to_string().into()),
        (Some(TextField::Name(name)), None) => {
            return Err(format!(
                "field {name:?} needs text.equals; without it fields go by place"
            ));
        }
        (None, _) => return Err("field is wanted in a text payload".to_owned()),
    };
    let is_bare = take.kind.is_none() && take.take.is_empty() && take.when.is_none();
    if !is_bare || take.sub != 0 || take.times.is_some() || take.decimals != 0 {
        return Err("a text payload knows name, head, field, as, pattern and missing".to_owned());
    }
    let pattern = take.pattern.as_deref().unwrap_or("yyyyMMddHHmmss");
    Ok(Column {
        field,
        place: plan.place(take)?,
        form: take.form.unwrap_or(Form::Number),
        calendar: Calendar::parse(pattern, Digits::Text)?,
        missing: take
            .missing
            .iter()
            .map(|missing| match missing {
                Missing::Number(number) => number.to_string().into(),
                Missing::Text(text) => text.as_str().into(),
            })
            .collect(),
    })
}

impl Column {
    fn give<S: Sink>(&self, raw: &[u8], sink: &mut S) -> Result<(), Reject> {
        let is_missing = self.missing.iter().any(|known| known.as_bytes() == raw);
        if raw.is_empty() || is_missing {
            return self.emit(Some(Value::Missing), sink);
        }
        if self.form == Form::Text {
            return self.emit(Some(Value::Text(&gb18030(raw))), sink);
        }
        let Ok(text) = std::str::from_utf8(raw) else {
            return self.emit(None, sink);
        };
        let number = decimal(text);
        let whole = number
            .filter(|number| number.places == 0)
            .map(|number| number.mantissa);
        let value = match self.form {
            Form::Number | Form::Text => match (whole, number) {
                (Some(whole), _) => Some(Value::Whole(whole)),
                (None, Some(number)) => Some(Value::Decimal(number)),
                (None, None) => text
                    .parse()
                    .ok()
                    .filter(|real: &f64| real.is_finite())
                    .map(Value::Real),
            },
            Form::Bool | Form::Not => {
                truth(text, whole).map(|is| Value::Bool(is == (self.form == Form::Bool)))
            }
            Form::UnixS => whole.and_then(|whole| unix(i128::from(whole), 1_000_000_000)),
            Form::UnixMs => whole.and_then(|whole| unix(i128::from(whole), 1_000_000)),
            Form::Calendar => self
                .calendar
                .read_digits(raw)
                .map(|civil| Value::Time(Moment::Local(civil))),
        };
        self.emit(value, sink)
    }

    fn emit<S: Sink>(&self, value: Option<Value<'_>>, sink: &mut S) -> Result<(), Reject> {
        let given = value.unwrap_or(Value::Missing);
        match &self.place {
            Place::Nowhere => Ok(()),
            Place::Head(name) => sink.head(Key::Name(name), given),
            Place::Point(code) => {
                let point = Point::new(Key::Code(*code), given);
                sink.point(match value {
                    Some(_) => point,
                    None => point.quality(Quality::OUT_OF_RANGE),
                })
            }
        }
    }
}

fn truth(text: &str, whole: Option<i64>) -> Option<bool> {
    const WORDS: [(&str, bool); 6] = [
        ("true", true),
        ("false", false),
        ("on", true),
        ("off", false),
        ("yes", true),
        ("no", false),
    ];
    let word = WORDS
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text));
    word.map(|(_, is)| *is)
        .or_else(|| whole.map(|whole| whole != 0))
}
