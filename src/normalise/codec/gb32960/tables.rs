//! The tables of GB/T 32960.3-2016, chapter 7, and GB 17691-2018, Annex Q: the values of each block in their order.

use super::fields::{Field, Group, List, Marks};

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
