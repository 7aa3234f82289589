//! Reports as tables: Markdown for docs/benchmarks.md, JSON for whoever compares.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use super::machine::Machine;

/// What a benchmark says.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What ran, on what, how often.
    pub notes: Vec<String>,
    /// The figures.
    pub tables: Vec<Table>,
}

/// One table.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Names of the columns.
    pub columns: Vec<&'static str>,
    /// Cells, as many in each row as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Report {
    /// A report that begins with the machine and with the command that repeats it.
    #[must_use]
    pub fn on(machine: &Machine, versions: &[String]) -> Self {
        let mut notes = vec![
            format!(
                "machine: {}, {}, Linux {}",
                machine.processor, machine.memory, machine.kernel
            ),
            format!("compiler: {}", machine.rustc),
            format!(
                "disk: 64 KiB append with fdatasync {} µs (median)",
                machine.fdatasync.as_micros()
            ),
        ];
        notes.extend(versions.iter().map(|version| format!("version: {version}")));
        let command: Vec<String> = std::env::args().collect();
        notes.push(format!("command: `{}`", command.join(" ")));
        Self {
            notes,
            tables: Vec::new(),
        }
    }

    /// As JSON, cells as they are printed.
    #[must_use]
    pub fn json(&self) -> Value {
        let tables: Vec<Value> = self.tables.iter().map(Table::json).collect();
        json!({ "notes": self.notes, "tables": tables })
    }
}

impl Table {
    fn json(&self) -> Value {
        let row = |cells: &Vec<String>| -> Value {
            let named = self.columns.iter().zip(cells);
            named
                .map(|(name, cell)| ((*name).to_owned(), Value::from(cell.as_str())))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        json!({ "title": self.title, "rows": rows })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "- {note}")?;
        }
        for table in &self.tables {
            write!(f, "\n{table}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.title.is_empty() {
            writeln!(f, "{}:\n", self.title)?;
        }
        writeln!(f, "| {} |", self.columns.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(self.columns.len()))?;
        for row in &self.rows {
            f.write_char('|')?;
            for cell in row {
                write!(f, " {cell} |")?;
            }
            f.write_char('\n')?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_markdown_and_json() {
        let table = Table {
            title: "Rates".to_owned(),
            columns: vec!["server", "rate"],
            rows: vec![vec!["sensegate".to_owned(), "7".to_owned()]],
        };
        let text = table.to_string();
        assert_eq!(
            text,
            "Rates:\n\n| server | rate |\n|---|---|\n| sensegate | 7 |\n"
        );
        assert_eq!(table.json()["rows"][0]["rate"], "7");
    }
}
