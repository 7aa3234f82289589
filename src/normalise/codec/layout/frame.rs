//! Finding frames and taking their escapes back.
//!
//! Every call looks at each byte a bounded number of times: what it passes over is given back as `skip`, and an end that
//! was not found from the first start is not looked for from the next.

use super::{
    super::{super::payload::Reject, Framing, malformed},
    options,
    scalar::Int,
};

/// Longest frame with escapes in it, since they are taken back on the stack.
pub(super) const UNESCAPED_MAX: usize = 2048;
/// Bytes of a frame if its start is not empty, at most; also of its end.
const MARK_MAX: usize = 8;

/// Bytes of hexadecimal digits.
pub(super) fn unhex(text: &str) -> Result<Vec<u8>, String> {
    hex::decode(text).map_err(|_not_hex| format!("{text:?} is not in pairs of hexadecimal digits"))
}

#[derive(Debug, Clone, Copy)]
struct Length {
    at: usize,
    kind: Int,
    plus: i64,
}

/// How frames are cut.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    pub(super) start: Vec<u8>,
    pub(super) end: Vec<u8>,
    length: Option<Length>,
    fixed: Option<usize>,
    pub(super) escapes: Vec<([u8; 2], u8)>,
    bytes_max: usize,
}

enum Size {
    Whole(usize),
    Short,
    NoFrame,
}

impl Cut {
    pub(super) fn new(options: &options::Frame) -> Result<Self, String> {
        let at = |name: &'static str| move |e: String| format!("frame.{name}: {e}");
        let start = unhex(&options.start).map_err(at("start"))?;
        let end = unhex(&options.end).map_err(at("end"))?;
        if start.len() > MARK_MAX || end.len() > MARK_MAX {
            return Err(format!(
                "frame.start and frame.end have at most {MARK_MAX} bytes"
            ));
        }
        let length = options.length.as_ref().map(|length| {
            let kind = Int::parse(&length.kind).map_err(at("length"))?;
            Ok::<_, String>(Length {
                at: length.at,
                kind,
                plus: length.plus,
            })
        });
        let length = length.transpose()?;
        if length.is_some() && options.fixed.is_some() {
            return Err("frame.length and frame.fixed exclude each other".to_owned());
        }
        if options
            .fixed
            .is_some_and(|fixed| fixed == 0 || fixed < start.len() + end.len())
        {
            return Err("frame.fixed is shorter than start and end".to_owned());
        }
        let is_delimited = length.is_none() && options.fixed.is_none();
        let has_ends = !start.is_empty() && !end.is_empty();
        if !(options.escape.is_empty() || is_delimited && has_ends) {
            return Err(
                "frame.escape needs frame.start and frame.end, and neither length nor fixed"
                    .to_owned(),
            );
        }
        let escapes = options.escape.iter().map(|(from, to)| {
            let (from, to) = (unhex(from)?, unhex(to)?);
            match (from.as_slice(), to.as_slice()) {
                ([mark, code], [byte]) => Ok(([*mark, *code], *byte)),
                _ => Err(format!("{from:02X?} = {to:02X?} is not two bytes for one")),
            }
        });
        let escapes = escapes.collect::<Result<_, _>>().map_err(at("escape"))?;
        Ok(Self {
            start,
            end,
            length,
            fixed: options.fixed,
            escapes,
            bytes_max: options.bytes_max,
        })
    }

    /// What stands at the front.
    pub(super) fn find(&self, bytes: &[u8]) -> Framing {
        if bytes.is_empty() {
            return Framing::Nothing;
        }
        let mut partial = None;
        let mut at = 0;
        while let Some(skip) = find(bytes, &self.start, at) {
            match self.measure(bytes.get(skip..).unwrap_or_default()) {
                Size::Whole(len) => return Framing::Frame { skip, len },
                // Only an end at its place would tell a later frame from bytes within this one.
                Size::Short if self.end.is_empty() || self.is_delimited() => {
                    return Framing::Partial { skip };
                }
                Size::Short => {
                    partial.get_or_insert(skip);
                }
                Size::NoFrame => {}
            }
            at = skip + 1;
            if self.start.is_empty() {
                break;
            }
        }
        let cut_start = (1..self.start.len())
            .rev()
            .filter(|len| {
                self.start
                    .get(..*len)
                    .is_some_and(|front| bytes.ends_with(front))
            })
            .map(|len| bytes.len() - len);
        match partial.or_else(|| cut_start.into_iter().next()) {
            Some(skip) => Framing::Partial { skip },
            None => Framing::Nothing,
        }
    }

    fn is_delimited(&self) -> bool {
        self.length.is_none() && self.fixed.is_none() && !self.end.is_empty()
    }

    /// Of bytes that begin with the start.
    fn measure(&self, bytes: &[u8]) -> Size {
        let Some(len) = self.len_of(bytes) else {
            return self.measure_delimited(bytes);
        };
        let Ok(len) = len else {
            return Size::Short;
        };
        if len < self.len_min() || len > self.bytes_max {
            return Size::NoFrame;
        }
        match bytes.get(..len) {
            None => Size::Short,
            Some(frame) if frame.ends_with(&self.end) => Size::Whole(len),
            Some(_) => Size::NoFrame,
        }
    }

    /// The length that a frame says of itself, none if frames do not; an error if that is not there yet.
    fn len_of(&self, bytes: &[u8]) -> Option<Result<usize, ()>> {
        if let Some(fixed) = self.fixed {
            return Some(Ok(fixed));
        }
        let length = self.length?;
        let to = length.at.saturating_add(usize::from(length.kind.bytes));
        let field = bytes.get(length.at..to);
        Some(field.ok_or(()).map(|raw| {
            let len = length.kind.read(raw) + i128::from(length.plus);
            usize::try_from(len).unwrap_or(0)
        }))
    }

    fn len_min(&self) -> usize {
        let field = self.length.map_or(0, |length| {
            length.at.saturating_add(usize::from(length.kind.bytes))
        });
        field
            .max(self.start.len())
            .saturating_add(self.end.len())
            .max(1)
    }

    fn measure_delimited(&self, bytes: &[u8]) -> Size {
        if self.end.is_empty() {
            return Size::Whole(bytes.len());
        }
        match find(bytes, &self.end, self.start.len()) {
            None => Size::Short,
            // Two marks without anything between: the second one begins a frame.
            Some(at) if at == self.start.len() && self.start == self.end => Size::NoFrame,
            Some(at) => Size::Whole(at + self.end.len()),
        }
    }

    /// Whether a frame is one by its start, end and length.
    pub(super) fn verify(&self, frame: &[u8]) -> Result<(), Reject> {
        if !frame.starts_with(&self.start) {
            return Err(malformed(0, "not the start of a frame"));
        }
        if frame.len() < self.len_min() || !frame.ends_with(&self.end) {
            return Err(malformed(frame.len(), "not the end of a frame"));
        }
        match self.len_of(frame) {
            Some(Ok(len)) if len != frame.len() => Err(malformed(
                self.length.map_or(0, |length| length.at),
                format_args!("a length of {len} in a frame of {}", frame.len()),
            )),
            Some(Err(())) => Err(malformed(frame.len(), "the length is not there")),
            _ => Ok(()),
        }
    }

    /// The frame without escapes; itself if it has none.
    pub(super) fn unescape<'a>(
        &self,
        frame: &'a [u8],
        into: &'a mut [u8; UNESCAPED_MAX],
    ) -> Result<&'a [u8], Reject> {
        let is_mark = |byte: &u8| self.escapes.iter().any(|([mark, _], _)| mark == byte);
        let inner_end = frame.len().saturating_sub(self.end.len());
        let inner = frame.get(self.start.len()..inner_end).unwrap_or_default();
        if self.escapes.is_empty() || !inner.iter().any(is_mark) {
            return Ok(frame);
        }
        let mut len = 0;
        let mut rest = frame;
        while let Some((first, behind)) = rest.split_first() {
            let at = frame.len() - rest.len();
            rest = behind;
            let mut byte = *first;
            if (self.start.len()..inner_end).contains(&at) && is_mark(first) {
                let second = rest.first().copied().unwrap_or_default();
                let escape = self
                    .escapes
                    .iter()
                    .find(|(pair, _)| *pair == [*first, second]);
                byte = escape
                    .ok_or_else(|| malformed(at, "an escape that means no byte"))?
                    .1;
                rest = rest.get(1..).unwrap_or_default();
            }
            let place = into.get_mut(len);
            *place.ok_or_else(|| malformed(at, "too long for a frame with escapes"))? = byte;
            len += 1;
        }
        Ok(into.get(..len).unwrap_or_default())
    }

    /// Puts the length into a frame that is whole but for it.
    #[cfg(any(test, feature = "harness"))]
    pub(super) fn write_length(&self, frame: &mut [u8]) -> Result<(), String> {
        let len = i64::try_from(frame.len()).unwrap_or(i64::MAX);
        if let Some(fixed) = self.fixed
            && fixed != frame.len()
        {
            return Err(format!("the frame has {len} bytes and should have {fixed}"));
        }
        let Some(length) = self.length else {
            return Ok(());
        };
        let number = u64::try_from(len - length.plus).map_err(|e| e.to_string())?;
        let raw = super::scalar::to_ordered(number, length.kind.bytes, length.kind.order);
        let places = frame.iter_mut().skip(length.at).zip(raw);
        places.for_each(|(place, byte)| *place = byte);
        Ok(())
    }

    /// The frame with escapes.
    #[cfg(any(test, feature = "harness"))]
    pub(super) fn escape(&self, frame: Vec<u8>) -> Vec<u8> {
        let inner = self.start.len()..frame.len() - self.end.len();
        let pairs = frame.iter().enumerate().flat_map(|(at, byte)| {
            let escape = self
                .escapes
                .iter()
                .find(|(_, plain)| inner.contains(&at) && plain == byte);
            escape.map_or_else(|| vec![*byte], |(pair, _)| pair.to_vec())
        });
        pairs.collect()
    }
}

/// Where a mark stands from a place on; an empty one stands everywhere.
fn find(bytes: &[u8], mark: &[u8], from: usize) -> Option<usize> {
    let Some(first) = mark.first() else {
        return (from < bytes.len()).then_some(from);
    };
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| byte == first)?;
        if bytes.get(at..)?.starts_with(mark) {
            return Some(at);
        }
        at += 1;
    }
}
