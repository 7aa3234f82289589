//! Merging: flags over environment over TOML over defaults, each value once through the table, every problem collected.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    blank::blank,
    cross,
    file::{self, FileValues, hint},
    listener::ListenerConfig,
    problem::{ConfigError, Origin, Problem},
    setting::{Preset, Raw, Setting, Value},
    stages::Config,
    table::{FORMER, Former, former, settings},
};

/// The variable that names the file, and the file that is read if nothing names one and it is there.
const FILE_ENV: &str = "SENSEGATE_CONFIG";
const FILE_DEFAULT: &str = "/etc/sensegate/sensegate.toml";
/// Largest configuration file: far beyond any real one.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Variables of this prefix that are not the daemon's settings.
const ENV_OF_OTHERS: [&str; 2] = [FILE_ENV, "SENSEGATE_LIB_CACHE"];

/// What a configuration is merged from. The file is read at each [`Sources::merge`]; flags and environment are as they
/// were at start.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sources {
    flags: BTreeMap<&'static str, Vec<String>>,
    env: BTreeMap<String, String>,
    file: Option<PathBuf>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values stay out: the environment may hold the key.
        f.debug_struct("Sources")
            .field("flags", &self.flags.keys())
            .field("env", &self.env.keys())
            .field("file", &self.file)
            .finish()
    }
}

/// A setting, its value as it may be shown, and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Settled {
    pub(super) setting: &'static Setting,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// The outcome of a merge.
#[derive(Debug, Clone)]
pub struct Merged {
    pub(super) config: Config,
    pub(super) settled: Vec<Settled>,
    pub(super) file: Option<PathBuf>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Sources {
    /// Nothing but the defaults, and the file that stands in the usual place.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With values of a flag, by the setting's key.
    #[must_use]
    pub fn with_flag(mut self, key: &'static str, values: Vec<String>) -> Self {
        self.flags.insert(key, values);
        self
    }

    /// With the environment's `SENSEGATE_*` variables; all others, and empty ones, are left out.
    #[must_use]
    pub fn with_env(mut self, variables: impl Iterator<Item = (String, String)>) -> Self {
        self.env = variables
            .filter(|(name, value)| name.starts_with("SENSEGATE_") && !value.is_empty())
            .collect();
        self
    }

    /// With a file named by `--config`.
    #[must_use]
    pub fn with_file(mut self, path: &Path) -> Self {
        self.file = Some(path.to_owned());
        self
    }

    /// Reads the file and merges everything.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`] if the file cannot be read; what is wrong inside stands in [`Merged::problems`].
    pub fn merge(&self) -> Result<Merged, ConfigError> {
        let path = self.path();
        let file = match &path {
            None => FileValues::default(),
            Some(path) => file::read(path, &read_text(path)?),
        };
        let mut merged = Merged {
            config: blank(),
            settled: Vec::new(),
            problems: file.problems,
            warnings: Vec::new(),
            file: path.clone(),
        };
        for setting in settings() {
            let (raw, origin) = self.pick(setting, &file.values, path.as_deref());
            merged.settle(setting, raw, origin);
        }
        merged.warnings.extend(self.unknown_variables());
        cross::resolve(&mut merged.config, &merged.settled);
        cross::check(&merged.config, &merged.settled, &mut merged.problems);
        cross::warn(&merged.config, &merged.settled, &mut merged.warnings);
        Ok(merged)
    }

    fn path(&self) -> Option<PathBuf> {
        let named = self.file.clone();
        named
            .or_else(|| self.env.get(FILE_ENV).map(PathBuf::from))
            .or_else(|| Some(PathBuf::from(FILE_DEFAULT)).filter(|path| path.exists()))
    }

    fn pick(
        &self,
        setting: &'static Setting,
        file: &BTreeMap<&'static str, (Raw, usize)>,
        path: Option<&Path>,
    ) -> (Option<Raw>, Origin) {
        if let Some(values) = self.flags.get(setting.key) {
            let raw = match values.as_slice() {
                [one] => Raw::Text(one.clone()),
                many => Raw::Many(many.to_vec()),
            };
            return (Some(raw), Origin::Flag(format!("--{}", setting.flag)));
        }
        let names = [Some(setting.env()), former(setting).map(Former::env)];
        for name in names.into_iter().flatten() {
            if let Some(text) = self.env.get(&name) {
                return (Some(text_of(setting, text)), Origin::Env(name));
            }
        }
        if let (Some((raw, line)), Some(path)) = (file.get(setting.key), path) {
            let origin = Origin::File {
                path: path.to_owned(),
                line: *line,
            };
            return (Some(raw.clone()), origin);
        }
        let raw = match setting.default {
            Preset::Unset => None,
            Preset::Text(text) => Some(text_of(setting, text)),
            Preset::Found { find, .. } => Some(Raw::Text(find())),
        };
        (raw, Origin::Default)
    }

    fn unknown_variables(&self) -> Vec<Problem> {
        let former = FORMER.iter().map(Former::env);
        let names: Vec<String> = settings().map(Setting::env).chain(former).collect();
        self.env
            .keys()
            .filter(|name| !names.contains(name) && !ENV_OF_OTHERS.contains(&name.as_str()))
            .map(|name| {
                let hint = hint(name, names.iter().map(String::as_str));
                let what = format!("names no setting{hint}");
                Problem::new(Origin::Env(name.clone()), "", what)
            })
            .collect()
    }
}

impl Merged {
    fn settle(&mut self, setting: &'static Setting, raw: Option<Raw>, origin: Origin) {
        let taken = raw.map_or(Ok(Value::Unset), |raw| setting.take(&raw, &mut self.config));
        match taken {
            Ok(value) => self.settled.push(Settled {
                setting,
                value,
                origin,
            }),
            Err(what) => self.problems.push(Problem::new(origin, setting.key, what)),
        }
    }

    /// Everything that is wrong; with any of it there is no configuration.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What is allowed, and an operator should know.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The folder of further classes as far as it could be settled, for `sensegate check`.
    #[must_use]
    pub fn class_dir(&self) -> Option<&Path> {
        self.config.normalise.class_dir.as_deref()
    }

    /// The folder of further profiles as far as it could be settled, for `sensegate check`.
    #[must_use]
    pub fn profile_dir(&self) -> Option<&Path> {
        self.config.normalise.profile_dir.as_deref()
    }

    /// The listeners as far as they could be settled, for `sensegate check`.
    #[must_use]
    pub fn listeners(&self) -> &[ListenerConfig] {
        &self.config.mqtt.listen
    }

    /// The configuration.
    ///
    /// # Errors
    /// All problems, if there is one.
    pub fn config(self) -> Result<Config, ConfigError> {
        if self.problems.is_empty() {
            Ok(self.config)
        } else {
            Err(ConfigError::Invalid(self.problems))
        }
    }
}

fn text_of(setting: &Setting, text: &str) -> Raw {
    if setting.is_list() {
        Raw::Many(text.split(',').map(|item| item.trim().to_owned()).collect())
    } else {
        Raw::Text(text.to_owned())
    }
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |error: io::Error| ConfigError::Unreadable {
        path: path.display().to_string(),
        kind: error.kind(),
        what: error.to_string(),
    };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if u64::try_from(text.len()).is_ok_and(|len| len > FILE_BYTES_MAX) {
        let what = format!("is longer than the {FILE_BYTES_MAX} bytes that are read");
        return Err(unreadable(io::Error::other(what)));
    }
    Ok(text)
}
