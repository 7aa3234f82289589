//! The .proto file that a profile names: compiled when the profile is, with the file's own folder as the root of imports.

use std::path::Path;

use super::{super::any::read, Message, Options};

/// Opens the codec: the option `proto` names a file beside the profile.
///
/// # Errors
/// The file is not named, cannot be read or is wrong, or an option is.
pub(crate) fn open(mut options: toml::Table, dir: &Path) -> Result<Message, String> {
    let file = match options.remove("proto") {
        Some(toml::Value::String(file)) => file,
        _ => return Err("proto is missing: the .proto file, beside the profile's file".to_owned()),
    };
    let options: Options = read(options)?;
    let mut compiler = protox::Compiler::new([dir]).map_err(|why| format!("proto: {why}"))?;
    compiler.include_imports(true);
    compiler
        .open_file(&file)
        .map_err(|why| format!("proto: {file}: {why:?}").replace('\n', "; "))?;
    Message::new(options, &compiler.descriptor_pool())
}
