//! The demonstration and the kill rounds as a user runs them, shorter.

use std::{path::Path, process::Command};

use tempfile::TempDir;

fn lab(dir: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sensegate-lab"))
        .args(args)
        .arg("--dir")
        .arg(dir)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let log = std::fs::read_to_string(dir.join("gateway.log")).unwrap_or_default();
    assert!(
        output.status.success(),
        "{}\n{stdout}\n{stderr}\n{log}",
        output.status
    );
    stdout
}

#[test]
fn the_demonstration_ends_with_every_reading_at_the_platform_and_the_ledger_balanced() {
    let dir = TempDir::new().unwrap();
    let shown = lab(
        dir.path(),
        &["demo", "--duration", "4s", "--rate", "500", "--scale", "0"],
    );
    assert!(shown.contains("228 devices of 226 classes"), "{shown}");
    assert!(shown.contains("ledger of the gateway, balanced"), "{shown}");
    assert!(shown.contains("0 missing, 0 doubled, 0 unknown"), "{shown}");
}

#[test]
fn readings_acknowledged_survive_kills_of_gateway_and_platform_once_each() {
    let dir = TempDir::new().unwrap();
    let args = [
        "soak-kill",
        "--rounds",
        "4",
        "--rate",
        "1000",
        "--seed",
        "20261123",
    ];
    let proof = lab(dir.path(), &args);
    assert_eq!(proof.matches("ledger balances").count(), 4, "{proof}");
    assert!(proof.contains("0 missing, 0 doubled, 0 unknown"), "{proof}");
}
