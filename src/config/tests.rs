//! Settings from every source: who wins, what is refused and how it is said, and that nothing is out of reach.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use tempfile::TempDir;

use super::*;

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
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn what_is_wrong_in_a_file_is_said_with_file_line_key_and_value() {
    let cases = [
        (
            "[mqtt]\npacket_bytes_max = \"1GB\"",
            "2: mqtt.packet_bytes_max: \"1GB\" is over the limit of 256MiB",
        ),
        (
            "[mqtt]\nreceive_max = 70000",
            "2: mqtt.receive_max: 70000 is over the limit of 65535",
        ),
        (
            "[mqtt]\nreceive_max = 0",
            "2: mqtt.receive_max: 0 is below the minimum of 1",
        ),
        (
            "[mqtt]\nreceive_max = -1",
            "2: mqtt.receive_max: -1 is no whole number (invalid digit found in string)",
        ),
        (
            "[mqtt]\nreceive_max = 1.5",
            "2: mqtt.receive_max: is a number with a decimal point, but a whole number is wanted",
        ),
        (
            "[mqtt]\n\nlisen = []",
            "3: mqtt.lisen: is an unknown key, did you mean mqtt.listen?",
        ),
        (
            "[mqt]\nlisten = []",
            "1: mqt: is an unknown section, did you mean mqtt?",
        ),
        ("mqtt = 1", "1: mqtt: is a section: write [mqtt]"),
        (
            "mqtt.listen = [1883]",
            "1: mqtt.listen: is an array with other things than texts, but an array of texts is wanted",
        ),
        (
            "mqtt.listen = [\":1883\"]",
            "1: mqtt.listen: \":1883\" is no address with a port, for example 0.0.0.0:1883 or [::]:1883",
        ),
        (
            "mqtt.listen = [\"0.0.0.0:1\", \"0.0.0.0:1\"]",
            "1: mqtt.listen: \"0.0.0.0:1\" stands there twice",
        ),
        (
            "uplink.backoff_max = 30",
            "1: uplink.backoff_max: 30 is a number, but a duration with its unit, for example \"30s\", is wanted",
        ),
        (
            "uplink.backoff_max = \"30\"",
            "1: uplink.backoff_max: \"30\" has no unit: ms, s, m, h or d, for example 30s",
        ),
        (
            "uplink.backoff_max = \"2h\"",
            "1: uplink.backoff_max: \"2h\" is over the limit of 1h",
        ),
        (
            "uplink.platforms = [\"ftp://a:1\"]",
            "1: uplink.platforms: \"ftp://a:1\" is no endpoint of the form http://host:port",
        ),
        (
            "uplink.platforms = [\"https://a:1\"]",
            "1: uplink.platforms: \"https://a:1\" asks for TLS, which this version does not offer: http://host:port",
        ),
        (
            "auth.method = \"none\"",
            "1: auth.method: \"none\" is not one of: hmac, anonymous",
        ),
        (
            "auth.key = \"short\"",
            "1: auth.key: has 5 bytes, a key needs at least 16",
        ),
        (
            "log.level = \"loud\"",
            "1: log.level: \"loud\" holds \"loud\", which is no level: off, error, warn, info, debug, trace",
        ),
        (
            "spool.data_dir = true",
            "1: spool.data_dir: is a truth value, but a text is wanted",
        ),
        (
            "spool.lanes.alarm.when_full = \"panic\"",
            "1: spool.lanes.alarm.when_full: \"panic\" is not one of: refuse, drop-oldest",
        ),
        (
            "node.gateway_id = \"a/b\"",
            "1: node.gateway_id: \"a/b\" is no id: id \"a/b\" holds '/': `/`, `+`, `#`, a leading `$` and control characters are not allowed",
        ),
    ];
    for (text, wanted) in cases {
        let (_dir, path) = file(text);
        let wanted = format!("{}:{wanted}", path.display());
        assert_eq!(
            problems(&Sources::new().with_file(&path)),
            [wanted],
            "{text}"
        );
    }
}

#[test]
fn toml_that_is_no_toml_is_one_line_with_its_line() {
    let (_dir, path) = file("[mqtt]\nlisten = [\n");
    let told = problems(&Sources::new().with_file(&path));
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with(&format!("{}:", path.display())) && !told[0].contains('\n'),
        "{told:?}"
    );
}

#[test]
fn all_that_is_wrong_is_told_at_once_and_where_it_stands() {
    let (_dir, path) = file("[mqtt]\nreceive_max = 0\nwhat = 1\n");
    let sources = Sources::new()
        .with_file(&path)
        .with_env(env(&[("SENSEGATE_LOG_FORMAT", "xml")]))
        .with_flag("mqtt.connections_max", vec!["many".to_owned()]);
    let told = problems(&sources);
    assert_eq!(told.len(), 4, "{told:?}");
    let has = |start: &str| {
        assert!(
            told.iter().any(|line| line.starts_with(start)),
            "{start}: {told:?}"
        );
    };
    has(&format!("{}:2: mqtt.receive_max: ", path.display()));
    has(&format!("{}:3: mqtt.what: ", path.display()));
    has("SENSEGATE_LOG_FORMAT: \"xml\" is not one of");
    has("--mqtt-connections-max: \"many\" is no whole number");
}

#[test]
fn settings_that_contradict_each_other_are_told_with_both_keys() {
    let cases = [
        (
            "uplink.window_bytes_max = \"512KiB\"",
            "uplink.window_bytes_max: \"512KiB\" is below uplink.batch_bytes_max (\"1MiB\", default): a batch must fit in the window",
        ),
        (
            "uplink.backoff_min = \"50s\"",
            "uplink.backoff_min: \"50s\" is over uplink.backoff_max (\"30s\", default): the pause grows from one to the other",
        ),
        (
            "mqtt.packet_bytes_max = \"64MiB\"",
            "mqtt.packet_bytes_max: \"64MiB\" is over spool.group.bytes_max (\"16MiB\", default): a packet's readings must fit in a group",
        ),
        (
            "spool.lanes.bulk.bytes_max = \"1MiB\"",
            "spool.lanes.bulk.bytes_max: \"1MiB\" is below spool.group.bytes_max (\"16MiB\", default): a group must fit in its lane",
        ),
        (
            "admin.listen = \"0.0.0.0:1883\"",
            "admin.listen: \"0.0.0.0:1883\" is an address of mqtt.listen too",
        ),
        (
            "auth.key = \"0123456789abcdef\"\nauth.key_file = \"/k\"",
            "auth.key: auth.key_file is set too",
        ),
    ];
    for (text, wanted) in cases {
        let (_dir, path) = file(text);
        let told = problems(&Sources::new().with_file(&path));
        assert!(
            told.len() == 1 && told[0].contains(wanted),
            "{text}: {told:?}"
        );
    }
}

#[test]
fn a_misspelt_variable_is_warned_of_and_strangers_are_not() {
    let variables = [
        ("SENSEGATE_MQTT_LISEN", "x"),
        ("SENSEGATE_LIB_CACHE", "y"),
        ("PATH", "z"),
    ];
    let merged = bare().with_env(env(&variables)).merge().unwrap();
    let told: Vec<String> = merged.warnings().iter().map(Problem::to_string).collect();
    let wanted = "SENSEGATE_MQTT_LISEN: names no setting, did you mean SENSEGATE_MQTT_LISTEN?";
    assert!(told.iter().any(|line| line == wanted), "{told:?}");
    assert!(
        !told.iter().any(|line| line.contains("LIB_CACHE")),
        "{told:?}"
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
            | "normalise.class_dir"
            | "spool.data_dir" => "other",
            "auth.key" => "0123456789abcdef",
            "log.format" => "json",
            "log.level" => "debug",
            "auth.method" => "anonymous",
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
