//! Stepping over items, however nested, without a stack frame for each level.

use super::{
    super::{super::payload::Reject, malformed},
    number::{LENGTHENED, is_lengthened},
    reader::{ARRAY, BYTES, Cbor, Head, Left, MAP, SIMPLE, TAG, TEXT},
};
use crate::domain::QuarantineReason;

/// Deepest nesting of what is stepped over, as in JSON.
const DEPTH_MAX: usize = 32;

impl Cbor<'_> {
    /// Passes an item, however nested, and checks that it is well-formed.
    pub(super) fn pass(&mut self) -> Result<(), Reject> {
        let mut open = [Left::Count(0); DEPTH_MAX];
        let mut depth = 0;
        loop {
            let start = self.at;
            let head = self.head()?;
            let is_opened = match head.major {
                BYTES | TEXT => self.string_passed(head)?,
                TAG => continue,
                SIMPLE if is_lengthened(head) => return Err(malformed(start, LENGTHENED)),
                ARRAY | MAP => true,
                _ => false,
            };
            if is_opened {
                let place = open.get_mut(depth).ok_or_else(|| deep(start))?;
                *place = items(head);
                depth += 1;
            }
            loop {
                let Some(innermost) = depth.checked_sub(1).and_then(|at| open.get_mut(at)) else {
                    return Ok(());
                };
                if self.goes_on(innermost)? {
                    break;
                }
                depth -= 1;
            }
        }
    }

    fn string_passed(&mut self, head: Head) -> Result<bool, Reject> {
        if !head.is_open() {
            self.take(head.number)?;
            return Ok(false);
        }
        while !self.is_break() {
            self.piece(head.major)?;
        }
        self.at += 1;
        Ok(false)
    }
}

/// Items in a container that is stepped over: names count for themselves.
const fn items(head: Head) -> Left {
    if head.is_open() && head.major == MAP {
        Left::InPairs { is_at_name: true }
    } else if head.is_open() {
        Left::UntilBreak
    } else if head.major == MAP {
        Left::Count(head.number.saturating_mul(2))
    } else {
        Left::Count(head.number)
    }
}

#[cold]
fn deep(at: usize) -> Reject {
    let detail = format!("byte {at}: nested deeper than {DEPTH_MAX} levels");
    Reject::new(QuarantineReason::TooLarge, detail)
}
