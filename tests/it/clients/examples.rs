//! The examples of docs/clients.md, run as they stand there but for the name and the ports of the gateway.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};

use sensegate::{broker::auth, domain::Identity};

use super::{
    foreign::installed,
    round::Transport,
    site::{APPLICATION, Site},
};
use crate::device::KEY;

const PAGE: &str = include_str!("../../../docs/clients.md");
/// The device that the examples speak for.
const DEVICE: &str = "manhole_cover/510104-7";

/// The page's program in Rust.
#[expect(
    dead_code,
    reason = "its `main` is for its readers, who give it a port that is always the same"
)]
mod example {
    include!("example.rs");

    pub(super) async fn try_report(port: u16, device: &str, token: &str, ca: Vec<u8>) {
        report("127.0.0.1", port, device, token, ca).await.unwrap();
    }
}

/// The page's blocks in a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let block = |text: &'static str| text.split_once("\n```").unwrap().0;
    let fence = format!("```{language}\n");
    PAGE.split(&fence).skip(1).map(block).collect()
}

/// Runs a shell's lines behind the page's first ones, which name the gateway and the device.
fn run(site: &Site, lines: &str) {
    let ports = [
        ("8883", Transport::Tls),
        ("8884", Transport::Mutual),
        ("8443", Transport::Wss),
    ];
    let mut script = format!("set -euo pipefail\n{}\n{lines}\n", blocks("sh")[0]);
    script = script.replace("gateway.example", "127.0.0.1");
    for (port, transport) in ports {
        script = script.replace(port, &site.port(transport).to_string());
    }
    let programs = Path::new(env!("CARGO_BIN_EXE_sensegate")).parent().unwrap();
    let python = installed().join("python/bin");
    let path = format!(
        "{}:{}:{}",
        programs.display(),
        python.display(),
        std::env::var("PATH").unwrap()
    );
    let status = Command::new("bash")
        .args(["-c", &script])
        .current_dir(site.folder())
        .env("PATH", path)
        .env("SENSEGATE_CONFIG", "/dev/null")
        .env("SENSEGATE_AUTH_KEY_FILE", site.folder().join("auth.key"))
        .env("PASSWORD", APPLICATION.1)
        .status()
        .unwrap();
    assert!(status.success(), "{status}: {script}");
}

/// A program of the page, written into a file of this name and run.
fn run_program(site: &Site, language: &str, command: &str, file: &str) {
    let programs = blocks(language);
    assert_eq!(programs.len(), 1, "{language}");
    let lines = format!(
        "cat > {file} <<'PROGRAM'\n{}\nPROGRAM\n{command} {file}",
        programs[0]
    );
    run(site, &lines);
}

#[test]
fn the_examples_of_the_page_work() {
    let site = Site::open();
    let folder = site.folder();
    let key = folder.join("auth.key");
    fs::write(&key, KEY).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    site.certify(DEVICE);
    symlink(
        installed().join("node/node_modules"),
        folder.join("node_modules"),
    )
    .unwrap();

    for block in &blocks("sh")[1..] {
        run(&site, block);
    }
    run_program(&site, "python", "python", "report.py");
    run_program(&site, "js", "node", "notices.mjs");

    assert_eq!(blocks("rust"), [include_str!("example.rs").trim_end()]);
    let token = auth::token(KEY, &Identity::parse(DEVICE).unwrap());
    let ca = fs::read(folder.join("ca.pem")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(example::try_report(
        site.port(Transport::Tls),
        DEVICE,
        &token,
        ca,
    ));

    // mosquitto by token and by certificate, Python, Rust.
    let received = site.gateway.metric("sensegate_readings_received_total", "");
    assert_eq!(received, 4.0);
}
