//! Relations between settings: each row names the two keys, so that the message does too.

use std::cmp::Ordering;

use super::{
    access::{AuthMethod, RightsConfig},
    problem::{Origin, Problem},
    setting::Value,
    sources::Settled,
    stages::Config,
};

/// Two settings of which the first may not exceed the second, and why.
struct AtMost {
    small: &'static str,
    large: &'static str,
    why: &'static str,
    holds: fn(&Config) -> bool,
}

const RELATIONS: &[AtMost] = &[
    AtMost {
        small: "uplink.batch_bytes_max",
        large: "uplink.window_bytes_max",
        why: "a batch must fit in the window",
        holds: |c| c.uplink.batch_bytes_max <= c.uplink.window_bytes_max,
    },
    AtMost {
        small: "uplink.backoff_min",
        large: "uplink.backoff_max",
        why: "the pause grows from one to the other",
        holds: |c| c.uplink.backoff_min <= c.uplink.backoff_max,
    },
    AtMost {
        small: "normalise.reading_bytes_max",
        large: "uplink.batch_bytes_max",
        why: "a reading must fit in a batch",
        holds: |c| c.normalise.reading_bytes_max <= c.uplink.batch_bytes_max,
    },
    AtMost {
        small: "mqtt.packet_bytes_max",
        large: "spool.group.bytes_max",
        why: "a packet's readings must fit in a group",
        holds: |c| {
            usize::try_from(c.mqtt.packet_bytes_max).is_ok_and(|n| n <= c.spool.group.bytes_max)
        },
    },
    AtMost {
        small: "mqtt.connections_per_address_max",
        large: "mqtt.connections_max",
        why: "one address cannot have more than all",
        holds: |c| c.mqtt.connections_per_address_max <= c.mqtt.connections_max,
    },
    AtMost {
        small: "mqtt.queue_bytes_max",
        large: "mqtt.queues_bytes_max",
        why: "one queue cannot hold more than all",
        holds: |c| c.mqtt.limits.queues.bytes_max <= c.mqtt.limits.queues.total_bytes_max,
    },
    AtMost {
        small: "mqtt.retained_payload_bytes_max",
        large: "mqtt.retained_bytes_max",
        why: "one retained message must fit among all",
        holds: |c| c.mqtt.limits.retained.payload_bytes_max <= c.mqtt.limits.retained.bytes_max,
    },
    AtMost {
        small: "spool.group.bytes_max",
        large: "spool.lanes.alarm.bytes_max",
        why: "a group must fit in its lane",
        holds: |c| fits(c, c.spool.lanes.alarm.bytes_max),
    },
    AtMost {
        small: "spool.group.bytes_max",
        large: "spool.lanes.telemetry.bytes_max",
        why: "a group must fit in its lane",
        holds: |c| fits(c, c.spool.lanes.telemetry.bytes_max),
    },
    AtMost {
        small: "spool.group.bytes_max",
        large: "spool.lanes.bulk.bytes_max",
        why: "a group must fit in its lane",
        holds: |c| fits(c, c.spool.lanes.bulk.bytes_max),
    },
    AtMost {
        small: "mqtt.packet_bytes_max",
        large: "spool.quarantine_bytes_max",
        why: "a payload must fit in quarantine",
        holds: |c| u64::from(c.mqtt.packet_bytes_max) <= c.spool.quarantine.bytes_max,
    },
];

fn fits(config: &Config, lane_bytes_max: u64) -> bool {
    u64::try_from(config.spool.group.bytes_max).is_ok_and(|group| group <= lane_bytes_max)
}

/// Adds what is wrong between settings that are right by themselves.
pub(super) fn check(config: &Config, settled: &[Settled], problems: &mut Vec<Problem>) {
    for relation in RELATIONS {
        // A setting that was not taken has its own problem already.
        let (Some(small), Some(large)) =
            (find(settled, relation.small), find(settled, relation.large))
        else {
            continue;
        };
        if !(relation.holds)(config) {
            problems.push(too_large(small, large, relation.why));
        }
    }
    if let (Some(key), Some(file)) = (find(settled, "auth.key"), find(settled, "auth.key_file"))
        && key.value == Value::Secret
        && file.value != Value::Unset
        && key.origin.rank() == file.origin.rank()
    {
        let what = format!(
            "auth.key_file is set too ({}): give one of them",
            file.origin
        );
        problems.push(Problem::new(key.origin.clone(), "auth.key", what));
    }
    check_methods(config, settled, problems);
    if let (Some(admin), Some(listen)) = (
        find(settled, "admin.listen"),
        config.admin.listen.filter(|address| address.port() != 0),
    ) && config.mqtt.listen.iter().any(|one| one.address == listen)
    {
        let what = format!("{:?} is an address of mqtt.listen too", listen.to_string());
        problems.push(Problem::new(admin.origin.clone(), "admin.listen", what));
    }
}

/// Of the key itself and the files of keys, what the higher source gives holds.
pub(super) fn resolve(config: &mut Config, settled: &[Settled]) {
    let (Some(key), Some(files)) = (find(settled, "auth.key"), find(settled, "auth.key_file"))
    else {
        return;
    };
    if key.value == Value::Unset || files.value == Value::Unset {
        return;
    }
    match key.origin.rank().cmp(&files.origin.rank()) {
        Ordering::Less => config.auth.key = None,
        Ordering::Greater => config.auth.key_files.clear(),
        // Told as a problem.
        Ordering::Equal => {}
    }
}

/// Adds methods that lack what they check credentials against, and what stands behind one that takes everyone.
fn check_methods(config: &Config, settled: &[Settled], problems: &mut Vec<Problem>) {
    let auth = &config.auth;
    let origin = find(settled, "auth.methods").map_or(Origin::Default, |one| one.origin.clone());
    let mut problem = |what: String| {
        problems.push(Problem::new(origin.clone(), "auth.methods", what));
    };
    let lacks = [
        (
            AuthMethod::Certificate,
            auth.certificate_identity.is_empty(),
            "auth.certificate_identity",
        ),
        (
            AuthMethod::Jwt,
            auth.jwt.jwks_file.is_none() && auth.jwt.secret_file.is_none(),
            "auth.jwks_file or auth.jwt_secret_file",
        ),
        (
            AuthMethod::Password,
            auth.password.file.is_none(),
            "auth.password_file",
        ),
    ];
    for (method, lacking, needs) in lacks {
        if auth.asks(method) && lacking {
            problem(format!("{:?} needs {needs}", method.name()));
        }
    }
    let at = auth
        .methods
        .iter()
        .position(|&method| method == AuthMethod::Anonymous);
    if at.is_some_and(|at| at + 1 < auth.methods.len()) {
        problem("\"anonymous\" takes everyone, so it has to be the last".to_owned());
    }
}

/// The problem is told where the operator wrote something: at the more specific of the two origins.
fn too_large(small: &Settled, large: &Settled, why: &str) -> Problem {
    if large.origin.rank() > small.origin.rank() {
        let what = format!(
            "{} is below {} ({}, {}): {why}",
            shown(&large.value),
            small.setting.key,
            shown(&small.value),
            small.origin
        );
        return Problem::new(large.origin.clone(), large.setting.key, what);
    }
    let what = format!(
        "{} is over {} ({}, {}): {why}",
        shown(&small.value),
        large.setting.key,
        shown(&large.value),
        large.origin
    );
    Problem::new(small.origin.clone(), small.setting.key, what)
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Count(n) => n.to_string(),
        Value::List(items) => format!("{items:?}"),
        Value::Secret => "(secret)".to_owned(),
        Value::Unset => "(unset)".to_owned(),
    }
}

/// Adds what is allowed and should be known.
pub(super) fn warn(config: &Config, settled: &[Settled], warnings: &mut Vec<Problem>) {
    let origin = |key| find(settled, key).map_or(Origin::Default, |one| one.origin.clone());
    if config.auth.asks(AuthMethod::Anonymous) {
        let what = "\"anonymous\" lets anyone who reaches the port speak for any device";
        warnings.push(Problem::new(origin("auth.methods"), "auth.methods", what));
    }
    if config.auth.rights == RightsConfig::Open {
        let what = "\"open\" lets everyone publish and subscribe to everything";
        warnings.push(Problem::new(origin("auth.rights"), "auth.rights", what));
    }
    let idle = [
        ("auth.class_keys_dir", AuthMethod::Hmac),
        ("auth.jwks_file", AuthMethod::Jwt),
        ("auth.jwt_secret_file", AuthMethod::Jwt),
        ("auth.password_file", AuthMethod::Password),
    ];
    for (key, method) in idle {
        let given = find(settled, key).is_some_and(|one| one.value != Value::Unset);
        if given && !config.auth.asks(method) {
            let what = format!(
                "has no effect: auth.methods does not name {:?}",
                method.name()
            );
            warnings.push(Problem::new(origin(key), key, what));
        }
    }
    if config.node.district == "000000" {
        let what = "\"000000\" is no district: the platform cannot file the readings by district";
        warnings.push(Problem::new(origin("node.district"), "node.district", what));
    }
    if let Some(listen) = config.admin.listen
        && !listen.ip().is_loopback()
    {
        let what = format!(
            "{:?} can be reached from outside, without authentication",
            listen.to_string()
        );
        warnings.push(Problem::new(origin("admin.listen"), "admin.listen", what));
    }
}

fn find<'a>(settled: &'a [Settled], key: &str) -> Option<&'a Settled> {
    settled.iter().find(|one| one.setting.key == key)
}
