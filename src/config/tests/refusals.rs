//! What is refused, and in which words.

use super::*;

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
            "mqtt.listen = [\"mqtts://0.0.0.0:1\"]",
            "1: mqtt.listen: \"mqtts://0.0.0.0:1\" cert: no certificate: give cert=FILE or mqtt.tls_cert_file",
        ),
        (
            "mqtt.proxy_from = [\"10.0.0.0/33\"]",
            "1: mqtt.proxy_from: \"10.0.0.0/33\" is no network, for example 10.0.0.0/8 or 2001:db8::1",
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
            "1: auth.methods: \"none\" is not one of: hmac, certificate, jwt, password, anonymous",
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
            "auth.methods = [\"jwt\"]",
            "auth.methods: \"jwt\" needs auth.jwks_file or auth.jwt_secret_file",
        ),
        (
            "auth.methods = [\"password\"]",
            "auth.methods: \"password\" needs auth.password_file",
        ),
        (
            "auth.methods = [\"anonymous\", \"hmac\"]",
            "auth.methods: \"anonymous\" takes everyone, so it has to be the last",
        ),
        (
            "auth.method = \"hmac\"\nauth.methods = [\"hmac\"]",
            "auth.methods: is given twice, in line 1 too, by its former name",
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
