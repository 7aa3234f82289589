//! Keys: what a record says of itself, packed into a number, and how a profile spells it.
//!
//! ```text
//!  bits 63…52   51…40    39…16     15…10      9…8        7…0
//!       unit    tariff   storage   modifier   function   quantity (from 128 on: a plain text of the profile)
//! ```

/// Names of quantities, in one place for both directions.
macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum $type { $($variant,)* }

        impl $type {
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

names! {
    /// What a record is about.
    Quantity {
        Energy = "energy",
        Volume = "volume",
        Mass = "mass",
        OnTime = "on_time",
        OperatingTime = "operating_time",
        Power = "power",
        VolumeFlow = "volume_flow",
        MassFlow = "mass_flow",
        FlowTemperature = "temperature.flow",
        ReturnTemperature = "temperature.return",
        TemperatureDifference = "temperature.difference",
        ExternalTemperature = "temperature.external",
        Pressure = "pressure",
        Date = "date",
        Time = "time",
        HeatCostUnits = "heat_cost_units",
        AveragingDuration = "averaging_duration",
        ActualityDuration = "actuality_duration",
        FabricationNumber = "fabrication_number",
        Identification = "identification",
        BusAddress = "bus_address",
        ReactiveEnergy = "reactive_energy",
        ApparentEnergy = "apparent_energy",
        ReactivePower = "reactive_power",
        ApparentPower = "apparent_power",
        RelativeHumidity = "relative_humidity",
        Phase = "phase",
        Frequency = "frequency",
        MaximumPower = "maximum_power",
        Credit = "credit",
        Debit = "debit",
        AccessNumber = "access_counter",
        Medium = "device_type",
        Manufacturer = "maker",
        ParameterSet = "parameter_set",
        Model = "model",
        HardwareVersion = "hardware_version",
        FirmwareVersion = "firmware_version",
        SoftwareVersion = "software_version",
        Customer = "customer",
        ErrorFlags = "error_flags",
        ErrorMask = "error_mask",
        DigitalOutput = "digital_output",
        DigitalInput = "digital_input",
        Baud = "baud",
        StorageInterval = "storage_interval",
        SinceReadout = "since_readout",
        TariffStart = "tariff_start",
        TariffDuration = "tariff_duration",
        TariffPeriod = "tariff_period",
        Dimensionless = "count",
        Voltage = "voltage",
        Current = "current",
        ResetCounter = "reset_counter",
        CumulationCounter = "cumulation_counter",
        ControlSignal = "control_signal",
        SinceCumulation = "since_cumulation",
        BatteryTime = "battery_time",
        BatteryChange = "battery_change",
        BatteryLeft = "battery_left",
        RadioLevel = "radio_level",
        Special = "special",
        Maker = "maker_value",
        MakerData = "maker_data",
        PlainText = "plain_text",
        Other = "other",
    }
}

names! {
    /// What an extension of the VIF makes of a quantity.
    Modifier {
        None = "",
        Uncorrected = "uncorrected",
        Positive = "positive",
        Negative = "negative",
        Start = "start",
        LowerLimit = "lower_limit",
        UpperLimit = "upper_limit",
        BelowCount = "below_count",
        AboveCount = "above_count",
        LimitTime = "limit_time",
        LimitDuration = "limit_duration",
        Duration = "duration",
        EventTime = "event_time",
        Future = "future",
        Maker = "maker",
        Derived = "derived",
        PhaseOne = "l1",
        PhaseTwo = "l2",
        PhaseThree = "l3",
        Neutral = "neutral",
    }
}

/// Functions of a record, by their number.
const FUNCTIONS: [&str; 4] = ["", "max", "min", "error"];
/// First number of a plain text.
const TEXT_FIRST: u64 = 128;
/// Plain texts that a profile may spell.
const TEXTS_MAX: usize = 128;
const STORAGE_MAX: u64 = (1 << 24) - 1;
const TARIFF_MAX: u64 = (1 << 12) - 1;
const UNIT_MAX: u64 = (1 << 12) - 1;
/// In front of a plain text that a profile spells.
const TEXT: &str = "text:";

/// What a record says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// [`Quantity`], or a plain text of the profile.
    pub(super) quantity: u64,
    pub(super) function: u64,
    pub(super) modifier: Modifier,
    pub(super) storage: u64,
    pub(super) tariff: u64,
    pub(super) unit: u64,
}

impl Quantity {
    pub(super) const fn number(self) -> u64 {
        self as u64
    }
}

/// The number of the place-th plain text of a profile.
pub(super) fn text_number(place: usize) -> u64 {
    u64::try_from(place)
        .unwrap_or(u64::MAX)
        .saturating_add(TEXT_FIRST)
}

impl Place {
    pub(super) const fn new(quantity: u64) -> Self {
        Self {
            quantity,
            function: 0,
            modifier: Modifier::None,
            storage: 0,
            tariff: 0,
            unit: 0,
        }
    }

    /// As a number; storages, tariffs and units beyond what it holds share its last.
    pub(super) fn code(self) -> u64 {
        self.quantity
            | self.function << 8
            | (self.modifier as u64) << 10
            | self.storage.min(STORAGE_MAX) << 16
            | self.tariff.min(TARIFF_MAX) << 40
            | self.unit.min(UNIT_MAX) << 52
    }

    /// Takes one word of a spelling, if it is one that follows a quantity.
    fn take(&mut self, word: &str) -> bool {
        let number = |prefix: &str, most: u64| {
            let digits = word.strip_prefix(prefix)?;
            digits
                .parse()
                .ok()
                .filter(|number| (1..most).contains(number))
        };
        if let Some(storage) = number("storage", STORAGE_MAX) {
            self.storage = storage;
        } else if let Some(tariff) = number("tariff", TARIFF_MAX) {
            self.tariff = tariff;
        } else if let Some(unit) = number("unit", UNIT_MAX) {
            self.unit = unit;
        } else if let Some(function) = (0..).zip(FUNCTIONS).skip(1).find(|(_, f)| *f == word) {
            self.function = function.0;
        } else if let Some(modifier) = Modifier::ALL.iter().skip(1).find(|m| m.name() == word) {
            self.modifier = *modifier;
        } else {
            return false;
        }
        true
    }

    /// Reads a spelling; a plain text is entered into `texts`.
    pub(super) fn spelled(spelled: &str, texts: &mut Vec<String>) -> Result<Self, String> {
        let mut place = Self::new(0);
        let mut rest = spelled;
        while let Some((front, word)) = rest.rsplit_once('.') {
            if !place.take(word) {
                break;
            }
            rest = front;
        }
        if let Some(text) = rest.strip_prefix(TEXT).filter(|text| !text.is_empty()) {
            let known = texts.iter().position(|known| known == text);
            if known.is_none() && texts.len() == TEXTS_MAX {
                return Err(format!(
                    "{spelled:?}: {TEXTS_MAX} plain texts are spelled already"
                ));
            }
            place.quantity = text_number(known.unwrap_or_else(|| {
                texts.push(text.to_owned());
                texts.len() - 1
            }));
            return Ok(place);
        }
        let Some(quantity) = Quantity::ALL
            .iter()
            .find(|quantity| quantity.name() == rest)
        else {
            return Err(unknown(spelled, rest));
        };
        place.quantity = quantity.number();
        Ok(place)
    }
}

fn unknown(spelled: &str, rest: &str) -> String {
    let names = |all: &mut dyn Iterator<Item = &'static str>| all.collect::<Vec<_>>().join(", ");
    format!(
        "{spelled:?}: {rest:?} is none of the quantities {}, nor text:…; behind one may stand, with points, max, min, \
         error, storageN, tariffN, unitN, {}",
        names(&mut Quantity::ALL.iter().map(|quantity| quantity.name())),
        names(&mut Modifier::ALL.iter().skip(1).map(|modifier| modifier.name())),
    )
}
