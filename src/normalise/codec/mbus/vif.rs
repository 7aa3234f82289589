//! What the value information of a record means (EN 13757-3, tables of the primary VIF and of its extensions FB and FD).
//! Each quantity has one unit wherever its VIFs differ by powers of ten only, so that a profile sees one unit.

use super::key::{Modifier, Quantity};

/// How a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Signed, by a power of ten.
    Number,
    /// Unsigned: flags, versions.
    Bits,
    /// A calendar by its width.
    Calendar,
    /// Digits that are a number's name, where they are BCD.
    Digits,
}

/// What a record's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) quantity: Quantity,
    pub(super) exponent: i8,
    pub(super) unit: Option<&'static str>,
    pub(super) kind: Kind,
}

const fn number(quantity: Quantity, exponent: i8, unit: &'static str) -> Meaning {
    Meaning {
        quantity,
        exponent,
        unit: Some(unit),
        kind: Kind::Number,
    }
}

const fn other(quantity: Quantity, kind: Kind) -> Meaning {
    Meaning {
        quantity,
        exponent: 0,
        unit: None,
        kind,
    }
}

/// The low bits of a VIF, as an exponent.
const fn low(vif: u8, bits: u8) -> i8 {
    (vif & bits).cast_signed()
}

/// Seconds, minutes, hours, days.
const fn duration(quantity: Quantity, vif: u8) -> Meaning {
    let unit = match vif & 3 {
        0 => "s",
        1 => "min",
        2 => "h",
        _ => "d",
    };
    number(quantity, 0, unit)
}

/// Of a VIF without its extension bit.
pub(super) const fn primary(vif: u8) -> Meaning {
    use Quantity as Q;
    match vif {
        0x00..=0x07 => number(Q::Energy, low(vif, 7) - 6, "kW.h"),
        0x08..=0x0F => number(Q::Energy, low(vif, 7) - 6, "MJ"),
        0x10..=0x17 => number(Q::Volume, low(vif, 7) - 6, "m3"),
        0x18..=0x1F => number(Q::Mass, low(vif, 7) - 3, "kg"),
        0x20..=0x23 => duration(Q::OnTime, vif),
        0x24..=0x27 => duration(Q::OperatingTime, vif),
        0x28..=0x2F => number(Q::Power, low(vif, 7) - 6, "kW"),
        0x30..=0x37 => number(Q::Power, low(vif, 7) - 6, "MJ/h"),
        0x38..=0x3F => number(Q::VolumeFlow, low(vif, 7) - 6, "m3/h"),
        0x40..=0x47 => number(Q::VolumeFlow, low(vif, 7) - 7, "m3/min"),
        0x48..=0x4F => number(Q::VolumeFlow, low(vif, 7) - 9, "m3/s"),
        0x50..=0x57 => number(Q::MassFlow, low(vif, 7) - 3, "kg/h"),
        0x58..=0x5B => number(Q::FlowTemperature, low(vif, 3) - 3, "Cel"),
        0x5C..=0x5F => number(Q::ReturnTemperature, low(vif, 3) - 3, "Cel"),
        0x60..=0x63 => number(Q::TemperatureDifference, low(vif, 3) - 3, "K"),
        0x64..=0x67 => number(Q::ExternalTemperature, low(vif, 3) - 3, "Cel"),
        0x68..=0x6B => number(Q::Pressure, low(vif, 3) - 3, "bar"),
        0x6C => other(Q::Date, Kind::Calendar),
        0x6D => other(Q::Time, Kind::Calendar),
        0x6E => other(Q::HeatCostUnits, Kind::Number),
        0x70..=0x73 => duration(Q::AveragingDuration, vif),
        0x74..=0x77 => duration(Q::ActualityDuration, vif),
        0x78 => other(Q::FabricationNumber, Kind::Digits),
        0x79 => other(Q::Identification, Kind::Digits),
        0x7A => other(Q::BusAddress, Kind::Bits),
        0x7F => other(Q::Maker, Kind::Number),
        _ => other(Q::Other, Kind::Number),
    }
}

/// Of the first VIFE behind FB.
pub(super) const fn behind_fb(vife: u8) -> Meaning {
    use Quantity as Q;
    match vife {
        0x00 | 0x01 => number(Q::Energy, low(vife, 1) + 2, "kW.h"),
        0x02 | 0x03 => number(Q::ReactiveEnergy, low(vife, 1), "kV.A{reactive}.h"),
        0x04 | 0x05 => number(Q::ApparentEnergy, low(vife, 1), "kV.A.h"),
        0x08 | 0x09 => number(Q::Energy, low(vife, 1) + 2, "MJ"),
        0x0C..=0x0F => number(Q::Energy, low(vife, 3) - 1, "Mcal"),
        0x10 | 0x11 => number(Q::Volume, low(vife, 1) + 2, "m3"),
        0x14..=0x17 => number(Q::ReactivePower, low(vife, 3) - 3, "kV.A{reactive}"),
        0x18 | 0x19 => number(Q::Mass, low(vife, 1) + 5, "kg"),
        0x1A | 0x1B => number(Q::RelativeHumidity, low(vife, 1) - 1, "%{RH}"),
        0x28 | 0x29 => number(Q::Power, low(vife, 1) + 2, "kW"),
        0x2A | 0x2B => number(Q::Phase, -1, "deg"),
        0x2C..=0x2F => number(Q::Frequency, low(vife, 3) - 3, "Hz"),
        0x30 | 0x31 => number(Q::Power, low(vife, 1) + 2, "MJ/h"),
        0x34..=0x37 => number(Q::ApparentPower, low(vife, 3) - 3, "kV.A"),
        0x58..=0x5B => number(Q::FlowTemperature, low(vife, 3) - 3, "[degF]"),
        0x5C..=0x5F => number(Q::ReturnTemperature, low(vife, 3) - 3, "[degF]"),
        0x60..=0x63 => number(Q::TemperatureDifference, low(vife, 3) - 3, "[degF]"),
        0x64..=0x67 => number(Q::ExternalTemperature, low(vife, 3) - 3, "[degF]"),
        0x78..=0x7F => number(Q::MaximumPower, low(vife, 7) - 6, "kW"),
        _ => other(Q::Other, Kind::Number),
    }
}

/// Of the first VIFE behind FD.
pub(super) const fn behind_fd(vife: u8) -> Meaning {
    use Quantity as Q;
    match vife {
        0x00..=0x03 => money(Q::Credit, vife),
        0x04..=0x07 => money(Q::Debit, vife),
        0x08 => other(Q::AccessNumber, Kind::Bits),
        0x09 => other(Q::Medium, Kind::Bits),
        0x0A => other(Q::Manufacturer, Kind::Bits),
        0x0B => other(Q::ParameterSet, Kind::Bits),
        0x0C => other(Q::Model, Kind::Bits),
        0x0D => other(Q::HardwareVersion, Kind::Bits),
        0x0E => other(Q::FirmwareVersion, Kind::Bits),
        0x0F => other(Q::SoftwareVersion, Kind::Bits),
        0x11 => other(Q::Customer, Kind::Digits),
        0x17 => other(Q::ErrorFlags, Kind::Bits),
        0x18 => other(Q::ErrorMask, Kind::Bits),
        0x1A => other(Q::DigitalOutput, Kind::Bits),
        0x1B => other(Q::DigitalInput, Kind::Bits),
        0x1C => number(Q::Baud, 0, "Bd"),
        0x24..=0x27 => duration(Q::StorageInterval, vife),
        0x28 => number(Q::StorageInterval, 0, "mo"),
        0x29 => number(Q::StorageInterval, 0, "a"),
        0x2C..=0x2F => duration(Q::SinceReadout, vife),
        0x30 => other(Q::TariffStart, Kind::Calendar),
        0x31..=0x33 => duration(Q::TariffDuration, vife),
        0x34..=0x37 => duration(Q::TariffPeriod, vife),
        0x38 => number(Q::TariffPeriod, 0, "mo"),
        0x39 => number(Q::TariffPeriod, 0, "a"),
        0x3A => number(Q::Dimensionless, 0, "1"),
        0x40..=0x4F => number(Q::Voltage, low(vife, 15) - 9, "V"),
        0x50..=0x5F => number(Q::Current, low(vife, 15) - 12, "A"),
        0x60 => other(Q::ResetCounter, Kind::Bits),
        0x61 => other(Q::CumulationCounter, Kind::Bits),
        0x62 => other(Q::ControlSignal, Kind::Bits),
        0x67 => other(Q::Special, Kind::Bits),
        0x68..=0x6B => long_duration(Q::SinceCumulation, vife),
        0x6C..=0x6F => long_duration(Q::BatteryTime, vife),
        0x70 => other(Q::BatteryChange, Kind::Calendar),
        0x71 => number(Q::RadioLevel, 0, "dB{mW}"),
        0x74 => number(Q::BatteryLeft, 0, "d"),
        _ => other(Q::Other, Kind::Number),
    }
}

/// In a currency that only the profile knows.
const fn money(quantity: Quantity, vife: u8) -> Meaning {
    Meaning {
        exponent: low(vife, 3) - 3,
        ..other(quantity, Kind::Number)
    }
}

/// Hours, days, months, years.
const fn long_duration(quantity: Quantity, vife: u8) -> Meaning {
    let unit = match vife & 3 {
        0 => "h",
        1 => "d",
        2 => "mo",
        _ => "a",
    };
    number(quantity, 0, unit)
}

/// What a further VIFE, without its extension bit, makes of a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    /// Another quantity than the VIF alone.
    Modifier(Modifier),
    /// How long: the value is a duration.
    Lasting(Modifier, &'static str),
    /// When: the value is a calendar.
    When(Modifier),
    /// So many powers of ten more.
    Factor(i8),
    /// The meter says that it has no value.
    NoData,
    /// The meter says that the value is beyond its range.
    Beyond,
    /// The meter says that the value is wrong.
    Wrong,
    /// A further VIFE is of the table behind FC.
    Further,
}

/// Of a VIFE behind a VIF whose quantity is known.
pub(super) const fn extension(vife: u8) -> Extension {
    use Extension as E;
    use Modifier as M;
    match vife {
        0x00..=0x14 | 0x18..=0x1F => E::Wrong,
        0x15 => E::NoData,
        0x16 | 0x17 => E::Beyond,
        0x39 => E::When(M::Start),
        0x3A => E::Modifier(M::Uncorrected),
        0x3B => E::Modifier(M::Positive),
        0x3C => E::Modifier(M::Negative),
        0x40 => E::Modifier(M::LowerLimit),
        0x48 => E::Modifier(M::UpperLimit),
        0x41 => E::Modifier(M::BelowCount),
        0x49 => E::Modifier(M::AboveCount),
        0x42..=0x47 | 0x4A..=0x4F => E::When(M::LimitTime),
        0x50..=0x5F => E::Lasting(M::LimitDuration, seconds_to_days(vife)),
        0x60..=0x67 => E::Lasting(M::Duration, seconds_to_days(vife)),
        0x6A | 0x6B | 0x6E | 0x6F => E::When(M::EventTime),
        0x70..=0x77 => E::Factor(low(vife, 7) - 6),
        0x7C => E::Further,
        0x7D => E::Factor(3),
        0x7E => E::Modifier(M::Future),
        0x7F => E::Modifier(M::Maker),
        _ => E::Modifier(M::Derived),
    }
}

/// Of a VIFE behind the extension FC of a known quantity.
pub(super) const fn further(vife: u8) -> Modifier {
    match vife {
        0x01 => Modifier::PhaseOne,
        0x02 => Modifier::PhaseTwo,
        0x03 => Modifier::PhaseThree,
        0x04 => Modifier::Neutral,
        _ => Modifier::Derived,
    }
}

const fn seconds_to_days(vife: u8) -> &'static str {
    match vife & 3 {
        0 => "s",
        1 => "min",
        2 => "h",
        _ => "d",
    }
}

/// Units that plain texts mean.
pub(super) fn of_text(text: &str) -> Option<&'static str> {
    Some(match text {
        "%RH" => "%{RH}",
        "%" => "%",
        "kWh" => "kW.h",
        "m3" => "m3",
        "C" => "Cel",
        "V" => "V",
        "A" => "A",
        "Hz" => "Hz",
        _ => return None,
    })
}
