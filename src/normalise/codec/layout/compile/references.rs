//! Words that later steps refer to: each gets a slot when it is first referred to, and every step that reads it is told.

use super::{
    super::{
        options::{Take, When as WhenOptions},
        plan::{Op, Source, Step, WORDS_MAX, When},
        scalar::Kind,
    },
    Compiler,
};

/// Which number of a value is referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reference {
    /// All of its bits.
    Word,
    /// What `bits` and `sign` make of it.
    Number,
}

impl Compiler {
    pub(super) fn when(&mut self, options: &WhenOptions) -> Result<When, String> {
        let mut among: Vec<i128> = options.among.iter().copied().map(i128::from).collect();
        among.extend(options.is.map(i128::from));
        let compares = options.bit.is_some() || options.not.is_some() || !among.is_empty();
        if !compares && (options.bytes_left.is_none() || options.name.is_some()) {
            return Err("when wants bit, is, not, in or bytes_left".to_owned());
        }
        if options.bit.is_some_and(|bit| bit > 63) {
            return Err("when: bit goes from 0 to 63".to_owned());
        }
        let reference = match options.name {
            Some(_) => Reference::Number,
            None => Reference::Word,
        };
        let word = match compares {
            true => Some(self.refer(options.name.as_deref(), reference)?),
            false => None,
        };
        Ok(When {
            word,
            mask: options.mask.map_or(-1, i128::from),
            bit: options.bit,
            among: among.into(),
            not: options.not.map(i128::from),
            bytes_left: options.bytes_left.unwrap_or(0),
        })
    }

    /// The slot of an earlier value, or of the last word.
    pub(super) fn refer(
        &mut self,
        name: Option<&str>,
        reference: Reference,
    ) -> Result<usize, String> {
        let (readers, known) = match name {
            Some(name) => {
                let readers =
                    self.readers.get(name).cloned().ok_or_else(|| {
                        format!("{name:?} names no whole number that is read before")
                    })?;
                (
                    readers,
                    self.slots.get(&(name.to_owned(), reference)).copied(),
                )
            }
            None => {
                let last = self.last.ok_or("no word is read before")?;
                let op = self.plan.ops.get(last);
                let kept = op.and_then(|op| match &op.step {
                    Step::Field(field) => field.keep_word,
                    _ => None,
                });
                (vec![last], kept)
            }
        };
        if let Some(slot) = known {
            return Ok(slot);
        }
        let slot = self.slots_used;
        if slot >= WORDS_MAX {
            return Err(format!("more than {WORDS_MAX} values are referred to"));
        }
        self.slots_used += 1;
        if let Some(name) = name {
            self.slots.insert((name.to_owned(), reference), slot);
        }
        for reader in readers {
            if let Some(Op {
                step: Step::Field(field),
                ..
            }) = self.plan.ops.get_mut(reader)
            {
                match reference {
                    Reference::Word => field.keep_word = Some(slot),
                    Reference::Number => field.keep_number = Some(slot),
                }
            }
        }
        Ok(slot)
    }

    /// Which words later steps may refer to.
    pub(super) fn remember(&mut self, take: &Take, place: usize) {
        let Some(Op {
            step: Step::Field(field),
            ..
        }) = self.plan.ops.get(place)
        else {
            return;
        };
        let is_wire = matches!(
            &field.source,
            Source::Wire(Kind::Int(_) | Kind::BcdBe | Kind::BcdLe, _)
        );
        if is_wire {
            self.last = Some(place);
        }
        if let (true, Some(name)) = (
            is_wire || matches!(field.source, Source::Word(_)),
            &take.name,
        ) {
            self.readers.entry(name.clone()).or_default().push(place);
        }
    }
}
