//! docs/mqtt.md cannot lie: every test that it names is a function of the sources, every path that it names is a file,
//! and it has a row for every statement of both standards.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Statements of Appendix B, counted by chapter.
const COUNTS: [(&str, &[(&str, usize)]); 2] = [
    (
        "## MQTT 5.0",
        &[("1", 5), ("2", 7), ("3", 175), ("4", 60), ("6", 4)],
    ),
    (
        "## MQTT 3.1.1",
        &[("1", 3), ("2", 9), ("3", 95), ("4", 26), ("6", 4), ("7", 4)],
    ),
];

struct Row {
    id: String,
    binds: String,
    kept: String,
    test: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows under a heading, in their order.
fn rows(heading: &str) -> Vec<Row> {
    let text = fs::read_to_string(root().join("docs/mqtt.md")).unwrap();
    let (_, behind) = text.split_once(heading).expect(heading);
    let section = behind.split("\n## ").next().unwrap();
    section
        .lines()
        .filter(|line| line.starts_with("| MQTT-"))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            assert_eq!(cells.len(), 5, "{line}");
            assert!(cells.iter().all(|cell| !cell.is_empty()), "{line}");
            Row {
                id: cells[0].to_owned(),
                binds: cells[2].to_owned(),
                kept: cells[3].to_owned(),
                test: cells[4].to_owned(),
            }
        })
        .collect()
}

fn all_rows() -> Vec<Row> {
    COUNTS
        .iter()
        .flat_map(|(heading, _)| rows(heading))
        .collect()
}

/// Everything between backquotes.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn read_sources(dir: &Path, code: &mut String) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, code);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            code.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_test_and_every_path_of_the_mqtt_table_exists() {
    let mut code = String::new();
    for dir in ["src", "tests"] {
        read_sources(&root().join(dir), &mut code);
    }
    let functions: BTreeSet<_> = code
        .split("fn ")
        .filter_map(|rest| rest.split_once('(').map(|(name, _)| name))
        .collect();
    let mut faults = Vec::new();
    for row in all_rows() {
        for name in quoted(&row.test) {
            if !functions.contains(name) {
                faults.push(format!("{}: there is no test `{name}`", row.id));
            }
        }
        for path in quoted(&row.kept) {
            if !root().join("src").join(path).is_file() {
                faults.push(format!("{}: there is no file `src/{path}`", row.id));
            }
        }
        // What the broker keeps is somewhere and is shown; what it does not keep has its reason instead.
        let kept = row.kept.starts_with('`') || row.kept.starts_with("client's duty");
        if !kept && !row.kept.starts_with("not applicable: ") {
            faults.push(format!("{}: kept where? {}", row.id, row.kept));
        }
        if row.kept.starts_with('`') && quoted(&row.test).is_empty() {
            faults.push(format!("{}: shown by which test?", row.id));
        }
        if !["S", "C", "both"].contains(&&*row.binds) {
            faults.push(format!("{}: binds whom? {}", row.id, row.binds));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_mqtt_table_has_one_row_for_each_statement_in_the_standards_order() {
    for (heading, expected) in COUNTS {
        let rows = rows(heading);
        let numbers: Vec<Vec<u32>> = rows
            .iter()
            .map(|row| {
                let id = row.id.trim_start_matches("MQTT-");
                id.split(['.', '-']).map(|n| n.parse().unwrap()).collect()
            })
            .collect();
        assert!(
            numbers.is_sorted_by(|a, b| a < b),
            "{heading}: out of order, or twice"
        );
        let mut counts = BTreeMap::new();
        for row in &numbers {
            *counts.entry(row[0].to_string()).or_insert(0) += 1;
        }
        let expected: BTreeMap<_, _> = expected
            .iter()
            .map(|(c, n)| ((*c).to_owned(), *n))
            .collect();
        assert_eq!(counts, expected, "{heading}");
    }
}
