//! The TOML file: every value with its line. Knows the form of the file and the names of the settings, not their
//! meaning.

use std::{collections::BTreeMap, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    problem::{Origin, Problem},
    setting::{Raw, Setting},
    table::{setting, settings},
};

/// What a file says: raw values by key, and what it says that no setting understands.
#[derive(Debug, Default)]
pub(super) struct FileValues {
    pub(super) values: BTreeMap<&'static str, (Raw, usize)>,
    pub(super) problems: Vec<Problem>,
}

/// Reads the text of the file `path`.
pub(super) fn read(path: &Path, text: &str) -> FileValues {
    let mut reader = Reader {
        path,
        text,
        found: FileValues::default(),
    };
    match DeTable::parse(text) {
        Ok(root) => reader.table("", root.get_ref()),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            reader.problem(at, "", error.message().replace('\n', "; "));
        }
    }
    reader.found
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    found: FileValues,
}

impl Reader<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            self.entry(&key, name.span().start, value);
        }
    }

    fn entry(&mut self, key: &str, at: usize, value: &Spanned<DeValue<'_>>) {
        if let Some(setting) = setting(key) {
            if let Some((_, line)) = self.found.values.get(setting.key) {
                let what = format!("is given twice, in line {line} too, by its former name");
                self.problem(at, key, what);
            }
            self.value(setting, at, value);
            return;
        }
        let section = format!("{key}.");
        let is_section = settings().any(|setting| setting.key.starts_with(&section));
        match (is_section, value.get_ref()) {
            (true, DeValue::Table(table)) => self.table(key, table),
            (true, _) => self.problem(at, key, format!("is a section: write [{key}]")),
            (false, DeValue::Table(_)) => {
                let sections = settings().map(Setting::section);
                self.problem(
                    at,
                    key,
                    format!("is an unknown section{}", hint(key, sections)),
                );
            }
            (false, _) => {
                let keys = settings().map(|setting| setting.key);
                self.problem(at, key, format!("is an unknown key{}", hint(key, keys)));
            }
        }
    }

    fn value(&mut self, setting: &'static Setting, at: usize, value: &Spanned<DeValue<'_>>) {
        let raw = match value.get_ref() {
            DeValue::String(text) => Raw::Text(text.to_string()),
            DeValue::Integer(n) if n.radix() == 10 => Raw::Integer(n.as_str().to_owned()),
            DeValue::Integer(n) => Raw::Integer(n.to_string()),
            DeValue::Float(_) => Raw::Other("a number with a decimal point"),
            DeValue::Boolean(_) => Raw::Other("a truth value"),
            DeValue::Datetime(_) => Raw::Other("a date"),
            DeValue::Table(_) => Raw::Other("a table"),
            DeValue::Array(items) => {
                let texts = items.iter().map(|item| match item.get_ref() {
                    DeValue::String(text) => Some(text.to_string()),
                    _ => None,
                });
                texts.collect::<Option<_>>().map_or(
                    Raw::Other("an array with other things than texts"),
                    Raw::Many,
                )
            }
        };
        let line = self.line(at);
        self.found.values.insert(setting.key, (raw, line));
    }

    fn problem(&mut self, at: usize, key: &str, what: String) {
        let origin = Origin::File {
            path: self.path.to_owned(),
            line: self.line(at),
        };
        self.found.problems.push(Problem::new(origin, key, what));
    }

    fn line(&self, at: usize) -> usize {
        self.text
            .bytes()
            .take(at)
            .filter(|&byte| byte == b'\n')
            .count()
            + 1
    }
}

/// `, did you mean …?` if a known name is near.
pub(super) fn hint<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> String {
    // A third of the letters may be wrong: beyond, a suggestion misleads.
    let near_enough = given.len() / 3 + 1;
    known
        .map(|name| (distance(given, name), name))
        .filter(|(distance, _)| *distance <= near_enough)
        .min()
        .map_or_else(String::new, |(_, name)| format!(", did you mean {name}?"))
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(i + 1);
        for ((y, pair), left_of) in b.iter().zip(row.windows(2)).zip(0..) {
            let &[diagonal, above] = pair else { continue };
            let left: usize = next.get::<usize>(left_of).copied().unwrap_or_default();
            next.push(
                (diagonal + usize::from(x != *y))
                    .min(above + 1)
                    .min(left + 1),
            );
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_levenshteins() {
        for (a, b, d) in [
            ("", "", 0),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("lisen", "listen", 1),
        ] {
            assert_eq!(distance(a, b), d, "{a} {b}");
        }
    }
}
