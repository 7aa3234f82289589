//! What a profile cannot say, and how it is told.

use super::*;

const FAULTS: &[(&str, &str)] = &[
    ("", "nothing to take"),
    (
        "take = [{ name = 'a', type = 'u8' }, { name = 'b' }]",
        "take[1] \"b\": nothing to read",
    ),
    (
        "take = [{ name = 'a', type = 'u16' }]",
        "\"u16\" is no type",
    ),
    ("take = [{ name = 'a', type = 'f32' }]", "wants be, le"),
    ("take = [{ name = 'a', type = 'hex' }]", "wants bytes"),
    (
        "take = [{ name = 'a', type = 'hex', bytes = 17 }]",
        "1 to 16 bytes",
    ),
    (
        "take = [{ name = 'a', type = 'hex', bytes = 'n' }]",
        "\"n\" names no whole number",
    ),
    (
        "take = [{ name = 'a', type = 'u8', bytes = 1 }]",
        "of its own",
    ),
    (
        "take = [{ name = 'a', bits = [0, 1] }]",
        "no word is read before",
    ),
    (
        "take = [{ name = 'a', type = 'u8', bits = [60, 8] }]",
        "within 64",
    ),
    (
        "take = [{ name = 'a', type = 'u8', when = { name = 'x', bit = 1 } }]",
        "\"x\" names no",
    ),
    (
        "take = [{ name = 'a', type = 'u8', when = {} }]",
        "when wants",
    ),
    (
        "take = [{ name = 'a', type = 'u8', time = 'x' }]",
        "names no time",
    ),
    (
        "take = [{ name = 'a', type = 'ascii', bytes = 2, decimals = 1 }]",
        "belong to whole numbers",
    ),
    (
        "take = [{ name = 'a', type = 'u8', sign = 'nibble' }]",
        "belongs to BCD",
    ),
    (
        "take = [{ name = 'a', type = 'u8', times = 0 }]",
        "times is not 0",
    ),
    (
        "take = [{ name = 'a', type = 'u8', key = '01' }]",
        "children of tlv",
    ),
    (
        "take = [{ tlv = { key = 2 }, take = [{ key = '01', skip = 1 }] }]",
        "has not 2 bytes",
    ),
    (
        "take = [{ tlv = { key = 1 }, take = [{ key = '01', skip = 1 }, { key = '01', skip = 2 }] }]",
        "stands twice",
    ),
    (
        "take = [{ tlv = { key = 9 }, take = [{ key = '01', skip = 1 }] }]",
        "1 to 8",
    ),
    ("take = [{ repeat = {}, skip = 1 }]", "only one of"),
    (
        "take = [{ name = 'a', type = 'u8' }, { name = 'a', head = true, type = 'u8' }]",
        "a head in one place",
    ),
    ("take = [{ head = true, type = 'u8' }]", "wants a name"),
    (
        "take = [{ name = 'a', type = 'bcdtime', pattern = 'yyMM' }]",
        "has no dd",
    ),
    (
        "take = [{ name = 'a', type = 'bcdtime', pattern = 'yyMMxx' }]",
        "stops at \"xx\"",
    ),
    (
        "take = [{ name = 'a', type = 'u8', missing = ['0'] }]",
        "missing: ",
    ),
    (
        "take = [{ name = 'a', field = 1, type = 'u8' }]",
        "text payload",
    ),
    (
        "frame = { start = 'X' }\ntake = [{ name = 'a', type = 'u8' }]",
        "frame.start",
    ),
    (
        "frame = { escape = { 7D01 = '7D' } }\ntake = [{ name = 'a', type = 'u8' }]",
        "frame.escape needs",
    ),
    (
        "frame = { fixed = 0 }\ntake = [{ name = 'a', type = 'u8' }]",
        "frame.fixed",
    ),
    (
        "check = { kind = 'md5' }\ntake = [{ name = 'a', type = 'u8' }]",
        "\"md5\" is no kind",
    ),
    (
        "check = { kind = 'sum8', poly = 7 }\ntake = [{ name = 'a', type = 'u8' }]",
        "belong to crc8",
    ),
    (
        "check = { kind = 'crc16' }\ntake = [{ name = 'a', type = 'u8' }]",
        "wants poly",
    ),
    (
        "text = { fields = ',' }\ntake = [{ name = 'a', field = 'T' }]",
        "needs text.equals",
    ),
    (
        "text = { fields = ',' }\ntake = [{ name = 'a', type = 'u8' }]",
        "field is wanted",
    ),
];

#[test]
fn what_cannot_work_is_refused_with_its_place() {
    for (toml, wanted) in FAULTS {
        let told = fault(toml);
        assert!(told.contains(wanted), "{toml}\n{told}");
    }
}

#[test]
fn nesting_and_references_have_a_limit() {
    let deep = format!(
        "take = [{}{{ name = 'a', type = 'u8' }}{}]",
        "{ take = [".repeat(9),
        "] }".repeat(9)
    );
    assert!(fault(&deep).contains("nested deeper"));
    let words: Vec<_> = (0..17)
        .map(|n| format!("{{ name = 'w{n}', type = 'u8' }}, {{ of = 'w{n}', bits = [0, 1] }}"))
        .collect();
    assert!(fault(&format!("take = [{}]", words.join(", "))).contains("referred to"));
}

#[test]
fn unknown_options_are_refused() {
    assert!(toml::from_str::<Options>("takes = []").is_err());
    assert!(toml::from_str::<Options>("take = [{ nam = 'a' }]").is_err());
}

#[test]
fn a_name_that_no_take_has_is_told_with_those_that_there_are() {
    let mut layout = layout(
        "take = [{ name = 'address', head = true, type = 'u8' }, { name = 'level', type = 'u8' }]",
    );
    assert_eq!(layout.key("level"), Ok(OwnedKey::Code(0)));
    assert_eq!(layout.key("address"), Ok(OwnedKey::Name("address".into())));
    assert!(layout.key("height").unwrap_err().contains("level, address"));
}

#[test]
fn a_payload_that_is_too_short_is_refused_at_its_place() {
    let layout = layout("take = [{ name = 'a', type = 'u8' }, { name = 'b', type = 'u32be' }]");
    let reject = read_all(&layout, &[1, 2]).unwrap_err();
    assert_eq!(reject.detail, "byte 1: 4 bytes are wanted");
}

#[test]
fn a_value_that_does_not_fit_is_not_written() {
    let layout = layout("take = [{ name = 'a', type = 'u8' }]");
    let points = [(OwnedKey::Code(0), Value::Whole(256))];
    let report = Report {
        address: "",
        at: UnixNanos(0),
        east_s: 0,
        serial: 0,
        points: &points,
    };
    assert!(layout.encode(&report).unwrap_err().contains("does not fit"));
}
