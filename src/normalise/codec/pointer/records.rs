//! From a payload to records: one walk over all of it, then one over each element of `each`, so that what holds for all
//! records is known before the first of them.

use super::{
    super::super::{
        payload::Reject,
        point::{Key, Moment, Point, Sink, Value},
    },
    options::{EachObject, Options},
    tree::{Kind, Name, Scalar, Tree},
    trie::Trie,
    walk::{Listen, walk},
};

/// Reads a payload: heads, then the points of each record.
pub(super) fn read<'a, C: Tree<'a>, S: Sink>(
    trie: &Trie,
    options: &Options,
    mut payload: C,
    sink: &mut S,
) -> Result<(), Reject> {
    if trie.levels() == 0 {
        let walked = walk(trie, options, 0, (&mut payload, &mut Points(&mut *sink)))?;
        payload.end()?;
        return if walked.has_found {
            sink.end_record()
        } else {
            Ok(())
        };
    }
    let walked = walk(trie, options, 0, (&mut payload, &mut Heads(&mut *sink)))?;
    payload.end()?;
    let mut records = Records {
        trie,
        options,
        sink,
        held: Vec::new(),
    };
    walked
        .elements
        .map_or(Ok(()), |elements| records.elements(1, elements))
}

/// The records of a payload whose elements are one each.
struct Records<'r, 'a, S> {
    trie: &'r Trie,
    options: &'r Options,
    sink: &'r mut S,
    /// Values of the elements around the record's: every record inside has them.
    held: Vec<(u64, Scalar<'a>, Option<Moment>)>,
}

impl<'a, S: Sink> Records<'_, 'a, S> {
    fn elements<C: Tree<'a>>(&mut self, level: usize, mut at: C) -> Result<(), Reject> {
        match (at.kind()?, self.options.each_object) {
            (Kind::Scalar, _) => Ok(()),
            (Kind::Object, EachObject::Record) => self.element(level, &mut at, Name::Other),
            (Kind::Object, EachObject::Members) => {
                let mut left = at.enter()?;
                while at.more(&mut left)? {
                    let name = at.name()?;
                    self.element(level, &mut at, name)?;
                }
                Ok(())
            }
            (Kind::Array, _) => {
                let mut left = at.enter()?;
                let mut index = 0;
                while at.more(&mut left)? {
                    self.element(level, &mut at, Name::Number(index))?;
                    index += 1;
                }
                Ok(())
            }
        }
    }

    fn element<C: Tree<'a>>(
        &mut self,
        level: usize,
        at: &mut C,
        name: Name<'a>,
    ) -> Result<(), Reject> {
        let own_name = self
            .trie
            .own_name(level)
            .and_then(|leaf| Some((leaf.id, as_value(name)?)));
        if level < self.trie.levels() {
            let outer = self.held.len();
            let mut hold = Hold(&mut self.held);
            let walked = walk(self.trie, self.options, level, (at, &mut hold))?;
            self.held
                .extend(own_name.map(|(id, name)| (id, name, None)));
            if let Some(elements) = walked.elements {
                self.elements(level + 1, elements)?;
            }
            self.held.truncate(outer);
            return Ok(());
        }
        let mut points = Points(&mut *self.sink);
        let walked = walk(self.trie, self.options, level, (at, &mut points))?;
        if !walked.has_found && self.trie.has_values(level) {
            return Ok(());
        }
        if let Some((id, name)) = own_name {
            points.value(id, name, None)?;
        }
        for (id, value, time) in &self.held {
            value.show(|value| self.sink.point(timed(*id, value, *time)))?;
        }
        self.sink.end_record()
    }
}

fn as_value(name: Name<'_>) -> Option<Scalar<'_>> {
    match name {
        Name::Text(std::borrow::Cow::Borrowed(text)) => Some(Scalar::Plain(Value::Text(text))),
        Name::Text(std::borrow::Cow::Owned(text)) => Some(Scalar::Text(text)),
        Name::Number(number) => Some(Scalar::Plain(Value::Whole(number))),
        Name::Other => None,
    }
}

const fn timed(id: u64, value: Value<'_>, time: Option<Moment>) -> Point<'_> {
    Point {
        time,
        ..Point::new(Key::Code(id), value)
    }
}

/// Values of the record in work.
struct Points<'s, S>(&'s mut S);

impl<'a, S: Sink> Listen<'a> for Points<'_, S> {
    const SERIES: bool = true;

    #[inline]
    fn value(&mut self, id: u64, value: Scalar<'a>, time: Option<Moment>) -> Result<(), Reject> {
        value.show(|value| self.0.point(timed(id, value, time)))
    }
}

/// Values outside of all elements.
struct Heads<'s, S>(&'s mut S);

impl<'a, S: Sink> Listen<'a> for Heads<'_, S> {
    const SERIES: bool = false;

    fn value(&mut self, id: u64, value: Scalar<'a>, _time: Option<Moment>) -> Result<(), Reject> {
        value.show(|value| self.0.head(Key::Code(id), value))
    }
}

/// Values of an element that has elements.
struct Hold<'h, 'a>(&'h mut Vec<(u64, Scalar<'a>, Option<Moment>)>);

impl<'a> Listen<'a> for Hold<'_, 'a> {
    const SERIES: bool = false;

    fn value(&mut self, id: u64, value: Scalar<'a>, time: Option<Moment>) -> Result<(), Reject> {
        self.0.push((id, value.settled()?, time));
        Ok(())
    }
}
