//! Units: what UCUM codes and vendors' spellings mean, and exact conversion.

use std::path::Path;

use proptest::prelude::*;

use super::{
    alias::codes,
    convert::{ConversionError, Mismatch},
    table::{BASES, Scale},
    *,
};

#[test]
fn what_a_city_measures_is_ucum() {
    for unit in [
        "deg",
        "%",
        "%{RH}",
        "dB{mW}",
        "dB{A}",
        "{count}",
        "1",
        "[ppm]",
        "[pH]",
        "mg/m3",
        "m3/h",
        "kW.h",
        "10*6.m3",
        "/min",
        "/cm3",
        "mm[Hg]",
        "uS/cm",
        "umol/m2/s",
        "nGy/h",
        "Mbit/s",
        "kOhm",
        "m/s2",
        "um/m",
        "A/m2",
        "10*3/ul",
        "10^-3",
        "kg.m2/s2",
        "J/(kg.K)",
        "s-1",
        "m+2",
        "[in_i'Hg]",
        "KiBy",
        "dag",
        "2.m",
        "{a}/{b}",
        "/(m.s)",
        "m[H2O]",
    ] {
        assert_eq!(validate(unit), Ok(()), "{unit}");
    }
}

#[test]
fn what_is_not_ucum_is_refused_and_named() {
    for unit in [
        "", "°C", "mg//l", "m³", "kmin", "mg/", ".m", "[ppm", "ppm]", "{a", "a}", "{a b}", "(m",
        "m)", "celsius", "m 2", "kk", "mm[hg]", "%%", "m^2", "RH%", "()", "m-", "-1", "m.-1",
    ] {
        assert!(validate(unit).is_err(), "{unit:?} was taken");
    }
    assert_eq!(
        validate("kelvin"),
        Err(UnitError::Atom("kelvin".to_owned()))
    );
    assert_eq!(validate(&"(".repeat(60)), Err(UnitError::TooLong));
}

fn times(mul_num: i128, mul_den: i128) -> Conversion {
    Conversion {
        mul_num,
        mul_den,
        ..Conversion::IDENTITY
    }
}

fn why(from: &str, to: &str) -> Mismatch {
    conversion(from, to).unwrap_err().why
}

#[test]
fn numbers_of_the_field_convert_exactly() {
    for (from, to, num, den) in [
        ("mg/m3", "ug/m3", 1_000, 1),
        ("mg/L", "g/m3", 1, 1),
        ("g%", "g/dL", 1, 1),
        ("kPa", "MPa", 1, 1_000),
        ("hPa", "mbar", 1, 1),
        ("m3/h", "L/s", 5, 18),
        ("L/s", "m3/h", 18, 5),
        ("kW.h", "J", 3_600_000, 1),
        ("MJ", "kW.h", 5, 18),
        ("km/h", "m/s", 5, 18),
        ("[kn_i]", "km/h", 463, 250),
        ("[mi_i]/h", "m/s", 1_397, 3_125),
        ("mm[Hg]", "Pa", 66_661, 500),
        ("m[H2O]", "kPa", 196_133, 20_000),
        ("[in_i'Hg]", "m[Hg]", 127, 5_000),
        ("[in_i'H2O]", "m[H2O]", 127, 5_000),
        ("[psi]", "[lb_av].[g]/[in_i]2", 1, 1),
        ("[HP]", "[ft_i].[lb_av].[g]/s", 550, 1),
        ("att", "kg.[g]/cm2", 1, 1),
        ("atm", "bar", 4_053, 4_000),
    ] {
        assert_eq!(conversion(from, to), Ok(times(num, den)), "{from} to {to}");
    }
}

#[test]
fn numbers_of_instruments_convert_exactly() {
    for (from, to, num, den) in [
        ("mS/cm", "uS/cm", 1_000, 1),
        ("uS/cm", "S/m", 1, 10_000),
        ("mho", "S", 1, 1),
        ("Ohm", "V/A", 1, 1),
        ("F", "C/V", 1, 1),
        ("Wb", "V.s", 1, 1),
        ("H", "Wb/A", 1, 1),
        ("T", "Wb/m2", 1, 1),
        ("V", "W/A", 1, 1),
        ("lx", "lm/m2", 1, 1),
        ("lm", "cd.sr", 1, 1),
        ("kat", "mol/s", 1, 1),
        ("U", "umol/min", 1, 1),
        ("P", "dyn.s/cm2", 1, 1),
        ("St", "cm2/s", 1, 1),
        ("erg", "dyn.cm", 1, 1),
        ("eV", "aJ", 801_088_317, 5_000_000_000),
        ("REM", "mSv", 10, 1),
        ("R", "C/kg", 129, 500_000),
        ("Ci", "GBq", 37, 1),
        ("nGy/h", "uGy/h", 1, 1_000),
        ("[gal_us]", "[in_i]3", 231, 1),
        ("[lb_av]", "[oz_av]", 16, 1),
        ("[Btu]", "J", 21_087, 20),
        ("har", "m2", 10_000, 1),
        ("10*6.m3", "m3", 1_000_000, 1),
        ("m3", "10*6.m3", 1, 1_000_000),
        ("%", "[ppm]", 10_000, 1),
        ("%{vol}", "[ppb]", 10_000_000, 1),
        ("[ppth]", "1", 1, 1_000),
        ("um/m", "[ppm]", 1, 1),
        ("{count}", "1", 1, 1),
        ("10*3", "{count}", 1_000, 1),
        ("10*3/ul", "/cm3", 1_000_000, 1),
        ("/min", "Hz", 1, 60),
        ("circ/min", "deg/s", 6, 1),
        ("deg", "gon", 10, 9),
        ("deg", "''", 3_600, 1),
        ("'", "''", 60, 1),
        ("By", "bit", 8, 1),
        ("KiBy", "By", 1_024, 1),
        ("MBy/s", "Mbit/s", 8, 1),
        ("B", "dB", 10, 1),
        ("dB{mW}", "mB{mW}", 100, 1),
        ("W/(m2.Cel)", "mW/(m2.K)", 1_000, 1),
        ("J/[degF]", "J/K", 9, 5),
        ("a", "mo", 12, 1),
        ("wk", "d", 7, 1),
        ("1/(m.s/kg)", "g/m/s", 1_000, 1),
        ("2.m", "m", 2, 1),
        ("pg", "Gg", 1, 1_000_000_000_000_000_000_000),
    ] {
        assert_eq!(conversion(from, to), Ok(times(num, den)), "{from} to {to}");
    }
}

#[test]
fn a_temperature_shifts_where_it_stands_alone() {
    let shifted = |mul_num, mul_den, add_num, add_den| {
        Ok(Conversion {
            mul_num,
            mul_den,
            add_num,
            add_den,
        })
    };
    assert_eq!(conversion("Cel", "K"), shifted(1, 1, 5_463, 20));
    assert_eq!(conversion("K", "Cel{air}"), shifted(1, 1, -5_463, 20));
    assert_eq!(conversion("[degF]", "Cel"), shifted(5, 9, -160, 9));
    assert_eq!(conversion("Cel", "[degF]"), shifted(9, 5, 32, 1));
    assert_eq!(conversion("[degF]", "[degR]"), shifted(1, 1, 45_967, 100));
    assert_eq!(conversion("[degRe]", "Cel"), shifted(5, 4, 0, 1));
    assert_eq!(conversion("mCel", "K"), shifted(1, 1_000, 5_463, 20));
    assert_eq!(conversion("K", "mCel"), shifted(1_000, 1, -273_150, 1));
    assert_eq!(conversion("Cel/h", "K/h"), Ok(Conversion::IDENTITY));
}

#[test]
fn an_irrational_factor_is_right_to_the_last_bit_of_a_double() {
    #[expect(clippy::cast_precision_loss, reason = "both have less than 53 bits")]
    let factor = |from, to| {
        let found = conversion(from, to).unwrap();
        found.mul_num as f64 / found.mul_den as f64
    };
    let pi = std::f64::consts::PI;
    for (from, to, expected) in [
        ("[pi]", "1", pi),
        ("deg", "rad", pi / 180.0),
        ("rad", "deg", 180.0 / pi),
        ("gon", "rad", pi / 200.0),
        ("sph", "sr", 4.0 * pi),
        ("deg2", "sr", (pi / 180.0).powi(2)),
        ("Oe", "A/m", 250.0 / pi),
    ] {
        let error = (factor(from, to) - expected).abs() / expected;
        assert!(error < 1e-15, "{from} to {to} is off by {error:e}");
    }
}

#[test]
fn what_measures_other_things_is_refused_in_words() {
    for (from, to, expected) in [
        ("kPa", "mm", ["pressure", "length"]),
        ("m3", "m3/h", ["volume", "volume flow"]),
        ("kW", "kW.h", ["power", "energy"]),
        ("mg/m3", "[ppm]", ["mass by volume (a density)", "a number"]),
        ("lx", "cd/m2", ["illuminance", "luminance"]),
        ("mol", "1", ["amount of substance", "a number"]),
        (
            "[pH]",
            "mol/L",
            ["acidity", "amount by volume (a concentration)"],
        ),
        ("dB", "1", ["level in bel", "a number"]),
        ("dB", "Np", ["level in bel", "level in neper"]),
        ("B[V]", "B[mV]", ["level over 1 V", "level over 1 mV"]),
        ("deg", "1", ["plane angle", "a number"]),
        ("Mbit/s", "Hz", ["data rate", "frequency"]),
        (
            "umol/m2/s",
            "K4",
            [
                "amount of substance per length squared per time",
                "temperature to the power of 4",
            ],
        ),
    ] {
        let [of, other] = expected.map(ToOwned::to_owned);
        let expected = Mismatch::Dimension {
            from: of,
            to: other,
        };
        assert_eq!(why(from, to), expected, "{from} to {to}");
    }
    assert_eq!(
        conversion("kPa", "mm").unwrap_err().to_string(),
        "no conversion from \"kPa\" to \"mm\": the one measures pressure, the other length"
    );
}

#[test]
fn levels_over_different_references_are_refused_and_a_bare_one_is_either() {
    assert!(matches!(why("dB{mW}", "dB{A}"), Mismatch::Reference { .. }));
    assert_eq!(conversion("dB", "dB{A}"), Ok(Conversion::IDENTITY));
    assert_eq!(conversion("dB{mW}", "dB"), Ok(Conversion::IDENTITY));
}

#[test]
fn what_is_no_unit_or_no_factor_is_refused() {
    assert!(matches!(why("°C", "K"), Mismatch::Unit { unit, .. } if unit == "°C"));
    assert!(matches!(why("K", "celsius"), Mismatch::Unit { unit, .. } if unit == "celsius"));
    for (from, to) in [
        ("0.m", "m"),
        ("m", "0.m"),
        ("m/0", "m"),
        ("m9999999999", "m"),
        ("m-128", "m"),
        ("/m-128", "m"),
        ("m100.m100", "m"),
        ("10*60", "1"),
        ("Ym", "ym2/pm"),
        ("99999999999999999999999999999999999999999.m", "m"),
    ] {
        let refused = why(from, to);
        let expected = matches!(
            refused,
            Mismatch::NotRepresentable | Mismatch::Dimension { .. }
        );
        assert!(expected, "{from} to {to}: {refused}");
    }
    assert_eq!(why("10*60", "1"), Mismatch::NotRepresentable);
    assert_eq!(conversion("10*60", "10*58"), Ok(times(100, 1)));
    assert_eq!(
        conversion("Gpc3", "Mpc3").map_err(|e| e.why),
        Ok(times(1_000_000_000, 1))
    );
}

#[test]
fn the_table_is_sound() {
    for (place, (base, _)) in BASES.iter().enumerate() {
        assert_eq!(*base as usize, place);
    }
    for (place, atom) in ATOMS.iter().enumerate() {
        let code = atom.code;
        assert!(atom.num > 0 && atom.den > 0, "{code}");
        assert!(
            ATOMS.iter().skip(place + 1).all(|other| other.code != code),
            "{code} twice"
        );
        assert_eq!(conversion(code, code), Ok(Conversion::IDENTITY), "{code}");
        let is_shifted = matches!(atom.scale, Scale::Zero(..));
        assert_eq!(
            conversion(code, &format!("1.{code}")).unwrap().add_num != 0,
            is_shifted
        );
        assert_eq!(
            validate(&format!("k{code}")).is_ok(),
            atom.is_metric,
            "k{code}"
        );
    }
}

#[test]
fn every_unit_of_the_catalogue_converts_to_itself() {
    let classes = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/sensegate/classes/v1");
    let mut units = 0;
    for file in classes.read_dir().unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for behind in text.split("unit: \"").skip(1) {
            let (unit, _) = behind.split_once('"').unwrap();
            assert!(conversion(unit, unit).unwrap().is_identity(), "{unit}");
            units += 1;
        }
    }
    assert!(units > 500, "{units} units found");
}

#[test]
fn what_vendors_write_is_understood() {
    for (text, code) in [
        ("℃", "Cel"),
        ("°C", "Cel"),
        (" ° C ", "Cel"),
        ("m³", "m3"),
        ("m³/h", "m3/h"),
        ("㎥", "m3"),
        ("㎥/h", "m3/h"),
        ("m^3/s", "m3/s"),
        ("μg/m³", "ug/m3"),
        ("µg/m³", "ug/m3"),
        ("ug/m3", "ug/m3"),
        ("mg/m³", "mg/m3"),
        ("kWh", "kW.h"),
        ("kW·h", "kW.h"),
        ("％", "%"),
        ("RH%", "%{RH}"),
        ("%RH", "%{RH}"),
        ("％ＲＨ", "%{RH}"),
        ("hPa", "hPa"),
        ("mmHg", "mm[Hg]"),
        ("Ω", "Ohm"),
        ("kΩ", "kOhm"),
        ("us/cm", "uS/cm"),
        ("μS/cm", "uS/cm"),
        ("NTU", "{NTU}"),
        ("ppm", "[ppm]"),
        ("ppb", "[ppb]"),
        ("dB", "dB"),
        ("dBm", "dB{mW}"),
        ("dB（A）", "dB{A}"),
        ("lux", "lx"),
        ("L/s", "L/s"),
        ("r/min", "/min"),
        ("次", "{count}"),
        ("个", "{count}"),
        ("μmol·m⁻²·s⁻¹", "umol/m2/s"),
        ("με", "um/m"),
        ("‰", "[ppth]"),
        ("°", "deg"),
        ("MB", "MBy"),
    ] {
        assert_eq!(alias(text), Some(code), "{text}");
    }
    for text in [
        "",
        "mpa",
        "ppt",
        "度",
        "C",
        "Nm3",
        "furlong",
        "m³/h/h/h/h/h/h/h/h/h/h/h",
    ] {
        assert_eq!(alias(text), None, "{text}");
    }
}

#[test]
fn every_alias_is_one_code_and_found() {
    let mut seen = Vec::new();
    for (code, spellings) in codes() {
        assert_eq!(validate(code), Ok(()), "{code}");
        for text in spellings {
            assert_eq!(alias(text), Some(code), "{text}");
            assert!(!seen.contains(&text), "{text} twice");
            seen.push(text);
        }
    }
}

/// A unit that is one, now and then with a prefix, an exponent, a denominator.
fn some_unit() -> impl Strategy<Value = String> {
    let symbol = (
        prop::sample::select(ATOMS),
        prop::sample::select(PREFIXES),
        any::<bool>(),
    );
    let symbol = symbol.prop_map(|(atom, prefix, prefixed)| {
        let prefix = if prefixed && atom.is_metric {
            prefix.code
        } else {
            ""
        };
        format!("{prefix}{}", atom.code)
    });
    (symbol, prop::sample::select(vec!["", "", "2", "-1"]))
        .prop_map(|(symbol, exponent)| symbol + exponent)
}

/// `outer` after `inner`.
fn after(outer: Conversion, inner: Conversion) -> Option<[i128; 4]> {
    let mul_num = outer.mul_num.checked_mul(inner.mul_num)?;
    let mul_den = outer.mul_den.checked_mul(inner.mul_den)?;
    let moved = outer.mul_num.checked_mul(inner.add_num)?;
    let moved_by = outer.mul_den.checked_mul(inner.add_den)?;
    let add = moved
        .checked_mul(outer.add_den)?
        .checked_add(outer.add_num.checked_mul(moved_by)?)?;
    Some([mul_num, mul_den, add, moved_by.checked_mul(outer.add_den)?])
}

proptest! {
    #[test]
    fn there_and_back_is_identity(a in some_unit(), b in some_unit(), per in "|/m3|/s") {
        let (a, b) = (format!("{a}{per}"), format!("{b}{per}"));
        if let (Ok(there), Ok(back)) = (conversion(&a, &b), conversion(&b, &a)) {
            prop_assert_eq!((there.mul_num, there.mul_den), (back.mul_den, back.mul_num));
            if let Some([mul_num, mul_den, add, add_den]) = after(back, there) {
                prop_assert_eq!((mul_num, add), (mul_den, 0), "{} to {}", a, b);
                prop_assert!(add_den > 0);
            }
        }
    }

    #[test]
    fn temperatures_come_back(
        a in "K|Cel|mCel|\\[degF\\]|\\[degR\\]|\\[degRe\\]", b in "K|Cel|kK|\\[degF\\]|\\[degR\\]|\\[degRe\\]",
    ) {
        let (there, back) = (conversion(&a, &b).unwrap(), conversion(&b, &a).unwrap());
        let [mul_num, mul_den, add, _] = after(back, there).unwrap();
        prop_assert_eq!((mul_num, add), (mul_den, 0));
    }

    #[test]
    fn an_annotation_changes_nothing_but_a_level(unit in some_unit(), text in "[A-Za-z0-9]{1,8}") {
        let found = conversion(&format!("{unit}{{{text}}}"), &unit);
        let why = |error: ConversionError| error.why;
        prop_assert_eq!(found.map_err(why), conversion(&unit, &unit).map_err(why));
    }

    #[test]
    fn no_pair_of_texts_panics(
        a in "\\PC{0,20}|[a-zA-Z0-9\\[\\]{}()./*^+%-]{0,24}", b in some_unit(),
    ) {
        let _there = conversion(&a, &b);
        let _back = conversion(&b, &a);
        let _code = alias(&a);
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        let _checked = validate(&text);
    }

    #[test]
    fn no_text_of_unit_characters_panics(text in "[a-zA-Z0-9\\[\\]{}()./*^+%-]{0,24}") {
        let _checked = validate(&text);
    }
}
