//! Settings from every source: who wins, what is refused and how it is said, and that nothing is out of reach.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use tempfile::TempDir;

use super::*;

mod refusals;

/// A file in a folder of its own; the folder lives as long as the value.
fn file(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(&path, text).unwrap();
    (dir, path)
}

fn env(variables: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    variables.iter().map(owned).collect::<Vec<_>>().into_iter()
}

/// Neither a file nor the environment.
fn bare() -> Sources {
    Sources::new().with_file(std::path::Path::new("/dev/null"))
}

fn problems(sources: &Sources) -> Vec<String> {
    let merged = sources.merge().unwrap();
    merged.problems().iter().map(Problem::to_string).collect()
}

#[test]
fn the_defaults_alone_are_a_configuration() {
    let config = bare().merge().unwrap().config().unwrap();
    assert_eq!(config.mqtt.listen, ["0.0.0.0:1883".parse().unwrap()]);
    assert_eq!(config.spool.data_dir, PathBuf::from("/var/lib/sensegate"));
    assert!(!config.node.gateway_id.is_empty());
}

#[test]
fn a_flag_wins_over_the_environment_that_over_the_file_and_that_over_the_default() {
    let (_dir, path) = file("[mqtt]\nreceive_max = 20\n");
    let of = |sources: &Sources| sources.merge().unwrap().config().unwrap().mqtt.receive_max;
    let mut sources = bare();
    assert_eq!(of(&sources), 64);
    sources = sources.with_file(&path);
    assert_eq!(of(&sources), 20);
    sources = sources.with_env(env(&[("SENSEGATE_MQTT_RECEIVE_MAX", "30")]));
    assert_eq!(of(&sources), 30);
    sources = sources.with_flag("mqtt.receive_max", vec!["40".to_owned()]);
    assert_eq!(of(&sources), 40);
}

#[test]
fn an_empty_variable_is_absent_and_one_may_name_the_file() {
    let (_dir, path) = file("node.district = \"510104\"\n");
    let variables = [
        ("SENSEGATE_DISTRICT", ""),
        ("SENSEGATE_CONFIG", path.to_str().unwrap()),
        ("HOME", "/"),
    ];
    let config = Sources::new()
        .with_env(env(&variables))
        .merge()
        .unwrap()
        .config()
        .unwrap();
    assert_eq!(config.node.district, "510104");
}

#[test]
fn a_list_replaces_the_list_of_a_lower_source() {
    let (_dir, path) = file("uplink.platforms = [\"http://a:1\", \"http://b:2\"]\n");
    let sources = Sources::new().with_file(&path);
    let of = |sources: &Sources| sources.merge().unwrap().config().unwrap().uplink.platforms;
    assert_eq!(of(&sources), ["http://a:1", "http://b:2"]);
    let sources = sources.with_env(env(&[("SENSEGATE_PLATFORM", "http://c:3, http://d:4")]));
    assert_eq!(of(&sources), ["http://c:3", "http://d:4"]);
    let flags = vec!["http://e:5".to_owned(), "http://f:6".to_owned()];
    assert_eq!(
        of(&sources.with_flag("uplink.platforms", flags)),
        ["http://e:5", "http://f:6"]
    );
}

#[test]
fn what_is_printed_gives_the_same_configuration_again_and_names_each_origin() {
    let (_dir, path) = file("[mqtt]\npacket_bytes_max = \"2MiB\"\n");
    let sources = Sources::new()
        .with_file(&path)
        .with_env(env(&[
            ("SENSEGATE_DISTRICT", "510104"),
            ("SENSEGATE_AUTH_KEY", "a very secret key"),
        ]))
        .with_flag("uplink.platforms", vec!["http://a:1".to_owned()]);
    let merged = sources.merge().unwrap();
    let printed = merged.to_toml();
    let has = |line: &str| assert!(printed.lines().any(|l| l == line), "{line}\n{printed}");
    has(&format!(
        "packet_bytes_max = \"2MiB\"  # {}:2",
        path.display()
    ));
    has("district = \"510104\"  # env SENSEGATE_DISTRICT");
    has("platforms = [\"http://a:1\"]  # --platform");
    has("receive_max = 64  # default");
    has("# key = (secret)  # env SENSEGATE_AUTH_KEY");
    assert!(!printed.contains("a very secret key"));
    let (_dir, again) = file(&printed);
    let mut first = merged.config().unwrap();
    let second = Sources::new()
        .with_file(&again)
        .merge()
        .unwrap()
        .config()
        .unwrap();
    first.auth.key = None;
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of samples, one line each")]
fn every_field_is_reachable_by_a_setting() {
    let bounds =
        "(Size|Duration|Count): the bound that is not the default must change the configuration";
    let config = |sources: &Sources| format!("{:?}", sources.merge().unwrap().config);
    let before = config(&bare());
    for setting in settings() {
        let other = match setting.key {
            "node.gateway_id"
            | "node.district"
            | "node.bound_file"
            | "auth.key_file"
            | "auth.class_keys_dir"
            | "auth.jwks_file"
            | "auth.jwt_secret_file"
            | "auth.jwt_issuer"
            | "auth.jwt_audience"
            | "auth.password_file"
            | "auth.revocation_file"
            | "auth.rights"
            | "normalise.class_dir"
            | "normalise.profile_dir"
            | "mqtt.tls_cert_file"
            | "mqtt.tls_key_file"
            | "mqtt.tls_client_ca_file"
            | "mqtt.tls_crl_files"
            | "spool.data_dir" => "other",
            "mqtt.tls_client_cert" => "required",
            "mqtt.proxy_from" => "10.0.0.0/8",
            "auth.key" => "0123456789abcdef",
            "log.format" => "json",
            "log.level" => "debug",
            "auth.methods" => "anonymous",
            "auth.certificate_identity" => "cn:{application}",
            "auth.jwt_identity" => "app:{sub}",
            "auth.jwt_expiry" => "optional",
            "auth.jwt_bytes_max" => "1KiB",
            "auth.password_checks_max" => "7",
            "mqtt.rate_policy" => "disconnect",
            "mqtt.class_rates" => "manhole_cover=7",
            "mqtt.topic_bytes_max" => "2KiB",
            "mqtt.user_properties_max" => "7",
            "mqtt.queue_when_full" => "drop_oldest",
            "normalise.sparkplug_gaps" => "keep",
            "uplink.compression" => "off",
            "mqtt.listen" | "admin.listen" => "127.0.0.1:9",
            "uplink.platforms" => "http://other:9",
            "mqtt.topic_alias_max" | "spool.zstd_level" => "3",
            key if key.ends_with("when_full") && setting.default_text() == "refuse" => {
                "drop-oldest"
            }
            key if key.ends_with("when_full") => "refuse",
            _ => match setting.placeholder() {
                "SIZE" => "3MiB",
                "DURATION" => "17s",
                "N" => "1023",
                other => panic!("{}: {other}: {bounds}", setting.key),
            },
        };
        let other = match setting.key {
            "spool.wal_bytes_max" => "64MiB",
            _ => other,
        };
        let changed = bare().with_flag(setting.key, vec![other.to_owned()]);
        let problems = changed.merge().unwrap().problems().to_vec();
        let own: Vec<_> = problems
            .iter()
            .filter(|p| p.what.starts_with(&format!("{other:?} is no")))
            .collect();
        assert!(own.is_empty(), "{}: {own:?}", setting.key);
        assert_ne!(config(&changed), before, "{} changes nothing", setting.key);
    }
    // Nothing stays as blank() left it: a field without a setting would.
    for empty in ["\"\"", "0ns", ": 0,", ": 0 "] {
        let zeroes = before.matches(empty).count();
        assert_eq!(zeroes, 0, "{empty} in {before}");
    }
}

#[test]
fn names_are_unique_and_follow_one_form() {
    let mut seen = BTreeSet::new();
    for setting in settings() {
        assert!(seen.insert(setting.key), "{} twice", setting.key);
        assert!(
            seen.insert(setting.flag) || setting.flag.is_empty(),
            "{} twice",
            setting.flag
        );
        assert!(
            setting
                .flag
                .chars()
                .all(|c| c.is_ascii_lowercase() || c == '-'),
            "{}",
            setting.flag
        );
        assert!(setting.env().starts_with("SENSEGATE_"), "{}", setting.env());
        for text in [setting.help, setting.reason] {
            assert!(
                text.ends_with('.') && !text.contains('\n'),
                "{}: {text}",
                setting.key
            );
        }
    }
}

#[test]
fn a_configuration_for_a_test_names_the_wrong_key() {
    let config = Config::with(&[
        ("mqtt.listen", "127.0.0.1:0"),
        ("uplink.backoff_min", "10ms"),
    ])
    .unwrap();
    assert_eq!(config.uplink.backoff_min, Duration::from_millis(10));
    assert!(
        Config::with(&[("mqtt.lisen", "x")])
            .unwrap_err()
            .to_string()
            .contains("mqtt.lisen")
    );
}

#[test]
fn secrets_are_not_in_debug_texts() {
    let sources = bare().with_env(env(&[("SENSEGATE_AUTH_KEY", "a very secret key")]));
    let merged = sources.merge().unwrap();
    let shown = format!("{sources:?} {merged:?}");
    assert!(!shown.contains("very secret"), "{shown}");
}
