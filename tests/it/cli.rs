//! The command line as scripts and operators use it: what it prints, and how it ends.

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

use crate::support::Node;

/// The daemon with neither the machine's file nor variables of whoever runs the tests.
fn sensegate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sensegate"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SENSEGATE_")) {
        command.env_remove(name);
    }
    command
        .env_remove("CREDENTIALS_DIRECTORY")
        .env_remove("NOTIFY_SOCKET")
        .env("SENSEGATE_CONFIG", "/dev/null")
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn ran(arguments: &[&str]) -> Output {
    sensegate(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Checks the exit code and that standard error is one line of the program with this text in it.
fn fails(arguments: &[&str], code: i32, wanted: &str) {
    let output = ran(arguments);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
    let last = told.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("sensegate: ") && last.contains(wanted),
        "{arguments:?}: {told}"
    );
    let errors = told
        .lines()
        .filter(|line| line.starts_with("sensegate: ") && !line.contains("warning"));
    assert_eq!(errors.count(), 1, "{arguments:?}: {told}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

fn with_input(arguments: &[&str], input: &str) -> Output {
    let mut child = sensegate(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may end without reading all of it.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}

fn write(dir: &TempDir, name: &str, content: &str) -> String {
    let path = dir.path().join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn path_of(dir: &TempDir) -> &str {
    dir.path().to_str().unwrap()
}

#[test]
fn a_wrong_command_line_ends_with_64_and_a_hint() {
    fails(
        &["run", "--mqtt-lisen", "x"],
        64,
        "did you mean --mqtt-listen?",
    );
    fails(&["rum"], 64, "did you mean run?");
    fails(&[], 64, "a subcommand is needed");
    fails(&["decode"], 64, "--class");
    fails(&["token", "--device", "no-slash"], 64, "no-slash");
}

#[test]
fn help_and_version_are_no_failures_and_help_documents_the_exit_codes() {
    let help = ran(&["--help"]);
    assert!(help.status.success());
    let help = text(&help.stdout);
    assert!(
        help.contains("64  usage") && help.contains("78  configuration"),
        "{help}"
    );
    let run = text(&ran(&["run", "--help"]).stdout);
    for flag in [
        "--gateway-id",
        "--district",
        "--data-dir",
        "--mqtt-listen",
        "--platform",
        "--admin-listen",
    ] {
        assert!(run.contains(flag), "{flag}");
    }
    assert!(text(&ran(&["--version"]).stdout).starts_with("sensegate "));
}

#[test]
fn a_wrong_setting_ends_with_78_and_names_its_place() {
    let dir = TempDir::new().unwrap();
    let file = write(&dir, "config.toml", "[mqtt]\npacket_bytes_max = \"1GB\"\n");
    let place = format!("{file}:2: mqtt.packet_bytes_max: \"1GB\" is over the limit of 256MiB");
    fails(&["run", "--config", &file], 78, &place);
    fails(
        &["run", "--log-format", "xml"],
        78,
        "--log-format: \"xml\" is not one of: text, json",
    );
    fails(
        &["run", "--config", "/no/such/file"],
        66,
        "/no/such/file: No such file",
    );
}

#[test]
fn check_tells_everything_that_is_wrong() {
    let dir = TempDir::new().unwrap();
    let classes = dir.path().join("classes");
    fs::create_dir(&classes).unwrap();
    fs::write(
        classes.join("broken.proto"),
        "syntax = \"proto3\";\nmessage {",
    )
    .unwrap();
    let file = write(&dir, "config.toml", "[mqtt]\nreceive_max = 0\nwhat = 1\n");
    let output = ran(&[
        "check",
        "--config",
        &file,
        "--class-dir",
        classes.to_str().unwrap(),
    ]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{told}");
    for wanted in [
        ":2: mqtt.receive_max: 0",
        ":3: mqtt.what: is an unknown key",
        "broken.proto",
    ] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}

#[test]
fn check_of_the_defaults_is_content() {
    let dir = TempDir::new().unwrap();
    let output = ran(&["check", "--data-dir", path_of(&dir)]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("226 classes"));
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        0,
        "check leaves no trace"
    );
}

#[test]
fn a_key_that_everyone_may_read_is_refused() {
    let dir = TempDir::new().unwrap();
    let key = write(&dir, "key", "0123456789abcdef");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    fails(&["check", "--auth-key-file", &key], 78, "mode 0644");
}

#[test]
fn printed_settings_tell_their_origin_and_are_a_configuration() {
    let dir = TempDir::new().unwrap();
    let file = write(&dir, "config.toml", "[mqtt]\nreceive_max = 7\n");
    let printed = sensegate(&[
        "run",
        "--config",
        &file,
        "--platform",
        "http://a:1",
        "--print-config",
    ])
    .env("SENSEGATE_DISTRICT", "510104")
    .output()
    .unwrap();
    assert!(printed.status.success());
    let printed = text(&printed.stdout);
    for wanted in [
        format!("receive_max = 7  # {file}:2"),
        "district = \"510104\"  # env SENSEGATE_DISTRICT".to_owned(),
        "platforms = [\"http://a:1\"]  # --platform".to_owned(),
        "format = \"text\"  # default".to_owned(),
    ] {
        assert!(
            printed.lines().any(|line| line == wanted),
            "{wanted}\n{printed}"
        );
    }
    let again = write(&dir, "again.toml", &printed);
    let output = ran(&["check", "--config", &again, "--data-dir", path_of(&dir)]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_token_is_the_hmac_of_the_username() {
    let dir = TempDir::new().unwrap();
    let key = write(&dir, "key", "0123456789abcdef0123456789abcdef\n");
    let output = ran(&[
        "token",
        "--auth-key-file",
        &key,
        "--device",
        "manhole_cover/510104-7",
    ]);
    let token = text(&output.stdout);
    assert_eq!(token.trim().len(), 64, "{token}");
    let two = [
        "token",
        "--auth-key-file",
        &key,
        "--device",
        "a/1",
        "--device",
        "manhole_cover/510104-7",
    ];
    let output = text(&ran(&two).stdout);
    assert!(
        output.ends_with(&format!("manhole_cover/510104-7\t{token}")),
        "{output}"
    );
    fails(
        &["token", "--auth-key-file", &key, "--device", "no-slash"],
        64,
        "not of the form class/device",
    );
    fails(
        &["token", "--auth-key-file", "/no/key", "--device", "a/b"],
        66,
        "/no/key",
    );
}

#[test]
fn classes_are_listed_and_shown() {
    let list = text(&ran(&["classes", "list"]).stdout);
    assert_eq!(list.lines().count(), 227, "a heading and 226 classes");
    let json: serde_json::Value =
        serde_json::from_slice(&ran(&["classes", "list", "--json"]).stdout).unwrap();
    let first = &json[0];
    let id = first["id"].as_str().unwrap();
    let shown = text(&ran(&["classes", "show", id]).stdout);
    assert!(
        shown.contains(first["fields"][0]["name"].as_str().unwrap()),
        "{shown}"
    );
    fails(&["classes", "show", "no_such_class"], 65, "no_such_class");
}

#[test]
fn a_payload_is_decoded_from_a_file_and_from_standard_input() {
    let dir = TempDir::new().unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(&ran(&["classes", "list", "--json"]).stdout).unwrap();
    let classes = json.as_array().unwrap();
    let is_number = |field: &serde_json::Value| field["kind"] == "number";
    let (class, field) = classes
        .iter()
        .find_map(|class| {
            Some((
                class,
                class["fields"]
                    .as_array()?
                    .iter()
                    .find(|field| is_number(field))?,
            ))
        })
        .unwrap();
    let (class, field) = (
        class["id"].as_str().unwrap(),
        field["name"].as_str().unwrap(),
    );
    let payload = format!("{{\"{field}\": 1.5}}");
    let piped = with_input(&["decode", "--class", class, "--device", "d-1"], &payload);
    assert!(piped.status.success(), "{}", text(&piped.stderr));
    let shown: serde_json::Value = serde_json::from_slice(&piped.stdout).unwrap();
    assert_eq!(shown[0]["device_id"], "d-1");
    let file = write(&dir, "payload.json", &payload);
    assert!(ran(&["decode", "--class", class, &file]).status.success());
    let bad = with_input(&["decode", "--class", class], "{");
    assert_eq!(bad.status.code(), Some(65));
    assert!(text(&bad.stderr).contains("malformed_json"));
    fails(
        &["decode", "--class", class, "/no/payload"],
        66,
        "/no/payload",
    );
    fails(
        &["decode", "--class", "no_such_class", &file],
        65,
        "no_such_class",
    );
}

#[test]
fn looking_at_a_spool_that_is_not_there_ends_with_66_and_makes_none() {
    let dir = TempDir::new().unwrap();
    fails(
        &["spool", "stat", "--data-dir", path_of(&dir)],
        66,
        "holds no spool",
    );
    fails(
        &["quarantine", "list", "--data-dir", path_of(&dir)],
        66,
        "holds no spool",
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_port_in_use_and_a_data_directory_that_cannot_be_are_one_line_each() {
    let dir = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = |mqtt: &str, admin: &str, data: &str, code: i32, wanted: &str| {
        let flags = [
            "--log-level",
            "error",
            "--mqtt-listen",
            mqtt,
            "--admin-listen",
            admin,
            "--data-dir",
            data,
        ];
        fails(&[&["run"], &flags[..]].concat(), code, wanted);
    };
    let free = "127.0.0.1:0";
    run(&address, free, path_of(&dir), 69, &address);
    run(
        free,
        &address,
        path_of(&dir),
        69,
        &format!("admin.listen: {address}: "),
    );
    let file = write(&dir, "file", "");
    run(free, free, &file, 73, &file);
    let newer = dir.path().join("newer");
    fs::create_dir(&newer).unwrap();
    fs::write(newer.join("FORMAT"), "sensegate 999\n").unwrap();
    run(
        free,
        free,
        newer.to_str().unwrap(),
        78,
        "format version 999",
    );
}

#[test]
fn a_data_directory_in_use_is_refused_to_a_second_gateway_and_open_to_lookers() {
    let node = Node::new(&[]);
    let _gateway = node.start();
    let data = node.data_dir().to_str().unwrap().to_owned();
    let free = "127.0.0.1:0";
    let flags = [
        "--log-level",
        "error",
        "--mqtt-listen",
        free,
        "--admin-listen",
        free,
    ];
    fails(
        &[&["run", "--data-dir", &data], &flags[..]].concat(),
        75,
        "locked by another process",
    );
    let stat = ran(&["spool", "stat", "--json", "--data-dir", &data]);
    let stat: serde_json::Value = serde_json::from_slice(&stat.stdout).unwrap();
    assert_eq!(stat["balances"], true);
    let token = ran(&["token", "--device", "a/b", "--data-dir", &data]);
    assert!(token.status.success(), "the first start made the key");
}

#[test]
fn the_reference_pages_are_what_the_program_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (page, path) in [
        ("configuration", "docs/configuration.md"),
        ("metrics", "docs/metrics.md"),
        ("classes", "docs/classes.md"),
        ("alarms", "docs/alarms.md"),
        ("example-config", "config/sensegate.toml"),
    ] {
        let said = text(&ran(&["docs", page]).stdout);
        let kept = fs::read_to_string(root.join(path)).unwrap_or_default();
        assert!(said == kept, "{path} is not up to date: run `make docs`");
    }
}

#[test]
fn the_example_configuration_is_one_with_and_without_its_marks() {
    let dir = TempDir::new().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = fs::read_to_string(root.join("config/sensegate.toml")).unwrap();
    // A line that begins with a key right behind the mark is a setting; what was found or is unset has no value.
    let uncommented: Vec<&str> = example
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest)
                if rest.starts_with(|c: char| c.is_ascii_lowercase()) && !line.contains("  # ") =>
            {
                rest
            }
            _ => line,
        })
        .collect();
    let file = write(&dir, "all.toml", &uncommented.join("\n"));
    for path in [root.join("config/sensegate.toml").to_str().unwrap(), &file] {
        let output = ran(&["check", "--config", path, "--data-dir", path_of(&dir)]);
        assert!(output.status.success(), "{path}: {}", text(&output.stderr));
    }
}
