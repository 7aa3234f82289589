//! The unit bytes of CJ/T 188 (clause on units: code table), as UCUM codes and a power of ten.

/// A unit byte: what it means, and the power of ten that goes with the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) byte: u8,
    pub(super) ucum: &'static str,
    /// 2 where the byte means hundreds of the unit.
    pub(super) exponent: u8,
}

const fn unit(byte: u8, ucum: &'static str, exponent: u8) -> Unit {
    Unit {
        byte,
        ucum,
        exponent,
    }
}

/// All of them, in order of their bytes.
const UNITS: &[Unit] = &[
    unit(0x01, "J", 0),
    unit(0x02, "W.h", 0),
    unit(0x05, "kW.h", 0),
    unit(0x08, "MW.h", 0),
    unit(0x0A, "MW.h", 2),
    unit(0x0B, "kJ", 0),
    unit(0x0E, "MJ", 0),
    unit(0x11, "GJ", 0),
    unit(0x13, "GJ", 2),
    unit(0x14, "W", 0),
    unit(0x17, "kW", 0),
    unit(0x1A, "MW", 0),
    unit(0x29, "L", 0),
    unit(0x2C, "m3", 0),
    unit(0x32, "L/h", 0),
    unit(0x35, "m3/h", 0),
    unit(0x38, "J/h", 0),
    unit(0x3B, "kJ/h", 0),
    unit(0x3E, "MJ/h", 0),
    unit(0x40, "GJ/h", 0),
    unit(0x43, "GJ/h", 2),
];

/// What a unit byte means; none for one that the standard does not list.
pub(super) fn of(byte: u8) -> Option<Unit> {
    let place = UNITS.binary_search_by_key(&byte, |unit| unit.byte).ok()?;
    UNITS.get(place).copied()
}
