//! The body of a position report.

use super::{
    super::{
        super::{
            payload::Reject,
            point::{Civil, Decimal, Key, Moment, Point, Sink, Value},
            quality::Quality,
        },
        bits::{Bytes, bcd},
    },
    Jt808,
    options::Unfixed,
};

/// What every position has; extras follow.
pub(super) const BASIC_LEN: usize = 28;

pub(super) const FIXED: u32 = 1 << 1;
pub(super) const SOUTH: u32 = 1 << 2;
pub(super) const WEST: u32 = 1 << 3;

impl Jt808 {
    /// The points of a position and its extras; does not end the record.
    pub(super) fn position<S: Sink>(
        &self,
        mut bytes: Bytes<'_>,
        sink: &mut S,
    ) -> Result<(), Reject> {
        let mut basic = Bytes::new(bytes.take(BASIC_LEN)?);
        let alarm = basic.u32_be()?;
        let status = basic.u32_be()?;
        let (latitude, longitude) = (basic.u32_be()?, basic.u32_be()?);
        let altitude = i64::from(basic.u16_be()?.cast_signed());
        let (speed, direction) = (basic.u16_be()?, basic.u16_be()?);
        let time = time(basic.array()?).map_or(Value::Missing, Value::Time);
        sink.point(Point::new(Key::Name("time"), time))?;
        sink.point(Point::new(
            Key::Name("alarm"),
            Value::Whole(i64::from(alarm)),
        ))?;
        sink.point(Point::new(
            Key::Name("status"),
            Value::Whole(i64::from(status)),
        ))?;

        let quality = self.quality(status, (latitude, longitude));
        let place = |value| {
            if quality == Quality::BAD {
                Value::Missing
            } else {
                value
            }
        };
        let degrees = |raw, negative| {
            let raw = i64::from(raw);
            let signed = if status & negative == 0 { raw } else { -raw };
            place(Value::Decimal(Decimal::new(signed, 6)))
        };
        let speed = place(Value::Decimal(Decimal::new(i64::from(speed), 1)));
        let points = [
            Point::new(Key::Name("latitude"), degrees(latitude, SOUTH)).unit("deg"),
            Point::new(Key::Name("longitude"), degrees(longitude, WEST)).unit("deg"),
            Point::new(Key::Name("altitude"), place(Value::Whole(altitude))).unit("m"),
            Point::new(Key::Name("speed"), speed).unit("km/h"),
            Point::new(
                Key::Name("direction"),
                place(Value::Whole(direction.into())),
            )
            .unit("deg"),
        ];
        for point in points {
            sink.point(point.quality(quality))?;
        }
        self.extras.read(bytes.rest(), sink)
    }

    fn quality(&self, status: u32, place: (u32, u32)) -> Quality {
        if status & FIXED != 0 {
            Quality::GOOD
        } else if self.unfixed == Unfixed::Missing || place == (0, 0) {
            Quality::BAD
        } else {
            Quality::UNCERTAIN
        }
    }
}

fn time(digits: [u8; 6]) -> Option<Moment> {
    let [year, month, day, hour, minute, second] = digits;
    let date = (2000 + u16::from(bcd(year)?), bcd(month)?, bcd(day)?);
    let clock = (bcd(hour)?, bcd(minute)?, bcd(second)?);
    Civil::new(date, clock).map(Moment::Local)
}
