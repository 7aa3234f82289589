//! All classes in force: those embedded in the binary and those of a folder, read at start and again on request. A
//! snapshot is immutable; a new one replaces it whole or, if one file is wrong, not at all.

use std::{collections::HashMap, fs, io, path::Path, path::PathBuf};

use prost_reflect::DescriptorPool;
use protox::{
    Compiler,
    file::{ChainFileResolver, DescriptorSetFileResolver, GoogleFileResolver, IncludeFileResolver},
};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{
    alarms::AlarmsOf,
    class::Class,
    rules::{Options, Place, Rule, message_place},
};
use crate::proto::CLASS_DESCRIPTORS;

/// Why there are no classes. Every text is one line and names the file.
#[derive(Debug, Error)]
pub enum ClassError {
    /// The folder or a file in it cannot be read.
    #[error("{}: {why}", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// A file is not protobuf, or does not fit the others.
    #[error("{0}")]
    Syntax(String),
    /// A file is protobuf, but breaks a rule of class declarations.
    #[error("{at}: {rule}")]
    Rule {
        /// File, line, message and field.
        at: Place,
        /// The rule.
        rule: Rule,
    },
    /// The descriptors in this binary are broken.
    #[error("descriptors embedded in this binary: {0}")]
    Embedded(String),
}

/// An immutable snapshot of all classes in force.
#[derive(Debug)]
pub struct Classes {
    classes: Vec<Class>,
    by_id: HashMap<Box<str>, usize, foldhash::fast::RandomState>,
    digest: [u8; 32],
}

impl Classes {
    /// The classes in this binary.
    ///
    /// # Errors
    /// The binary was built from .proto files that break a rule.
    pub fn embedded() -> Result<Self, ClassError> {
        let pool = DescriptorPool::decode(CLASS_DESCRIPTORS)
            .map_err(|why| ClassError::Embedded(why.to_string()))?;
        Self::from_pool(&pool, Sha256::digest(CLASS_DESCRIPTORS).into())
    }

    /// The classes in this binary and those of every `*.proto` file in a folder. The files may import
    /// `sensegate/classes/v1/options.proto` and each other, and may change the alarms of any class.
    ///
    /// # Errors
    /// The folder cannot be read, or a file in it is wrong: which, where and why.
    pub fn with_dir(dir: &Path) -> Result<Self, ClassError> {
        let names = proto_files(dir)?;
        if names.is_empty() {
            return Self::embedded();
        }
        let embedded = |why: &dyn std::fmt::Display| ClassError::Embedded(why.to_string());
        let resolver =
            DescriptorSetFileResolver::decode(CLASS_DESCRIPTORS).map_err(|why| embedded(&why))?;
        let own = DescriptorPool::decode(CLASS_DESCRIPTORS).map_err(|why| embedded(&why))?;

        // The embedded files come first, so that no file of the folder can stand in their place.
        let mut chain = ChainFileResolver::new();
        chain.add(resolver);
        chain.add(GoogleFileResolver::new());
        chain.add(IncludeFileResolver::new(dir.to_owned()));
        let mut compiler = Compiler::with_file_resolver(chain);
        compiler.include_imports(true);
        for file in own.files() {
            compiler
                .open_file(file.name())
                .map_err(|why| embedded(&why))?;
        }
        for name in &names {
            compiler
                .open_file(name)
                .map_err(|why| ClassError::Syntax(in_folder(dir, &why)))?;
        }
        let digest = Sha256::digest(compiler.encode_file_descriptor_set()).into();
        Self::from_pool(&compiler.descriptor_pool(), digest).map_err(|error| match error {
            ClassError::Rule { mut at, rule } if names.contains(&at.file) => {
                at.file = dir.join(&at.file).display().to_string();
                ClassError::Rule { at, rule }
            }
            other => other,
        })
    }

    fn from_pool(pool: &DescriptorPool, digest: [u8; 32]) -> Result<Self, ClassError> {
        let missing = || ClassError::Embedded("options.proto is missing".to_owned());
        let options = Options::of(pool).ok_or_else(missing)?;
        let mut alarms = AlarmsOf::of(pool).ok_or_else(missing)?;
        let mut classes: Vec<Class> = Vec::new();
        let mut by_id: HashMap<Box<str>, usize, _> = HashMap::default();
        for message in pool.all_messages() {
            let class = options
                .class(&message, classes.len())
                .map_err(|(at, rule)| ClassError::Rule { at, rule })?;
            let Some(class) = class else { continue };
            if let Some(other) = by_id
                .get(class.id())
                .and_then(|at: &usize| classes.get(*at))
            {
                let rule = Rule::DuplicateId {
                    id: class.id().to_owned(),
                    by: format!("{} in {}", other.message_name(), other.file_name()),
                };
                let at = message_place(&message);
                return Err(ClassError::Rule { at, rule });
            }
            by_id.insert(class.id().into(), class.index());
            classes.push(class);
        }
        for message in pool.all_messages() {
            let Some(id) = alarms.class_id(&message) else {
                continue;
            };
            let class = by_id.get(&*id).and_then(|at| classes.get_mut(*at));
            alarms
                .change(&message, class)
                .map_err(|(at, rule)| ClassError::Rule { at, rule })?;
        }
        Ok(Self {
            classes,
            by_id,
            digest,
        })
    }

    /// The class of an id.
    #[must_use]
    pub fn get(&self, class_id: &str) -> Option<&Class> {
        self.classes.get(*self.by_id.get(class_id)?)
    }

    /// The class at a place.
    #[must_use]
    pub fn by_index(&self, index: usize) -> Option<&Class> {
        self.classes.get(index)
    }

    /// All classes, ascending by index: the embedded ones by file, then those of the folder.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Class> {
        self.classes.iter()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// SHA-256 over the encoded descriptors: the same wherever the same .proto files are in force.
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

/// Names of the .proto files in a folder, sorted.
fn proto_files(dir: &Path) -> Result<Vec<String>, ClassError> {
    let unreadable = |why| ClassError::Unreadable {
        path: dir.to_owned(),
        why,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "proto")
            && let Some(name) = path.file_name()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// One line: the file below its folder, line and column where they are known, and what is wrong.
fn in_folder(dir: &Path, error: &protox::Error) -> String {
    let known = error.file().is_some_and(|file| dir.join(file).exists());
    let text = format!("{error:?}").replace('\n', "; ");
    if known && error.file().is_some_and(|file| text.starts_with(file)) {
        return dir.join(text).display().to_string();
    }
    format!("{}: {error}", dir.display()).replace('\n', "; ")
}
