//! A tree of named and counted values in some notation, read forward from a place that can be kept: what the walker of
//! pointers needs of JSON and of CBOR, and no more.

use std::borrow::Cow;

use super::super::super::{payload::Reject, point::Value};

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    Scalar,
}

/// The name of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name<'a> {
    Text(Cow<'a, str>),
    /// CBOR has numbers as names; arrays count with them.
    Number(i64),
    /// What no pointer can name, such as a map as the name of a member.
    Other,
}

/// A value without members.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar<'a> {
    Plain(Value<'a>),
    /// JSON text between its quotes, with escapes that are still to be resolved.
    Escaped(&'a str),
    /// Text in pieces, joined.
    Text(String),
    /// Bytes in pieces, joined.
    Bytes(Vec<u8>),
}

/// Most bytes of an escaped text that is resolved without allocation: an alarm's sentence, not an embedded document.
const SCRATCH_BYTES: usize = 512;

impl<'a> Scalar<'a> {
    /// Shows the value, its escapes resolved.
    #[inline]
    pub(crate) fn show<R>(
        &self,
        with: impl FnOnce(Value<'_>) -> Result<R, Reject>,
    ) -> Result<R, Reject> {
        match self {
            Self::Plain(value) => with(*value),
            Self::Escaped(text) => {
                let mut scratch = [0; SCRATCH_BYTES];
                match super::json::unescape(text, &mut scratch) {
                    Some(plain) => with(Value::Text(plain)),
                    None => with(Value::Text(&super::json::unescape_any(text)?)),
                }
            }
            Self::Text(text) => with(Value::Text(text)),
            Self::Bytes(bytes) => with(Value::Bytes(bytes)),
        }
    }

    /// The same, ready to be shown often: escapes are resolved once.
    pub(crate) fn settled(self) -> Result<Self, Reject> {
        match self {
            Self::Escaped(text) => super::json::unescape_any(text).map(Self::Text),
            other => Ok(other),
        }
    }

    /// Text, borrowed from the payload where it can be; none for what is no text.
    pub(crate) fn into_text(self) -> Result<Option<Cow<'a, str>>, Reject> {
        Ok(match self {
            Self::Plain(Value::Text(text)) => Some(Cow::Borrowed(text)),
            Self::Escaped(text) => Some(Cow::Owned(super::json::unescape_any(text)?)),
            Self::Text(text) => Some(Cow::Owned(text)),
            _ => None,
        })
    }
}

/// A place in a tree. A clone stays behind, so that a span can be read twice.
pub(crate) trait Tree<'a>: Clone {
    /// What is left of a container that was entered.
    type Left;

    /// What comes next; nothing is passed but what says nothing of itself (white space, unknown tags).
    fn kind(&mut self) -> Result<Kind, Reject>;

    /// Steps into the container that comes next.
    fn enter(&mut self) -> Result<Self::Left, Reject>;

    /// Whether a further element or member comes; if not, steps out of the container. In an object, [`Tree::name`] is
    /// called next.
    fn more(&mut self, left: &mut Self::Left) -> Result<bool, Reject>;

    fn name(&mut self) -> Result<Name<'a>, Reject>;

    /// Checks and passes the value that comes next, whatever it is.
    fn skip(&mut self) -> Result<(), Reject> {
        self.raw().map(drop)
    }

    /// The same, and lends it as it stands in the payload.
    fn raw(&mut self) -> Result<Value<'a>, Reject>;

    /// The scalar that comes next.
    fn scalar(&mut self) -> Result<Scalar<'a>, Reject>;

    /// The payload must end here.
    fn end(&mut self) -> Result<(), Reject>;
}
