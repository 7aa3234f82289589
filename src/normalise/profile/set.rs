//! All profiles in force, found by topic.

use std::{
    collections::HashMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use foldhash::fast::FixedState;
use include_dir::{Dir, include_dir};
use thiserror::Error;

use super::{
    super::{classes::Classes, folder},
    compile::{self, Problem},
    plan::Profile,
    spec::Spec,
    vectors,
};

/// Largest file of a profile.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Most profiles: a bound on the time that a reload takes.
const PROFILES_MAX: usize = 10_000;

/// What is wrong with a set of profiles: every fault of every file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ProfilesError {
    /// One line each: file, line where it is known, key, what.
    pub faults: Vec<String>,
}

impl fmt::Display for ProfilesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.faults.join("\n"))
    }
}

/// The profiles.
#[derive(Debug, Default)]
pub struct Profiles {
    all: Vec<Arc<Profile>>,
    by_id: HashMap<Box<str>, usize, FixedState>,
    /// Patterns by the text of their first level, most exact first: profile and pattern.
    by_first: HashMap<Box<str>, Vec<(usize, usize)>, FixedState>,
    /// Patterns whose first level is no text.
    others: Vec<(usize, usize)>,
}

/// What [`Profiles::check`] looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Profiles.
    pub profiles: usize,
    /// Vectors in them.
    pub vectors: usize,
}

/// The profiles in the binary.
static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/config/profiles");

fn embedded(dir: &Dir<'static>) -> Vec<Source> {
    let mut sources = Vec::new();
    for file in dir.files() {
        let is_profile = file
            .path()
            .extension()
            .is_some_and(|extension| extension == "toml");
        if let Some(text) = file.contents_utf8().filter(|_| is_profile) {
            sources.push(Source {
                path: Path::new("embedded").join(file.path()),
                text: text.to_owned(),
            });
        }
    }
    for inner in dir.dirs() {
        sources.extend(embedded(inner));
    }
    sources
}

/// A file: its name and its text.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Profiles {
    /// The embedded profiles and those of a folder's `*.toml` files, its folders included, compiled against `classes`. A
    /// file whose id is an embedded one's takes its place. Vectors are not run: [`Profiles::check`] does that.
    ///
    /// # Errors
    /// The folder cannot be read, or files are wrong: all of their faults.
    pub fn load(dir: Option<&Path>, classes: &Classes) -> Result<Self, ProfilesError> {
        Self::build(dir, classes, |_, _| Vec::new()).map_err(|faults| ProfilesError { faults })
    }

    /// Loads them and runs every vector.
    ///
    /// # Errors
    /// What is wrong with the files, or which vectors did not come out as expected.
    pub fn check(dir: Option<&Path>, classes: &Classes) -> Result<Checked, ProfilesError> {
        let mut count = 0;
        let set = Self::build(dir, classes, |profile, spec| {
            count += spec.vectors.len();
            vectors::run(profile, spec, classes)
        });
        let set = set.map_err(|faults| ProfilesError { faults })?;
        Ok(Checked {
            profiles: set.len(),
            vectors: count,
        })
    }

    /// The profile of one file.
    ///
    /// # Errors
    /// The file cannot be read, or is wrong: all of its faults.
    pub fn file(path: &Path, classes: &Classes) -> Result<Arc<Profile>, ProfilesError> {
        let text = fs::read_to_string(path).map_err(|why| ProfilesError {
            faults: vec![format!("{}: {why}", path.display())],
        })?;
        let source = Source {
            path: path.to_owned(),
            text,
        };
        one(&source, classes)
            .map(|(profile, _)| Arc::new(profile))
            .map_err(|faults| ProfilesError { faults })
    }

    fn build(
        dir: Option<&Path>,
        classes: &Classes,
        mut look: impl FnMut(&Profile, &Spec) -> Vec<String>,
    ) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let mut sources = embedded(&EMBEDDED);
        let embedded = sources.len();
        if let Some(dir) = dir {
            collect(dir, &mut sources, &mut faults);
        }
        let mut compiled = Vec::new();
        for source in &sources {
            match one(source, classes) {
                Ok((profile, spec)) => {
                    let shown = source.path.display();
                    let found = look(&profile, &spec);
                    faults.extend(found.into_iter().map(|fault| format!("{shown}: {fault}")));
                    compiled.push((source.path.clone(), profile));
                }
                Err(found) => faults.extend(found),
            }
        }
        if faults.is_empty() {
            let own: Vec<Box<str>> = compiled
                .iter()
                .skip(embedded)
                .map(|(_, profile)| profile.id.clone())
                .collect();
            let mut number = 0;
            compiled.retain(|(_, profile)| {
                number += 1;
                number > embedded || !own.contains(&profile.id)
            });
        }
        let set = Self::assemble(compiled, &mut faults);
        if faults.is_empty() {
            Ok(set)
        } else {
            Err(faults)
        }
    }

    fn assemble(compiled: Vec<(PathBuf, Profile)>, faults: &mut Vec<String>) -> Self {
        let mut set = Self::default();
        if compiled.len() > PROFILES_MAX {
            faults.push(format!(
                "{} profiles, at most {PROFILES_MAX}",
                compiled.len()
            ));
            return set;
        }
        for (path, profile) in compiled {
            if set.by_id.contains_key(&profile.id) {
                faults.push(format!(
                    "{}: id: {:?} is taken by another file",
                    path.display(),
                    profile.id
                ));
                continue;
            }
            let at = set.all.len();
            set.by_id.insert(profile.id.clone(), at);
            for (number, pattern) in profile.patterns.iter().enumerate() {
                match pattern.first() {
                    Some(first) => set
                        .by_first
                        .entry(first.into())
                        .or_default()
                        .push((at, number)),
                    None => set.others.push((at, number)),
                }
            }
            set.all.push(Arc::new(profile));
        }
        let all = &set.all;
        let weight = |&(at, number): &(usize, usize)| {
            let profile = all.get(at);
            let pattern = profile.and_then(|profile| profile.patterns.get(number));
            std::cmp::Reverse(pattern.map(super::topic::Pattern::weight))
        };
        set.by_first
            .values_mut()
            .for_each(|found| found.sort_by_key(weight));
        set.others.sort_by_key(weight);
        set
    }

    /// The profile of an id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<Profile>> {
        self.all.get(*self.by_id.get(id)?)
    }

    /// The profile whose topics match; of several the most exact.
    #[must_use]
    pub fn of_topic(&self, topic: &str) -> Option<&Arc<Profile>> {
        if self.by_first.is_empty() && self.others.is_empty() {
            return None;
        }
        let first = topic.split('/').next().unwrap_or_default();
        let exact = self.by_first.get(first).map_or(&[][..], Vec::as_slice);
        let mut candidates = exact.iter().chain(&self.others);
        candidates.find_map(|(at, number)| {
            let profile = self.all.get(*at)?;
            let pattern = profile.patterns.get(*number)?;
            pattern.matches(topic, |_, _| {}).then_some(profile)
        })
    }

    /// All of them, by file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Profile>> {
        self.all.iter()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

fn collect(dir: &Path, sources: &mut Vec<Source>, faults: &mut Vec<String>) {
    for path in folder::files(dir, &["toml"]) {
        let path = match path {
            Ok(path) => path,
            Err(fault) => {
                faults.push(fault.to_string());
                continue;
            }
        };
        let mut fault = |why: &dyn fmt::Display| faults.push(format!("{}: {why}", path.display()));
        match fs::metadata(&path) {
            Ok(found) if found.len() > FILE_BYTES_MAX => {
                fault(&format_args!("longer than {FILE_BYTES_MAX} bytes"));
            }
            _ => match fs::read_to_string(&path) {
                Ok(text) => sources.push(Source { path, text }),
                Err(why) => fault(&why),
            },
        }
    }
}

/// Compiles one file.
pub(super) fn one(source: &Source, classes: &Classes) -> Result<(Profile, Spec), Vec<String>> {
    let shown = source.path.display();
    let spec: Spec = toml::from_str(&source.text).map_err(|why| {
        let line = why
            .span()
            .map_or(0, |span| line_at(&source.text, span.start));
        vec![format!(
            "{shown}: line {line}: {}",
            why.message().replace('\n', "; ")
        )]
    })?;
    let name = source
        .path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    let dir = source.path.parent().unwrap_or_else(|| Path::new("."));
    match compile::compile((&name, dir), &spec, classes) {
        Ok(profile) => Ok((profile, spec)),
        Err(problems) => Err(problems
            .iter()
            .map(|problem| match line_of(&source.text, problem) {
                Some(line) => format!("{shown}: line {line}: {problem}"),
                None => format!("{shown}: {problem}"),
            })
            .collect()),
    }
}

fn line_at(text: &str, byte: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(byte)
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// The line of a problem's key, as far as the file has it.
fn line_of(text: &str, problem: &Problem) -> Option<usize> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut found = None;
    for part in problem.key.split('.') {
        let found_part = table.iter().find(|(key, _)| key.get_ref().as_ref() == part);
        let Some((key, value)) = found_part else {
            break;
        };
        found = Some(key.span().start);
        match value.get_ref() {
            toml::de::DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    found.map(|start| line_at(text, start))
}
