//! A setting as the table declares it, and how a raw value becomes a typed one. Every row carries the setter of its
//! field, so that a value that does not fit never reaches a stage and no field can be forgotten.

use std::time::Duration;

use super::{
    quantity::{duration_text, parse_duration, parse_size, size_text},
    stages::Config,
};

/// One row of the settings table: the single source of flag, environment variable, TOML key, default and reference.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The TOML key with its section, for example `mqtt.listen`.
    pub key: &'static str,
    /// The flag without its dashes; empty if a command line is no place for it (it could be read in the process list).
    pub flag: &'static str,
    /// The default.
    pub default: Preset,
    /// One sentence for the operator.
    pub help: &'static str,
    /// Why the default is what it is.
    pub reason: &'static str,
    pub(super) shape: Shape,
}

/// A default.
#[derive(Debug, Clone, Copy)]
pub enum Preset {
    /// This text, as it would stand in an environment variable.
    Text(&'static str),
    /// Nothing.
    Unset,
    /// Found out on the machine.
    Found {
        /// How the reference names it.
        named: &'static str,
        /// Finds it.
        find: fn() -> String,
    },
}

/// An item of a list that is not taken, and what is wrong with it.
pub(super) type Misfit = (String, String);

/// A value's type, its bounds, and where it goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Bytes.
    Size {
        min: u64,
        max: u64,
        set: fn(&mut Config, u64),
    },
    /// A duration; bounds in milliseconds.
    Duration {
        min_ms: u64,
        max_ms: u64,
        set: fn(&mut Config, Duration),
    },
    /// A whole number.
    Count {
        min: u64,
        max: u64,
        set: fn(&mut Config, u64),
    },
    /// One of a few words.
    Choice {
        of: &'static [&'static str],
        set: fn(&mut Config, &str),
    },
    /// A text with rules of its own; `named` says what it is.
    Text {
        named: &'static str,
        set: fn(&mut Config, &str) -> Result<(), String>,
    },
    /// As text, but never shown.
    Secret {
        set: fn(&mut Config, &str) -> Result<(), String>,
    },
    /// Several texts; the first entry replaces what was there.
    List {
        named: &'static str,
        set: fn(&mut Config, &[String]) -> Result<(), Misfit>,
    },
}

/// A value as a source gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    Text(String),
    Integer(String),
    Many(Vec<String>),
    /// A TOML type that no setting has, by its name.
    Other(&'static str),
}

/// A value that was taken, in the form that `--print-config` writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Unset,
    Secret,
    Text(String),
    Count(u64),
    List(Vec<String>),
}

impl Setting {
    /// The environment variable.
    #[must_use]
    pub fn env(&self) -> String {
        let name = if self.flag.is_empty() {
            self.key.replace('.', "-")
        } else {
            self.flag.to_owned()
        };
        format!("SENSEGATE_{}", name.replace('-', "_").to_uppercase())
    }

    /// The section of the TOML file.
    #[must_use]
    pub fn section(&self) -> &'static str {
        self.key.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// The key within its section.
    #[must_use]
    pub fn leaf(&self) -> &'static str {
        self.key.rsplit_once('.').map_or(self.key, |(_, leaf)| leaf)
    }

    /// Whether the flag may be repeated and the TOML value is an array.
    #[must_use]
    pub const fn is_list(&self) -> bool {
        matches!(self.shape, Shape::List { .. })
    }

    /// What stands for the value in the help text.
    #[must_use]
    pub const fn placeholder(&self) -> &'static str {
        match self.shape {
            Shape::Size { .. } => "SIZE",
            Shape::Duration { .. } => "DURATION",
            Shape::Count { .. } => "N",
            Shape::Choice { .. } => "WORD",
            Shape::Secret { .. } => "SECRET",
            Shape::Text { named, .. } | Shape::List { named, .. } => named,
        }
    }

    /// Type and bounds in words, for the reference.
    #[must_use]
    pub fn type_text(&self) -> String {
        match self.shape {
            Shape::Size { min, max, .. } => {
                format!("size, {} to {}", size_text(min), size_text(max))
            }
            Shape::Duration { min_ms, max_ms, .. } => format!(
                "duration, {} to {}",
                duration_text(Duration::from_millis(min_ms)),
                duration_text(Duration::from_millis(max_ms))
            ),
            Shape::Count { min, max, .. } => format!("number, {min} to {max}"),
            Shape::Choice { of, .. } => of
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(" or "),
            Shape::Secret { .. } => "secret text".to_owned(),
            Shape::Text { named, .. } => named.to_lowercase(),
            Shape::List { named, .. } => format!("list of {}", named.to_lowercase()),
        }
    }

    /// The default in words, for the reference.
    #[must_use]
    pub const fn default_text(&self) -> &'static str {
        match self.default {
            Preset::Text(text) => text,
            Preset::Unset => "",
            Preset::Found { named, .. } => named,
        }
    }

    /// Takes a value into the configuration.
    ///
    /// The error names the value and what is wrong with it, not the place.
    pub(super) fn take(&self, raw: &Raw, config: &mut Config) -> Result<Value, String> {
        match (self.shape, raw) {
            (_, Raw::Other(kind)) => Err(format!("is {kind}, but {} is wanted", self.wanted())),
            (Shape::List { set, .. }, _) => {
                let items = match raw {
                    Raw::Many(items) => items.clone(),
                    Raw::Text(item) | Raw::Integer(item) => vec![item.clone()],
                    Raw::Other(_) => Vec::new(),
                };
                set(config, &items).map_err(|(item, what)| format!("{item:?} {what}"))?;
                Ok(Value::List(items))
            }
            (_, Raw::Many(_)) => Err(format!("is an array, but {} is wanted", self.wanted())),
            (Shape::Secret { set }, Raw::Text(text)) => {
                set(config, text)?;
                Ok(Value::Secret)
            }
            (Shape::Secret { .. }, Raw::Integer(_)) => {
                Err("is a number, but a text is wanted".to_owned())
            }
            (_, Raw::Text(text)) => self
                .take_one(text, config)
                .map_err(|what| format!("{text:?} {what}")),
            (
                Shape::Duration { .. } | Shape::Choice { .. } | Shape::Text { .. },
                Raw::Integer(n),
            ) => Err(format!("{n} is a number, but {} is wanted", self.wanted())),
            (_, Raw::Integer(n)) => self
                .take_one(n, config)
                .map_err(|what| format!("{n} {what}")),
        }
    }

    const fn wanted(&self) -> &'static str {
        match self.shape {
            Shape::Size { .. } => "a size, for example \"512MiB\",",
            Shape::Duration { .. } => "a duration with its unit, for example \"30s\",",
            Shape::Count { .. } => "a whole number",
            Shape::Choice { .. } => "a word",
            Shape::Text { .. } | Shape::Secret { .. } => "a text",
            Shape::List { .. } => "an array of texts",
        }
    }

    fn take_one(&self, text: &str, config: &mut Config) -> Result<Value, String> {
        match self.shape {
            Shape::Size { min, max, set } => {
                let bytes = parse_size(text)?;
                within(bytes, min, max, size_text)?;
                set(config, bytes);
                Ok(Value::Text(size_text(bytes)))
            }
            Shape::Duration {
                min_ms,
                max_ms,
                set,
            } => {
                let duration = parse_duration(text)?;
                let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
                let show = |millis| duration_text(Duration::from_millis(millis));
                within(millis, min_ms, max_ms, show)?;
                set(config, duration);
                Ok(Value::Text(duration_text(duration)))
            }
            Shape::Count { min, max, set } => {
                let count = text
                    .replace('_', "")
                    .parse()
                    .map_err(|e: std::num::ParseIntError| format!("is no whole number ({e})"))?;
                within(count, min, max, |n| n.to_string())?;
                set(config, count);
                Ok(Value::Count(count))
            }
            Shape::Choice { of, set } => {
                if !of.contains(&text) {
                    return Err(format!("is not one of: {}", of.join(", ")));
                }
                set(config, text);
                Ok(Value::Text(text.to_owned()))
            }
            Shape::Text { set, .. } | Shape::Secret { set } => {
                set(config, text)?;
                Ok(Value::Text(text.to_owned()))
            }
            Shape::List { .. } => Ok(Value::Unset),
        }
    }
}

fn within(n: u64, min: u64, max: u64, show: impl Fn(u64) -> String) -> Result<(), String> {
    if n < min {
        Err(format!("is below the minimum of {}", show(min)))
    } else if n > max {
        Err(format!("is over the limit of {}", show(max)))
    } else {
        Ok(())
    }
}
