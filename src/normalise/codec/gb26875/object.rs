//! What an object begins with: its system, its part, and the name made of both.

use super::{
    super::{
        super::{
            payload::Reject,
            point::{Key, Point, Sink, Value},
        },
        bits::{Bytes, HexText},
    },
    Gb26875, byte,
};

/// The name of an object while it is read: `ADDRESS.SSAA.PPPPPPPP`.
pub(super) struct Object {
    name: [u8; 26],
    len: usize,
}

impl Object {
    pub(super) fn new(source: &HexText) -> Self {
        let mut object = Self {
            name: [b'.'; 26],
            len: 0,
        };
        object.append(source);
        object
    }

    fn append(&mut self, digits: &HexText) {
        let digits = digits.as_str().as_bytes();
        let room = self.name.iter_mut().skip(self.len);
        room.zip(digits).for_each(|(place, digit)| *place = *digit);
        self.len += digits.len();
    }

    pub(super) fn system<S: Sink>(
        &mut self,
        bytes: &mut Bytes<'_>,
        sink: &mut S,
    ) -> Result<(), Reject> {
        let [kind, address] = bytes.array()?;
        self.len += 1;
        self.append(&HexText::of(&[kind, address]));
        for (name, value) in [("system_type", kind), ("system_address", address)] {
            sink.point(Point::new(Key::Name(name), Value::Whole(i64::from(value))))?;
        }
        Ok(())
    }

    pub(super) fn part<S: Sink>(
        &mut self,
        codec: &Gb26875,
        bytes: &mut Bytes<'_>,
        sink: &mut S,
    ) -> Result<(), Reject> {
        byte(bytes, "part_type", sink)?;
        let address = codec.hex(bytes.take(4)?);
        self.len += 1;
        self.append(&address);
        sink.point(Point::new(
            Key::Name("part_address"),
            Value::Text(address.as_str()),
        ))
    }

    pub(super) fn as_str(&self) -> &str {
        let name = self.name.get(..self.len).unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }
}
