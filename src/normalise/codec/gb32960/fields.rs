//! The values of the blocks: name, width, step, offset, unit; and how a profile spells them.
//!
//! A value's code: block `<< 48` │ number of the part `<< 32` │ place in the table `<< 16` │ place in a list, from 1.

use super::{
    super::super::{
        payload::Reject,
        point::{Decimal, Key, Point, Sink, Value},
        quality::Quality,
    },
    Bytes, Edition,
};

/// What of a value's highest numbers is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    /// All bits are missing, one less is missing and bad.
    InvalidAndAbnormal,
    /// All bits are missing.
    Invalid,
    /// A number, a word of bits: all is as it stands.
    None,
}

/// A number of a block: `(raw * step + offset) / 10^places`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// Bytes: 1, 2 or 4.
    pub(super) size: u8,
    pub(super) step: i64,
    pub(super) offset: i64,
    pub(super) places: u8,
    pub(super) unit: Option<&'static str>,
    pub(super) marks: Marks,
}

/// A list whose length the frame says; its elements are named by their place.
pub(super) struct List {
    name: &'static str,
    pub(super) element: Field,
}

/// The values of a block or of one part of it.
pub(super) struct Group {
    pub(super) block: u8,
    prefix: &'static str,
    /// Behind the prefix stand the part's number and a point.
    pub(super) is_numbered: bool,
    pub(super) fields: &'static [Field],
    pub(super) lists: &'static [List],
}

/// The place of the first list in a code.
pub(super) const LISTS: u16 = 0x100;

const fn field(name: &'static str, size: u8, places: u8, unit: &'static str) -> Field {
    Field {
        name,
        size,
        step: 1,
        offset: 0,
        places,
        unit: if unit.is_empty() { None } else { Some(unit) },
        marks: Marks::InvalidAndAbnormal,
    }
}

const fn state(name: &'static str) -> Field {
    field(name, 1, 0, "")
}

const fn word(name: &'static str, size: u8) -> Field {
    Field {
        marks: Marks::None,
        ..field(name, size, 0, "")
    }
}

impl Field {
    const fn from(self, offset: i64) -> Self {
        Self { offset, ..self }
    }

    const fn step(self, step: i64) -> Self {
        Self { step, ..self }
    }

    /// Of GB 17691, which has no mark for abnormal values.
    const fn sae(self) -> Self {
        Self {
            marks: Marks::Invalid,
            ..self
        }
    }

    pub(super) const fn max(&self) -> u32 {
        match self.size {
            1 => 0xFF,
            2 => 0xFFFF,
            _ => u32::MAX,
        }
    }

    pub(super) fn take(&self, bytes: &mut Bytes<'_>) -> Result<u32, Reject> {
        match self.size {
            1 => bytes.u8().map(u32::from),
            2 => bytes.u16_be().map(u32::from),
            _ => bytes.u32_be(),
        }
    }

    fn number(&self, raw: u32) -> Value<'static> {
        let mantissa = i64::from(raw) * self.step + self.offset;
        if self.places == 0 {
            Value::Whole(mantissa)
        } else {
            Value::Decimal(Decimal::new(mantissa, self.places))
        }
    }

    #[inline]
    pub(super) fn value(&self, raw: u32) -> (Value<'static>, Quality) {
        match self.marks {
            Marks::InvalidAndAbnormal | Marks::Invalid if raw == self.max() => {
                (Value::Missing, Quality::GOOD)
            }
            Marks::InvalidAndAbnormal if raw == self.max() - 1 => (Value::Missing, Quality::BAD),
            _ => (self.number(raw), Quality::GOOD),
        }
    }
}

const fn group(block: u8, prefix: &'static str, fields: &'static [Field]) -> Group {
    Group {
        block,
        prefix,
        is_numbered: false,
        fields,
        lists: &[],
    }
}

const fn list(name: &'static str, element: Field) -> List {
    List { name, element }
}

pub(super) static VEHICLE: Group = group(
    0x01,
    "",
    &[
        state("vehicle_state"),
        state("charge_state"),
        state("run_mode"),
        field("speed", 2, 1, "km/h"),
        field("mileage", 4, 1, "km"),
        field("voltage", 2, 1, "V"),
        field("current", 2, 1, "A").from(-10_000),
        field("soc", 1, 0, "%"),
        state("dcdc_state"),
        word("gear", 1),
        field("insulation", 2, 0, "kOhm"),
        field("accelerator", 1, 0, "%"),
        field("brake", 1, 0, "%"),
    ],
);
pub(super) static MOTOR: Group = Group {
    is_numbered: true,
    ..group(
        0x02,
        "motor",
        &[
            state("state"),
            field("controller_temperature", 1, 0, "Cel").from(-40),
            field("speed", 2, 0, "/min").from(-20_000),
            field("torque", 2, 1, "N.m").from(-20_000),
            field("temperature", 1, 0, "Cel").from(-40),
            field("voltage", 2, 1, "V"),
            field("current", 2, 1, "A").from(-10_000),
        ],
    )
};
/// The list of probes stands behind the third value.
pub(super) static FUEL_CELL: Group = Group {
    lists: &[list("probe", field("", 1, 0, "Cel").from(-40))],
    ..group(
        0x03,
        "fuel_cell.",
        &[
            field("voltage", 2, 1, "V"),
            field("current", 2, 1, "A"),
            field("consumption", 2, 2, "kg/(100.km)"),
            field("hydrogen_temperature", 2, 1, "Cel").from(-400),
            state("hydrogen_temperature_probe"),
            field("hydrogen_concentration", 2, 0, "mg/kg"),
            state("hydrogen_concentration_sensor"),
            field("hydrogen_pressure", 2, 1, "MPa"),
            state("hydrogen_pressure_sensor"),
            state("dcdc_state"),
        ],
    )
};
pub(super) static ENGINE: Group = group(
    0x04,
    "engine.",
    &[
        state("state"),
        field("speed", 2, 0, "/min"),
        field("fuel_rate", 2, 2, "L/(100.km)"),
    ],
);
pub(super) static POSITION: Group = group(
    0x05,
    "",
    &[
        word("position_state", 1),
        field("longitude", 4, 6, "deg"),
        field("latitude", 4, 6, "deg"),
    ],
);
pub(super) static EXTREMES: Group = group(
    0x06,
    "",
    &[
        state("cell_voltage_max_battery"),
        state("cell_voltage_max_cell"),
        field("cell_voltage_max", 2, 3, "V"),
        state("cell_voltage_min_battery"),
        state("cell_voltage_min_cell"),
        field("cell_voltage_min", 2, 3, "V"),
        state("probe_temperature_max_battery"),
        state("probe_temperature_max_probe"),
        field("probe_temperature_max", 1, 0, "Cel").from(-40),
        state("probe_temperature_min_battery"),
        state("probe_temperature_min_probe"),
        field("probe_temperature_min", 1, 0, "Cel").from(-40),
    ],
);
pub(super) static ALARMS: Group = Group {
    lists: &[
        list("battery_fault", word("", 4)),
        list("motor_fault", word("", 4)),
        list("engine_fault", word("", 4)),
        list("other_fault", word("", 4)),
    ],
    ..group(0x07, "", &[state("alarm_level"), word("alarm", 4)])
};
pub(super) static CELLS: Group = Group {
    is_numbered: true,
    lists: &[list("cell", field("", 2, 3, "V"))],
    ..group(
        0x08,
        "battery",
        &[
            field("voltage", 2, 1, "V"),
            field("current", 2, 1, "A").from(-10_000),
            field("cells", 2, 0, ""),
        ],
    )
};
pub(super) static PROBES: Group = Group {
    is_numbered: true,
    lists: &[list("probe", field("", 1, 0, "Cel").from(-40))],
    ..group(0x09, "battery", &[])
};
pub(super) static OBD: Group = Group {
    lists: &[list("fault_code", word("", 4))],
    ..group(
        0x01,
        "",
        &[
            state("obd_protocol").sae(),
            state("mil").sae(),
            word("diagnosis_support", 2),
            word("diagnosis_ready", 2),
        ],
    )
};
pub(super) static STREAM: Group = group(
    0x02,
    "",
    &[
        field("speed", 2, 8, "km/h").step(390_625).sae(),
        field("atmospheric_pressure", 1, 1, "kPa").step(5).sae(),
        field("engine_torque", 1, 0, "%").from(-125).sae(),
        field("friction_torque", 1, 0, "%").from(-125).sae(),
        field("engine_speed", 2, 3, "/min").step(125).sae(),
        field("fuel_rate", 2, 2, "L/h").step(5).sae(),
        field("nox_upstream", 2, 2, "[ppm]")
            .step(5)
            .from(-20_000)
            .sae(),
        field("nox_downstream", 2, 2, "[ppm]")
            .step(5)
            .from(-20_000)
            .sae(),
        field("urea_level", 1, 1, "%").step(4).sae(),
        field("air_flow", 2, 2, "kg/h").step(5).sae(),
        field("scr_inlet_temperature", 2, 5, "Cel")
            .step(3_125)
            .from(-27_300_000)
            .sae(),
        field("scr_outlet_temperature", 2, 5, "Cel")
            .step(3_125)
            .from(-27_300_000)
            .sae(),
        field("dpf_pressure", 2, 1, "kPa").sae(),
        field("coolant_temperature", 1, 0, "Cel").from(-40).sae(),
        field("tank_level", 1, 1, "%").step(4).sae(),
        word("position_state", 1),
        field("longitude", 4, 6, "deg").sae(),
        field("latitude", 4, 6, "deg").sae(),
        field("mileage", 4, 1, "km").sae(),
    ],
);

pub(super) static GROUPS_32960: [&Group; 9] = [
    &VEHICLE, &MOTOR, &FUEL_CELL, &ENGINE, &POSITION, &EXTREMES, &ALARMS, &CELLS, &PROBES,
];
pub(super) static GROUPS_17691: [&Group; 2] = [&OBD, &STREAM];

pub(super) fn groups(edition: Edition) -> &'static [&'static Group] {
    match edition {
        Edition::Gbt32960 => &GROUPS_32960,
        Edition::Gb17691 | Edition::Gb17691SerialInBlock => &GROUPS_17691,
    }
}

pub(super) fn code(block: u8, part: u8, place: u16, index: u16) -> u64 {
    let (block, part) = (u64::from(block), u64::from(part));
    block << 48 | part << 32 | u64::from(place) << 16 | u64::from(index)
}

impl Group {
    /// Hands over fields from `from` up to `to`, as they follow in the block.
    pub(super) fn read<S: Sink>(
        &self,
        part: u8,
        range: std::ops::Range<u16>,
        bytes: &mut Bytes<'_>,
        sink: &mut S,
    ) -> Result<(), Reject> {
        let fields = self
            .fields
            .get(usize::from(range.start)..usize::from(range.end));
        for (place, field) in range.zip(fields.unwrap_or_default()) {
            let (value, quality) = field.value(field.take(bytes)?);
            self.hand_over((part, place), field, (value, quality), sink)?;
        }
        Ok(())
    }

    pub(super) fn hand_over<S: Sink>(
        &self,
        (part, place): (u8, u16),
        field: &Field,
        (value, quality): (Value<'_>, Quality),
        sink: &mut S,
    ) -> Result<(), Reject> {
        let point = Point::new(Key::Code(code(self.block, part, place, 0)), value);
        let unit = field.unit;
        sink.point(Point {
            unit,
            quality,
            ..point
        })
    }

    /// Hands over so many elements of a list, the first of which has the index `first`.
    pub(super) fn read_list<S: Sink>(
        &self,
        (part, place): (u8, u16),
        (first, count): (u16, u16),
        bytes: &mut Bytes<'_>,
        sink: &mut S,
    ) -> Result<(), Reject> {
        let Some(list) = self.lists.get(usize::from(place)) else {
            return Ok(());
        };
        let size = usize::from(list.element.size);
        let elements = bytes.take(usize::from(count) * size)?;
        let base = code(self.block, part, LISTS + place, 0);
        for (index, raw) in (u64::from(first)..).zip(elements.chunks_exact(size)) {
            let raw = raw
                .iter()
                .fold(0, |sum: u32, byte| sum << 8 | u32::from(*byte));
            let (value, quality) = list.element.value(raw);
            let point = Point::new(Key::Code(base | index & 0xFFFF), value);
            let unit = list.element.unit;
            sink.point(Point {
                unit,
                quality,
                ..point
            })?;
        }
        Ok(())
    }

    /// The code of a value of this group.
    fn key(&self, spelled: &str) -> Option<u64> {
        let mut rest = spelled.strip_prefix(self.prefix)?;
        let mut part = 0;
        if self.is_numbered {
            let (number, behind) = rest.split_once('.')?;
            part = u8::try_from(ordinal(number)?).ok()?;
            rest = behind;
        }
        if let Some((place, _)) = (0..).zip(self.fields).find(|(_, field)| field.name == rest) {
            return Some(code(self.block, part, place, 0));
        }
        let mut lists = (LISTS..).zip(self.lists);
        lists.find_map(|(place, list)| {
            let index = ordinal(rest.strip_prefix(list.name)?)?;
            Some(code(self.block, part, place, index))
        })
    }
}

/// A number in digits, without zeros before it.
fn ordinal(digits: &str) -> Option<u16> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = is_plain && (digits == "0" || !digits.starts_with('0'));
    if is_plain { digits.parse().ok() } else { None }
}

pub(super) fn key(spelled: &str, edition: Edition) -> Result<u64, String> {
    if let Some(id) = spelled
        .strip_prefix("user.")
        .filter(|_| edition == Edition::Gbt32960)
    {
        let is_hex = id.len() == 2 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = u8::from_str_radix(id, 16)
            .ok()
            .filter(|id| is_hex && *id >= 0x80);
        return id.map(|id| code(id, 0, 0, 0)).ok_or_else(|| {
            format!("{spelled:?}: a block of the vendor is spelled user.80 to user.FE")
        });
    }
    groups(edition).iter().find_map(|group| group.key(spelled)).ok_or_else(|| match edition {
        Edition::Gbt32960 => format!(
            "{spelled:?} is no value of GB/T 32960.3: there are speed, mileage, soc, motor1.speed, fuel_cell.voltage, \
             engine.speed, longitude, cell_voltage_max, alarm, battery1.voltage, battery1.cell1, battery1.probe1, \
             user.80 and others of its tables"
        ),
        Edition::Gb17691 | Edition::Gb17691SerialInBlock => format!(
            "{spelled:?} is no value of GB 17691, Annex Q: there are speed, engine_speed, nox_downstream, urea_level, \
             mileage, fault_code1 and others of its tables"
        ),
    })
}
