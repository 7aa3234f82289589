//! What is wrong with a file that decides who may do what: each fault one line that names setting, file, line and key.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Where in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    Whole,
    /// A line, counted from 1.
    Line(usize),
    /// A member, in a file whose lines mean nothing.
    Key(String),
    /// A key of a line.
    LineKey(usize, String),
}

/// One thing that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What.
    pub what: String,
}

impl Fault {
    /// What is wrong at a place.
    #[must_use]
    pub const fn at(place: Place, what: String) -> Self {
        Self { place, what }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Whole => {}
            Place::Line(line) => write!(f, "{line}: ")?,
            Place::Key(key) => write!(f, "{key}: ")?,
            Place::LineKey(line, key) => write!(f, "{line}: {key}: ")?,
        }
        f.write_str(&self.what)
    }
}

/// One thing that is wrong, with the setting and the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessFault {
    setting: &'static str,
    file: Option<PathBuf>,
    fault: Fault,
}

impl AccessFault {
    pub(super) fn new(setting: &'static str, file: &Path, fault: Fault) -> Self {
        Self {
            setting,
            file: Some(file.to_owned()),
            fault,
        }
    }

    pub(super) fn setting(setting: &'static str, what: &str) -> Self {
        Self {
            setting,
            file: None,
            fault: Fault::at(Place::Whole, what.to_owned()),
        }
    }
}

impl fmt::Display for AccessFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.setting)?;
        if let Some(file) = &self.file {
            // A line number stands right behind the file's name, as editors read it.
            let gap = match self.fault.place {
                Place::Whole | Place::Key(_) => ": ",
                Place::Line(_) | Place::LineKey(..) => ":",
            };
            write!(f, "{}{gap}", file.display())?;
        }
        fmt::Display::fmt(&self.fault, f)
    }
}

/// Why there is no access: everything that is wrong, a line each, never none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", lines(.0))]
pub struct AccessError(pub Vec<AccessFault>);

fn lines(faults: &[AccessFault]) -> String {
    let lines: Vec<String> = faults.iter().map(AccessFault::to_string).collect();
    lines.join("\n")
}
