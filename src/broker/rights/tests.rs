//! What rules allow, and what must not be talked around.

use proptest::prelude::*;

use super::*;
use crate::domain::Identity;

const UP: &str = "v1/lamp/7/up";

fn device(name: &str) -> Principal {
    Principal::Device(Identity::parse(name).unwrap())
}

fn application(name: &str) -> Principal {
    Principal::application(name).unwrap()
}

fn rights(text: &str) -> Rights {
    Rights::parse(text).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn faults(text: &str) -> Vec<String> {
    let faults = Rights::parse(text).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn without_a_file_a_device_has_its_own_topics_and_nothing_else() {
    let rights = Rights::default();
    let lamp = device("lamp/7");
    for topic in [UP, "v1/lamp/7/up/pb"] {
        assert!(rights.may_publish(&lamp, topic), "{topic}");
    }
    for topic in [
        "v1/lamp/7/down",
        "v1/lamp/8/up",
        "v1/pump/7/up",
        "v1/lamp/7",
        "v1/lamp/7/up/",
        "v1/lamp/7/up/pb/x",
        "v1/lamp/77/up",
        "v1//lamp/7/up",
        "/v1/lamp/7/up",
        "v2/lamp/7/up",
        "v1/lamp/7up",
        "$SYS/x",
        "bus/v1/x",
    ] {
        assert!(!rights.may_publish(&lamp, topic), "{topic}");
    }
    assert!(rights.may_subscribe(&lamp, "v1/lamp/7/down"));
    for filter in [
        "#",
        "+",
        "v1/#",
        "v1/+/7/down",
        "v1/lamp/+/down",
        "v1/lamp/7/#",
        "v1/lamp/7/+",
        "v1/lamp/8/down",
        "$SYS/#",
        "v1/lamp/7/down/#",
        UP,
    ] {
        assert!(!rights.may_subscribe(&lamp, filter), "{filter}");
    }
    let board = application("board");
    assert!(!rights.may_publish(&board, UP) && !rights.may_subscribe(&board, "v1/lamp/7/down"));
}

#[test]
fn an_anonymous_client_publishes_for_whom_its_topic_says_and_hears_nothing() {
    let rights = Rights::default();
    for topic in [UP, "v1/pump/1/up/pb", "v1/pump/1/up/acme.meter"] {
        assert!(rights.may_publish(&Principal::Anonymous, topic), "{topic}");
    }
    for topic in [
        "v1/lamp/7/down",
        "v1/lamp//up",
        "v1/$x/7/up",
        "v1/lamp/7/8/up",
        "v1/lamp/7/up/pb/x",
        "v1/lamp/7/up/",
    ] {
        assert!(!rights.may_publish(&Principal::Anonymous, topic), "{topic}");
    }
    assert!(!rights.may_subscribe(&Principal::Anonymous, "v1/lamp/7/down"));
}

#[test]
fn a_file_says_everything_so_an_empty_one_refuses_all() {
    for text in ["", "device_defaults = false", "# nothing\n"] {
        let rights = rights(text);
        for who in [device("lamp/7"), application("board"), Principal::Anonymous] {
            assert!(!rights.may_publish(&who, UP), "{text} {who}");
            assert!(
                !rights.may_subscribe(&who, "v1/lamp/7/down"),
                "{text} {who}"
            );
        }
    }
    let rights = rights("device_defaults = true");
    assert!(rights.may_publish(&device("lamp/7"), UP));
    assert!(!rights.may_publish(&device("lamp/8"), UP));
}

#[test]
fn open_allows_everything() {
    let rights = Rights::open();
    assert!(rights.is_open() && rights.may_subscribe(&Principal::Anonymous, "#"));
    assert!(rights.may_publish(&application("board"), "anything"));
}

const CITY: &str = r#"
device_defaults = true

[[allow]]   # a concentrator that speaks for the covers behind it
identity = "dtu/1"
publish = ["v1/manhole_cover/+/up"]
subscribe = ["v1/manhole_cover/+/down"]

[[allow]]
class = "lamp"
publish = ["v1/{class}/{device}/events/#", "city/lamps"]

[[allow]]
application = "board"
subscribe = ["bus/v1/#", "apps/{application}/+"]

[[allow]]
anyone = true
subscribe = ["city/notice", "mail/{class}/{device}"]
"#;

#[test]
fn each_kind_of_rule_is_for_whom_it_names() {
    let rights = rights(CITY);
    let (dtu, lamp, board) = (device("dtu/1"), device("lamp/7"), application("board"));
    let publishes = [
        (&dtu, "v1/manhole_cover/9/up", true),
        (&dtu, "v1/manhole_cover/9/up/pb", false),
        (&dtu, "v1/lamp/9/up", false),
        (&dtu, "v1/dtu/1/up", true),
        (&lamp, "v1/lamp/7/events", true),
        (&lamp, "v1/lamp/7/events/a/b", true),
        (&lamp, "v1/lamp/8/events/a", false),
        (&lamp, "city/lamps", true),
        (&lamp, "v1/manhole_cover/9/up", false),
        (&board, "city/lamps", false),
        (&Principal::Anonymous, "city/lamps", false),
    ];
    for (who, topic, allowed) in publishes {
        assert_eq!(rights.may_publish(who, topic), allowed, "{who} {topic}");
    }
    let hears = [
        (&dtu, "v1/manhole_cover/+/down", true),
        (&dtu, "v1/manhole_cover/9/down", true),
        (&dtu, "v1/+/+/down", false),
        (&dtu, "v1/manhole_cover/#", false),
        (&board, "bus/v1/#", true),
        (&board, "bus/v1", true),
        (&board, "bus/v1/+/x/#", true),
        (&board, "bus/#", false),
        (&board, "apps/board/+", true),
        (&board, "apps/other/x", false),
        (&board, "apps/+/x", false),
        (&lamp, "city/notice", true),
        (&lamp, "city/+", false),
        (&lamp, "mail/lamp/7", true),
        (&lamp, "mail/lamp/8", false),
        (&board, "mail/lamp/7", false),
        (&Principal::Anonymous, "city/notice", true),
        (&Principal::Anonymous, "mail/lamp/7", false),
    ];
    for (who, filter, allowed) in hears {
        assert_eq!(rights.may_subscribe(who, filter), allowed, "{who} {filter}");
    }
}

#[test]
fn why_something_is_allowed_is_said_with_its_line() {
    let rights = rights(CITY);
    let why = |who: &Principal, asked| rights.why(who, asked).map(|why| why.to_string());
    let dtu = device("dtu/1");
    let told = why(&dtu, Asked::Publish("v1/manhole_cover/9/up"));
    assert_eq!(told.unwrap(), "line 6 allows \"v1/manhole_cover/+/up\"");
    let told = why(&device("lamp/7"), Asked::Publish("city/lamps"));
    assert_eq!(told.unwrap(), "line 11 names it");
    let told = why(&dtu, Asked::Subscribe("v1/dtu/1/down"));
    assert_eq!(told.unwrap(), "it is the device's own topic");
    assert_eq!(why(&dtu, Asked::Subscribe("#")), None);
}

#[test]
fn nothing_that_a_client_asks_for_widens_what_is_granted() {
    let rights = rights(
        "[[allow]]\nanyone = true\npublish = [\"+/x\", \"a/+\", \"#\"]\nsubscribe = [\"+/x\", \"a/+\", \"in/{class}/{device}/#\"]\n",
    );
    let lamp = device("lamp/7");
    // Wildcards do not reach topics of the broker itself.
    assert!(!rights.may_publish(&lamp, "$SYS/x"));
    assert!(rights.may_publish(&lamp, "anything/else"));
    for (filter, allowed) in [
        ("a/x", true),
        ("+/x", true),
        ("a/+", true),
        ("/x", true),
        ("$SYS/x", false),
        ("$SYS/+", false),
        ("$share/g/a/x", false),
        ("+/+", false),
        ("a/#", false),
        ("#", false),
        ("+", false),
        ("a", false),
        ("a/b/c", false),
        ("in/lamp/7/#", true),
        ("in/lamp/7", true),
        ("in/lamp/7/+/b", true),
        ("in/lamp/+/b", false),
        ("in/+/7/#", false),
        ("in/lamp/#", false),
        ("in//7/b", false),
        ("in/{class}/{device}/b", false),
    ] {
        assert_eq!(rights.may_subscribe(&lamp, filter), allowed, "{filter}");
    }
}

#[test]
fn a_device_called_like_a_place_in_a_template_is_only_itself() {
    let rights = rights("[[allow]]\nanyone = true\npublish = [\"x/{device}\"]\n");
    let odd = device("lamp/{device}");
    assert!(rights.may_publish(&odd, "x/{device}"));
    assert!(!rights.may_publish(&device("lamp/7"), "x/{device}"));
}

#[test]
fn what_is_wrong_is_all_told_with_line_and_key() {
    let text = r##"device_defaults = "yes"
what = 1
[[allow]]
identity = "lamp"
publish = ["a/#/b", "a+", "", "$share/g/x", "{device}x", "ok"]
[[allow]]
publish = ["x"]
[[allow]]
class = "lamp"
application = "board"
[[allow]]
application = "board"
subscribe = "x"
[[allow]]
application = "board"
subscribe = ["{class}/x", 7]
publsh = ["x"]
[[allow]]
anyone = false
publish = ["x"]
[[allow]]
class = "+"
"##;
    let told = faults(text);
    for wanted in [
        "1: device_defaults: is neither true nor false",
        "2: what: is an unknown key",
        "4: allow.identity: username \"lamp\" is not of the form class/device",
        "5: allow.publish: \"a/#/b\" has `#` before its end",
        "5: allow.publish: \"a+\" level \"a+\" holds a wildcard",
        "5: allow.publish: \"\" is empty",
        "5: allow.publish: \"$share/g/x\" is a shared subscription",
        "5: allow.publish: \"{device}x\" level",
        "6: allow: is for nobody",
        "a rule is for one",
        "13: allow.subscribe: is no list of filters",
        "16: allow.subscribe: \"{class}/x\" {class} is nothing that all clients of this rule have",
        "16: allow.subscribe: holds something that is no text",
        "17: allow.publsh: is an unknown key",
        "19: allow.anyone: can only be true",
        "22: allow.class: id \"+\" holds '+'",
        "21: allow: grants nothing",
    ] {
        let found = told.iter().any(|line| line.contains(wanted));
        assert!(found, "{wanted}\n{}", told.join("\n"));
    }
    assert!(faults("[[allow]\n")[0].starts_with("1: "));
}

/// Topic and filter levels from a small alphabet, so that they often meet.
fn levels(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    let levels = prop::collection::vec(prop::sample::select(words), 1..5);
    let joined = levels.prop_map(|levels| levels.join("/"));
    joined.prop_filter("no text is no topic", |text| !text.is_empty())
}

fn filter() -> impl Strategy<Value = String> {
    (levels(&["a", "b", "", "$x", "+"]), any::<bool>()).prop_map(|(filter, rest)| {
        if rest { format!("{filter}/#") } else { filter }
    })
}

proptest! {
    #[test]
    fn a_filter_that_is_covered_matches_no_topic_that_is_not_granted(
        granted in filter(),
        asked in filter(),
        topic in levels(&["a", "b", "", "$x"]),
    ) {
        let who = device("a/b");
        let parse = |text: &str| Pattern::parse(text, 1, &[]).unwrap();
        let (granted, asked_pattern) = (parse(&granted), parse(&asked));
        if granted.covers(&who, &asked) && asked_pattern.matches(&who, &topic) {
            prop_assert!(granted.matches(&who, &topic), "{granted:?} {asked} {topic}");
        }
        prop_assert!(asked_pattern.covers(&who, &asked), "a filter covers itself: {asked}");
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}") {
        drop(Rights::parse(&text));
        let rights = Rights::default();
        prop_assert!(!rights.may_publish(&device("lamp/7"), &text));
        prop_assert!(!rights.may_subscribe(&device("lamp/7"), &text));
    }
}
