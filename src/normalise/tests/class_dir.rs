//! Further classes from a folder, and what is said about one that is wrong.

use std::fs;

use super::{super::Classes, embedded};
use crate::domain::Lane;

const HEAD: &str = "syntax = \"proto3\";
package city.own.v1;
import \"sensegate/classes/v1/options.proto\";
";

/// A class of these fields, whose message begins in line 4 and whose first field stands in line 6.
fn class(fields: &str) -> String {
    format!(
        "{HEAD}message Beehive {{
  option (sensegate.classes.v1.class) = {{id: \"beehive\" lane: CLASS_LANE_BULK interval_s: 600}};
{fields}
}}
"
    )
}

fn load(files: &[(&str, &str)]) -> Result<Classes, String> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    Classes::with_dir(dir.path()).map_err(|error| {
        let text = error.to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        text.replace(&format!("{}/", dir.path().display()), "")
    })
}

fn refused(text: &str) -> String {
    load(&[("own.proto", text)]).unwrap_err()
}

#[test]
fn a_folder_adds_classes_to_the_embedded_ones() {
    let fields = "  optional double weight = 1 [(sensegate.classes.v1.property) = {unit: \"kg\" min: 0 max: 200}];
  optional Mood mood = 2;
  enum Mood {
    MOOD_UNSPECIFIED = 0;
    MOOD_CALM = 1 [(sensegate.classes.v1.code) = \"calm\"];
  }";
    let classes = load(&[("own.proto", &class(fields)), ("note.txt", "no proto")]).unwrap();
    assert_eq!(classes.len(), 227);
    let beehive = classes.get("beehive").unwrap();
    assert_eq!(
        (beehive.index(), beehive.lane(), beehive.interval_s()),
        (226, Lane::Bulk, 600)
    );
    assert_eq!(beehive.message_name(), "city.own.v1.Beehive");
    assert_eq!(beehive.fields()[0].unit, "kg");
    assert_ne!(classes.digest(), embedded().digest());
}

#[test]
fn files_of_a_folder_may_import_each_other() {
    let shared = "syntax = \"proto3\";
package city.own.v1;
import \"sensegate/classes/v1/options.proto\";
enum Mood {
  MOOD_UNSPECIFIED = 0;
  MOOD_CALM = 1 [(sensegate.classes.v1.code) = \"calm\"];
}
";
    let text =
        class("  optional Mood mood = 1;").replace("package", "import \"zz.proto\";\npackage");
    assert_eq!(
        load(&[("own.proto", &text), ("zz.proto", shared)])
            .unwrap()
            .len(),
        227
    );
}

#[test]
fn an_empty_folder_leaves_the_embedded_classes() {
    let classes = load(&[]).unwrap();
    assert_eq!(
        (classes.len(), classes.digest()),
        (226, embedded().digest())
    );
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = Classes::with_dir("/nowhere/classes".as_ref())
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("/nowhere/classes: "), "{error}");
}

#[test]
fn bad_syntax_is_told_with_file_and_line() {
    let error = refused(&format!(
        "{HEAD}message Beehive {{\n  optional dobule\n}}\n"
    ));
    assert!(error.starts_with("own.proto:6:1: "), "{error}");
    let error = refused(&class("  optional Unheard_of x = 1;"));
    assert!(error.starts_with("own.proto:6:12: "), "{error}");
    let error = refused("syntax = \"proto3\";\nimport \"missing.proto\";\n");
    assert!(
        error.contains("own.proto") && error.contains("missing.proto"),
        "{error}"
    );
}

#[test]
fn a_message_that_exists_already_is_told_with_file_and_line() {
    let text = class("  optional bool x = 1;");
    let error = load(&[
        ("a.proto", &text),
        ("b.proto", &text.replace("beehive", "other")),
    ]);
    let error = error.unwrap_err();
    assert!(error.starts_with("b.proto:4:9: "), "{error}");
    assert!(error.contains("city.own.v1.Beehive"), "{error}");
}

#[test]
fn a_class_id_that_is_taken_is_told_with_its_owner() {
    let error =
        refused(&class("  optional bool x = 1;").replace("\"beehive\"", "\"manhole_cover\""));
    assert_eq!(
        error,
        "own.proto:4: Beehive: class id \"manhole_cover\" is taken by \
         sensegate.classes.v1.ManholeCover in sensegate/classes/v1/municipal.proto already"
    );
}

#[test]
fn a_class_without_id_lane_or_interval_is_refused() {
    let good = class("  optional bool x = 1;");
    for (without, wanted) in [
        (
            "id: \"beehive\" ",
            "own.proto:4: Beehive: `id` is no class id: id is empty",
        ),
        (
            "lane: CLASS_LANE_BULK ",
            "own.proto:4: Beehive: `lane` is missing",
        ),
        (
            "interval_s: 600",
            "own.proto:4: Beehive: `interval_s` is missing",
        ),
    ] {
        let error = refused(&good.replace(without, ""));
        assert!(error.starts_with(wanted), "{error}");
    }
}

#[test]
fn a_field_that_breaks_a_rule_is_told_with_its_line() {
    const P: &str = "(sensegate.classes.v1.property)";
    const E: &str = "enum Mood { MOOD_UNSPECIFIED = 0; MOOD_CALM = 1";
    for (field, wanted) in [
        (
            format!("optional double x = 1 [{P} = {{unit: \"kelvin\"}}];"),
            "x: unit \"kelvin\" is no UCUM unit: \"kelvin\" is no unit atom",
        ),
        (
            format!("optional double x = 1 [{P} = {{min: 2 max: 1}}];"),
            "x: min 2 is greater than max 1",
        ),
        (
            format!("optional bool x = 1 [{P} = {{unit: \"V\"}}];"),
            "x: a unit or a plausible range makes no sense on boolean",
        ),
        ("double x = 1;".to_owned(), "x: the field is not `optional`"),
        (
            "repeated double x = 1;".to_owned(),
            "x: repeated fields are not supported",
        ),
        (
            "map<string, double> x = 1;".to_owned(),
            "x: map fields are not supported",
        ),
        (
            "optional Beehive x = 1;".to_owned(),
            "x: message fields are not supported",
        ),
        (
            "optional bytes x = 1;".to_owned(),
            "x: bytes fields are not supported",
        ),
        (
            "oneof o { double x = 1; }".to_owned(),
            "x: oneof fields are not supported",
        ),
        (
            "optional double observed_at = 1;".to_owned(),
            "observed_at: the name is taken",
        ),
        (
            format!("optional Mood x = 1; {E}; }}"),
            "x: enum value MOOD_CALM has no `code`",
        ),
        (
            "optional Mood x = 1; enum Mood { MOOD_UNSPECIFIED = 0; }".to_owned(),
            "x: enum Mood is not closed",
        ),
        (
            "optional Mood x = 1; enum Mood { MOOD_CALM = 0; }".to_owned(),
            "x: enum Mood has no zero value",
        ),
    ] {
        let error = refused(&class(&format!("  {field}")));
        assert!(
            error.starts_with(&format!("own.proto:6: Beehive.{wanted}")),
            "{error}"
        );
    }
}

#[test]
fn a_class_without_fields_is_refused() {
    let error = refused(&class(""));
    assert!(
        error.starts_with("own.proto:4: Beehive: a class has 1 to 256 fields"),
        "{error}"
    );
}

#[test]
fn a_file_cannot_stand_in_for_an_embedded_one() {
    let text = "syntax = \"proto3\";\npackage sensegate.classes.v1;\nmessage ManholeCover { optional bool x = 1; }\n";
    let error = refused(text);
    assert!(error.starts_with("own.proto:3:9: "), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("own.proto")).unwrap();
    let folder = Classes::with_dir(dir.path()).unwrap_err().to_string();
    fs::remove_dir(dir.path().join("own.proto")).unwrap();
    fs::write(
        dir.path().join("own.proto"),
        b"syntax = \"proto3\";\n// \xFF\n",
    )
    .unwrap();
    let latin = Classes::with_dir(dir.path()).unwrap_err().to_string();
    for error in [folder, latin] {
        assert!(error.contains("own.proto"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

/// A message that changes the alarms of a class.
fn alarms_of(class: &str, fields: &str) -> String {
    format!(
        "{HEAD}message Alarms {{
  option (sensegate.classes.v1.alarms_of) = \"{class}\";
{fields}
}}
"
    )
}

fn codes(classes: &Classes, class: &str, field: &str) -> Vec<String> {
    let mut fields = classes.get(class).unwrap().fields().iter();
    let field = fields.find(|known| known.name == field).unwrap();
    field.alarms().map(|alarm| alarm.code.to_owned()).collect()
}

#[test]
fn a_folder_changes_the_alarms_of_an_embedded_class_and_turns_some_off() {
    let text = alarms_of(
        "gas_valve_well",
        "  optional double methane = 9;
  optional double lel = 1 [(sensegate.classes.v1.property) = {thresholds: [
    {code: \"leak\" level: THRESHOLD_LEVEL_CRITICAL above: 20 hysteresis: 0.1}]}];",
    );
    let classes = load(&[("own.proto", &text)]).unwrap();
    assert_eq!(classes.len(), 226);
    assert_eq!(codes(&classes, "gas_valve_well", "lel"), ["leak"]);
    assert!(codes(&classes, "gas_valve_well", "methane").is_empty());
    assert_eq!(
        codes(&classes, "gas_adjacent_space", "lel"),
        ["lel_low", "lel_high"]
    );
    assert_ne!(classes.digest(), embedded().digest());
}

#[test]
fn a_folder_gives_alarms_to_its_own_class_from_another_file() {
    let alarms = alarms_of(
        "beehive",
        "  optional bool x = 1 [(sensegate.classes.v1.property) = {thresholds: [
    {code: \"up\" level: THRESHOLD_LEVEL_NOTICE is: \"true\"}]}];",
    );
    let files = [
        ("a.proto", alarms.as_str()),
        ("b.proto", &class("  optional bool x = 1;")),
    ];
    assert_eq!(codes(&load(&files).unwrap(), "beehive", "x"), ["up"]);
}

#[test]
fn alarms_of_what_is_not_there_are_told_with_their_line() {
    let lel = "  optional double lel = 1;";
    for (class, fields, wanted) in [
        (
            "gas_well",
            lel.to_owned(),
            "4: Alarms: `alarms_of`: no such class",
        ),
        (
            "gas_valve_well",
            lel.replace("lel", "leel"),
            "6: Alarms.leel: `alarms_of`: the class has no such field",
        ),
        (
            "gas_valve_well",
            lel.replace(
                ';',
                " [(sensegate.classes.v1.property) = {thresholds: [{code: \"x\"}]}];",
            ),
            "6: Alarms.lel: threshold \"x\": a level is wanted",
        ),
    ] {
        let error = refused(&alarms_of(class, &fields));
        assert_eq!(error, format!("own.proto:{wanted}"));
    }
    let text = alarms_of("gas_valve_well", lel);
    let other = text.replace("Alarms", "Others");
    let error = load(&[("a.proto", &text), ("b.proto", &other)]).unwrap_err();
    assert_eq!(
        error,
        "b.proto:6: Others.lel: `alarms_of`: the field's are changed already"
    );
}
