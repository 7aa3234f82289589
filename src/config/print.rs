//! Settings as text: what `--print-config` shows (a TOML file that gives the same configuration again, each value with
//! its origin), and the commented example.

use std::fmt::Write as _;

use super::{
    setting::{Preset, Setting, Value},
    sources::Merged,
    table::settings,
};

impl Merged {
    /// The merged settings as TOML, each with its origin; secrets are named, not shown.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut out = String::from(
            "# Origins, highest first: flag, environment variable, file:line, default.\n",
        );
        if let Some(path) = &self.file {
            line(&mut out, format_args!("# file: {}", path.display()));
        }
        let mut section = "";
        for one in &self.settled {
            heading(&mut out, &mut section, one.setting);
            let leaf = one.setting.leaf();
            match &one.value {
                Value::Unset => line(
                    &mut out,
                    format_args!("# {leaf} is unset  # {}", one.origin),
                ),
                Value::Secret => line(
                    &mut out,
                    format_args!("# {leaf} = (secret)  # {}", one.origin),
                ),
                value => line(
                    &mut out,
                    format_args!("{leaf} = {}  # {}", literal(value), one.origin),
                ),
            }
        }
        out
    }
}

/// The example file: every setting with its meaning, the reason of its default, and the default, commented out.
#[must_use]
pub fn example_toml() -> String {
    let mut out = String::from(
        "# sensegate: all settings at their defaults. Take away the `#` of a line to change it.\n\
         # Sizes take B, KiB, MiB, GiB, TiB; durations ms, s, m, h, d. Flags and SENSEGATE_* variables come first.\n\
         # `sensegate check --config FILE` says what is wrong; `--print-config` shows what is in force and why.\n",
    );
    let mut section = "";
    for setting in settings() {
        heading(&mut out, &mut section, setting);
        wrapped(&mut out, setting.help);
        wrapped(
            &mut out,
            &format!("({}) {}", setting.type_text(), setting.reason),
        );
        let leaf = setting.leaf();
        match setting.default {
            Preset::Text(text) => {
                let value = match setting.placeholder() {
                    "N" => text.to_owned(),
                    _ if setting.is_list() => literal(&Value::List(vec![text.to_owned()])),
                    _ => literal(&Value::Text(text.to_owned())),
                };
                line(&mut out, format_args!("#{leaf} = {value}\n"));
            }
            Preset::Unset => line(&mut out, format_args!("#{leaf} = \"\"  # unset\n")),
            Preset::Found { named, .. } => line(&mut out, format_args!("#{leaf} = …  # {named}\n")),
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn heading(out: &mut String, section: &mut &'static str, setting: &'static Setting) {
    if *section != setting.section() {
        *section = setting.section();
        if !out.ends_with("\n\n") {
            out.push('\n');
        }
        line(out, format_args!("[{section}]"));
    }
}

fn wrapped(out: &mut String, text: &str) {
    let mut width = usize::MAX;
    for word in text.split_whitespace() {
        if width.saturating_add(word.chars().count()) > 110 {
            out.push_str(if width == usize::MAX { "#" } else { "\n#" });
            width = 1;
        }
        out.push(' ');
        out.push_str(word);
        width += word.chars().count() + 1;
    }
    out.push('\n');
}

fn literal(value: &Value) -> String {
    match value {
        Value::Text(text) => toml::Value::from(text.as_str()).to_string(),
        Value::List(items) => toml::Value::from(items.clone()).to_string(),
        Value::Count(n) => n.to_string(),
        Value::Unset | Value::Secret => String::new(),
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    writeln!(out, "{text}").unwrap_or_default();
}
