//! Compiles the .proto files without protoc: the platform's and the devices' contracts to Rust, the device classes
//! to a descriptor set that the binary embeds (they are read by reflection, so that further ones can join at start).

use std::{env, fs, path::Path};

const CONTRACTS: [&str; 2] = [
    "sensegate/platform/v1/platform.proto",
    "sensegate/device/v1/report.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let out = env::var("OUT_DIR")?;

    let contracts = protox::compile(CONTRACTS, ["proto"])?;
    tonic_prost_build::configure()
        .bytes(".")
        .compile_fds(contracts)?;

    let mut classes: Vec<String> = fs::read_dir("proto/sensegate/classes/v1")?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_, std::io::Error>>()?;
    classes.sort();
    let classes = classes
        .iter()
        .map(|name| format!("sensegate/classes/v1/{name}"));
    // Encoded by the compiler, since prost's own descriptor types drop custom options.
    let classes = protox::Compiler::new(["proto"])?
        .include_imports(true)
        .open_files(classes)?
        .encode_file_descriptor_set();
    fs::write(Path::new(&out).join("classes.binpb"), classes)?;
    Ok(())
}
