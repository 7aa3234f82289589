//! The IANA registry of `SenML` units, primary (RFC 8428, clause 12.1; RFC 8798) and secondary, as UCUM codes.

/// UCUM code of a unit of the registry.
pub(super) fn ucum(unit: &str) -> Option<&'static str> {
    let at = UNITS.binary_search_by(|(name, _)| (*name).cmp(unit)).ok()?;
    UNITS.get(at).map(|(_, ucum)| *ucum)
}

/// Sorted by name.
const UNITS: &[(&str, &str)] = &[
    ("%", "%"),
    ("%EL", "%"),
    ("%RH", "%{RH}"),
    ("/", "1"),
    ("/100", "%"),
    ("/1000", "[ppth]"),
    ("1/min", "/min"),
    ("1/s", "/s"),
    ("A", "A"),
    ("Ah", "A.h"),
    ("B", "By"),
    ("B/s", "By/s"),
    ("Bq", "Bq"),
    ("Bspl", "B[SPL]"),
    ("C", "C"),
    ("Cel", "Cel"),
    ("EL", "s"),
    ("F", "F"),
    ("GB", "GBy"),
    ("Gy", "Gy"),
    ("H", "H"),
    ("Hz", "Hz"),
    ("J", "J"),
    ("J/m", "J/m"),
    ("K", "K"),
    ("KiB", "KiBy"),
    ("MB/s", "MBy/s"),
    ("MHz", "MHz"),
    ("Mbit/s", "Mbit/s"),
    ("N", "N"),
    ("NTU", "{NTU}"),
    ("Ohm", "Ohm"),
    ("Pa", "Pa"),
    ("S", "S"),
    ("S/m", "S/m"),
    ("Sv", "Sv"),
    ("T", "T"),
    ("V", "V"),
    ("VA", "V.A"),
    ("VAh", "V.A.h"),
    ("VAs", "V.A.s"),
    ("W", "W"),
    ("W/m2", "W/m2"),
    ("Wb", "Wb"),
    ("Wh", "W.h"),
    ("Wh/km", "W.h/km"),
    ("beat/min", "/min"),
    ("beats", "{count}"),
    ("bit", "bit"),
    ("bit/s", "bit/s"),
    ("cd", "cd"),
    ("cd/m2", "cd/m2"),
    ("cm", "cm"),
    ("count", "{count}"),
    ("dB", "dB"),
    ("dBW", "dB{W}"),
    ("dBm", "dB{mW}"),
    ("deg", "deg"),
    ("g", "g"),
    ("g/l", "g/L"),
    ("gravity", "[g]"),
    ("h", "h"),
    ("hPa", "hPa"),
    ("kVA", "kV.A"),
    ("kVAh", "kV.A.h"),
    ("kW", "kW"),
    ("kWh", "kW.h"),
    ("kat", "kat"),
    ("kg", "kg"),
    ("kg/m3", "kg/m3"),
    ("km", "km"),
    ("km/h", "km/h"),
    ("kvar", "kV.A{reactive}"),
    ("kvarh", "kV.A{reactive}.h"),
    ("l", "L"),
    ("l/s", "L/s"),
    ("lat", "deg"),
    ("lm", "lm"),
    ("lon", "deg"),
    ("lx", "lx"),
    ("m", "m"),
    ("m/h", "m/h"),
    ("m/s", "m/s"),
    ("m/s2", "m/s2"),
    ("m2", "m2"),
    ("m3", "m3"),
    ("m3/s", "m3/s"),
    ("mA", "mA"),
    ("mV", "mV"),
    ("mg/l", "mg/L"),
    ("min", "min"),
    ("mm", "mm"),
    ("mm/h", "mm/h"),
    ("mol", "mol"),
    ("ms", "ms"),
    ("pH", "[pH]"),
    ("ppb", "[ppb]"),
    ("ppm", "[ppm]"),
    ("ppt", "[pptr]"),
    ("rad", "rad"),
    ("s", "s"),
    ("sr", "sr"),
    ("ug/l", "ug/L"),
    ("ug/m3", "ug/m3"),
    ("var", "V.A{reactive}"),
    ("varh", "V.A{reactive}.h"),
    ("vars", "V.A{reactive}.s"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_it_can_be_searched() {
        assert!(UNITS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn units_are_told_apart_by_case() {
        assert_eq!(ucum("Cel"), Some("Cel"));
        assert_eq!(ucum("%RH"), Some("%{RH}"));
        assert_eq!(ucum("lat"), Some("deg"));
        assert_eq!(ucum("l"), Some("L"));
        assert_eq!(ucum("CEL"), None);
        assert_eq!(ucum(""), None);
    }
}
