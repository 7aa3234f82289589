//! A single pass over JSON text (RFC 8259), on behalf of a reader that knows what it wants next. Nothing is built:
//! what is wanted is lent from the text, the rest is checked and stepped over. Nesting costs a bit, not a stack frame.
//!
//! Our own, because a reading wants what `serde_json` hides behind its visitors: a number by its text (`1e999`, `2.0` and
//! 2^63 for an integer field), a member's raw text, the byte of a fault and a depth without recursion, in one pass.
//! Held against `serde_json` by a property test; benches/normalise.rs has the price beside it.

use std::borrow::Cow;

use super::words;

/// Deepest nesting of arrays and objects in what is stepped over.
pub(super) const DEPTH_MAX: u32 = 32;

/// What breaks JSON, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) kind: FaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// Something else than what JSON wants here.
    Wanted(&'static str),
    /// Nested deeper than [`DEPTH_MAX`].
    Deep,
}

/// The JSON type of the value that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Object,
    Array,
    Text,
    Number,
    True,
    False,
    Null,
}

impl Next {
    /// The type with its article, for error messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::Text => "text",
            Self::Number => "a number",
            Self::True | Self::False => "a boolean",
            Self::Null => "null",
        }
    }
}

/// A number's text, which keeps JSON's grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number<'a> {
    pub(super) text: &'a str,
    /// Whether it has neither a fraction nor an exponent.
    pub(super) whole: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    const fn wanted(&self, what: &'static str) -> Fault {
        Fault {
            at: self.at,
            kind: FaultKind::Wanted(what),
        }
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Steps over white space and this byte, if it comes next.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Steps over white space and this byte, which must come next.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Fault> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(self.wanted(what))
        }
    }

    /// The text must end here.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.wanted("the end")),
        }
    }

    /// The type of the next value.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Next, Fault> {
        self.space();
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => Ok(Next::Number),
            Some(b'"') => Ok(Next::Text),
            Some(b't') => Ok(Next::True),
            Some(b'f') => Ok(Next::False),
            Some(b'n') => Ok(Next::Null),
            Some(b'{') => Ok(Next::Object),
            Some(b'[') => Ok(Next::Array),
            _ => Err(self.wanted("a value")),
        }
    }

    /// A member's name and its colon.
    #[inline]
    pub(super) fn name(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.space();
        if self.peek() != Some(b'"') {
            return Err(self.wanted("a member name"));
        }
        let name = self.text()?;
        self.expect(b':', "a colon")?;
        Ok(name)
    }

    /// A text, its escapes resolved. [`Next::Text`] must come next.
    #[inline]
    pub(super) fn text(&mut self) -> Result<Cow<'a, str>, Fault> {
        let start = self.at;
        let escaped = self.skip_text()?;
        if escaped {
            let quoted = self.slice(start, self.at);
            return serde_json::from_str(quoted)
                .map(Cow::Owned)
                .map_err(|_broken| Fault {
                    at: start,
                    kind: FaultKind::Wanted("text whose surrogates come in pairs"),
                });
        }
        Ok(Cow::Borrowed(self.slice(start + 1, self.at - 1)))
    }

    #[inline]
    fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// Steps over a text and says whether it has escapes.
    #[inline]
    fn skip_text(&mut self) -> Result<bool, Fault> {
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at += words::plain(bytes.get(self.at..).unwrap_or_default());
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.skip_escape()?;
                }
                Some(0x20..) => self.at += 1,
                Some(_) => return Err(self.wanted("no control character in a text")),
                None => return Err(self.wanted("the end of a text")),
            }
        }
    }

    fn skip_escape(&mut self) -> Result<(), Fault> {
        let bytes = self.text.as_bytes();
        let digits = match bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
            Some(b'u') => 4,
            _ => return Err(self.wanted("an escape")),
        };
        let hex = bytes.get(self.at + 2..self.at + 2 + digits);
        if !hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
            return Err(self.wanted("four hexadecimal digits"));
        }
        self.at += 2 + digits;
        Ok(())
    }

    /// A number. [`Next::Number`] must come next.
    #[inline]
    pub(super) fn number(&mut self) -> Result<Number<'a>, Fault> {
        let start = self.at;
        let mut whole = true;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            whole = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            whole = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Number {
            text: self.slice(start, self.at),
            whole,
        })
    }

    #[inline]
    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.wanted("a digit"));
        }
        Ok(())
    }

    /// Steps over `true`, `false` or `null`.
    #[inline]
    pub(super) fn word(&mut self, next: Next) -> Result<(), Fault> {
        let word = match next {
            Next::True => "true",
            Next::False => "false",
            _ => "null",
        };
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.wanted("true, false or null"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Checks a whole value, whatever it is, and lends its text.
    pub(super) fn value(&mut self) -> Result<&'a str, Fault> {
        self.space();
        let start = self.at;
        let mut nest = Nest::default();
        loop {
            let opened = self.open(&mut nest)?;
            if !opened && self.close(&mut nest)? {
                return Ok(self.slice(start, self.at));
            }
        }
    }

    /// Steps over a scalar or an empty container, or into a container; true if it is to go on inside.
    fn open(&mut self, nest: &mut Nest) -> Result<bool, Fault> {
        let next = self.next()?;
        match next {
            Next::Object => return self.enter(nest, Container::Object),
            Next::Array => return self.enter(nest, Container::Array),
            Next::Text => drop(self.skip_text()?),
            Next::Number => drop(self.number()?),
            Next::True | Next::False | Next::Null => self.word(next)?,
        }
        Ok(false)
    }

    fn enter(&mut self, nest: &mut Nest, container: Container) -> Result<bool, Fault> {
        self.at += 1;
        if self.take(container.end()) {
            return Ok(false);
        }
        if !nest.push(container) {
            return Err(Fault {
                at: self.at,
                kind: FaultKind::Deep,
            });
        }
        self.skip_name_in(container)?;
        Ok(true)
    }

    /// Behind a value: steps out of what ends here; true if everything has ended, false if a further value comes.
    fn close(&mut self, nest: &mut Nest) -> Result<bool, Fault> {
        while let Some(container) = nest.top() {
            if self.take(b',') {
                self.skip_name_in(container)?;
                return Ok(false);
            }
            self.expect(container.end(), "a comma or the end of an object or array")?;
            nest.pop();
        }
        Ok(true)
    }

    /// Steps over the name that stands before a value in an object.
    fn skip_name_in(&mut self, container: Container) -> Result<(), Fault> {
        if container == Container::Array {
            return Ok(());
        }
        self.space();
        if self.peek() != Some(b'"') {
            return Err(self.wanted("a member name"));
        }
        self.skip_text()?;
        self.expect(b':', "a colon")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Array = 0,
    Object = 1,
}

impl Container {
    const fn end(self) -> u8 {
        match self {
            Self::Array => b']',
            Self::Object => b'}',
        }
    }
}

/// The containers that are open: one bit each, the innermost lowest.
#[derive(Debug, Default)]
struct Nest {
    bits: u32,
    depth: u32,
}

const _: () = assert!(DEPTH_MAX <= u32::BITS, "one bit a level");

impl Nest {
    const fn push(&mut self, container: Container) -> bool {
        if self.depth == DEPTH_MAX {
            return false;
        }
        self.bits = self.bits << 1 | container as u32;
        self.depth += 1;
        true
    }

    const fn top(&self) -> Option<Container> {
        match (self.depth, self.bits & 1) {
            (0, _) => None,
            (_, 1) => Some(Container::Object),
            _ => Some(Container::Array),
        }
    }

    const fn pop(&mut self) {
        self.bits >>= 1;
        self.depth -= 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    fn scanned(text: &str) -> Result<&str, Fault> {
        let mut scanner = Scanner::new(text);
        let value = scanner.value()?;
        scanner.end()?;
        Ok(value)
    }

    #[test]
    fn what_is_json_is_taken_whole() {
        for text in [
            "0",
            "-0",
            "-1.5e+3",
            "1E9",
            "\"\"",
            r#""\u00e9\n""#,
            "true",
            "null",
            "[]",
            "{}",
            "[[],{}]",
            r#"{"a":[1,{"b":null}],"c":""}"#,
            "[1 , 2]",
            "{ \"a\" : 1 }",
        ] {
            assert_eq!(scanned(text), Ok(text));
        }
    }

    #[test]
    fn what_is_not_json_is_refused_at_its_byte() {
        for (text, at) in [
            ("", 0),
            ("01", 1),
            ("1.", 2),
            (".5", 0),
            ("-", 1),
            ("1e", 2),
            ("tru", 0),
            ("nul", 0),
            ("[1,]", 3),
            ("[1", 2),
            ("{\"a\"}", 4),
            ("{\"a\":}", 5),
            ("{,}", 1),
            ("\"a", 2),
            ("\"\\x\"", 1),
            ("\"\\u12\"", 1),
            ("1 2", 2),
            ("{\"a\":1,}", 7),
            ("+1", 0),
            ("NaN", 0),
            ("[1}", 2),
            ("'a'", 0),
            ("\"\n\"", 1),
        ] {
            assert_eq!(scanned(text).unwrap_err().at, at, "{text:?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(scanned(&deep(32)).is_ok());
        assert_eq!(scanned(&deep(200_000)).unwrap_err().kind, FaultKind::Deep);
    }

    proptest! {
        #[test]
        fn it_takes_what_serde_json_takes(text in r#"[\[\]{}:,"\\/ubtn0-9eE+. -]{0,24}|[a-z0-9\[\]{}",:]{0,16}"#) {
            let theirs = serde_json::from_str::<IgnoredAny>(&text).is_ok();
            let ours = scanned(&text);
            let deep = matches!(ours, Err(Fault { kind: FaultKind::Deep, .. }));
            prop_assert!(deep || ours.is_ok() == theirs, "{:?}: {:?}", text, ours);
        }

        #[test]
        fn texts_are_read_as_serde_json_reads_them(text: String) {
            let quoted = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(Scanner::new(&quoted).text().unwrap(), text);
        }
    }
}
