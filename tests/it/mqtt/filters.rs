//! Topic filters: wildcards, `$` topics, overlaps, replacement, and the end of subscriptions.

use super::{
    client::{Broker, texts},
    wire::{BOTH, Message, SUBSCRIPTION_ID, Value, Version},
};
use crate::support::DEADLINE;

const NO_LOCAL: u8 = 0x04;

#[tokio::test(flavor = "multi_thread")]
async fn wildcards_match_whole_levels() {
    let broker = Broker::start();
    let topics = [
        "sport",
        "sport/",
        "/sport",
        "/",
        "sport/tennis",
        "sport/tennis/p1",
        "sport//p1",
        "Sport/tennis",
    ];
    let cases: [(&str, &[&str]); 14] = [
        ("#", &topics),
        ("sport", &["sport"]),
        (
            "sport/#",
            &[
                "sport",
                "sport/",
                "sport/tennis",
                "sport/tennis/p1",
                "sport//p1",
            ],
        ),
        ("sport/+", &["sport/", "sport/tennis"]),
        ("sport/+/p1", &["sport/tennis/p1", "sport//p1"]),
        ("sport/tennis/#", &["sport/tennis", "sport/tennis/p1"]),
        ("+", &["sport"]),
        (
            "+/+",
            &["sport/", "/sport", "/", "sport/tennis", "Sport/tennis"],
        ),
        ("/+", &["/sport", "/"]),
        ("/#", &["/sport", "/"]),
        ("+/tennis", &["sport/tennis", "Sport/tennis"]),
        (
            "+/tennis/#",
            &["sport/tennis", "sport/tennis/p1", "Sport/tennis"],
        ),
        ("sport//+", &["sport//p1"]),
        ("+/+/+", &["sport/tennis/p1", "sport//p1"]),
    ];
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        for (filter, matched) in cases {
            client.subscribe(filter, 1).await;
            for topic in topics {
                client.say(topic, topic, 1).await;
            }
            let mut heard = texts(&client.all().await);
            let mut expected: Vec<_> = matched.iter().map(|&topic| topic.to_owned()).collect();
            heard.sort();
            expected.sort();
            assert_eq!(heard, expected, "{filter}");
            client.unsubscribe(&[filter]).await;
        }
        client.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dollar_topic_is_heard_by_its_name_and_not_through_a_leading_wildcard() {
    let broker = Broker::start();
    for version in BOTH {
        let mut wild = broker.client(version, "wild").await;
        for filter in ["#", "+/b", "+/#", "+/+", "$other/#"] {
            wild.subscribe(filter, 1).await;
        }
        let mut named = broker.client(version, "named").await;
        named.subscribe("$a/#", 1).await;
        named.subscribe("$a/+", 1).await;
        let mut publisher = broker.client(version, "publisher").await;
        for topic in ["$a/b", "$a"] {
            let message = Message::new(topic, topic).qos(1).retained();
            assert!(publisher.publish(message).await < 0x80);
        }
        assert_eq!(wild.all_until(&mut publisher).await, []);
        let heard = named.all_until(&mut publisher).await;
        assert!(texts(&heard).contains(&"$a/b".to_owned()), "{heard:?}");
        assert!(texts(&heard).contains(&"$a".to_owned()), "{heard:?}");
        // Nor are retained ones found that way.
        let mut newcomer = broker.client(version, "newcomer").await;
        newcomer.subscribe("#", 1).await;
        newcomer.subscribe("+/b", 1).await;
        assert_eq!(newcomer.all().await, []);
        newcomer.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_compared_byte_for_byte() {
    let broker = Broker::start();
    let different = [
        "caf\u{e9}",
        "cafe\u{301}",
        "caf\u{e9} ",
        " caf\u{e9}",
        "CAF\u{c9}",
        "\u{feff}caf\u{e9}",
        "a/b",
        "a//b",
        "a/b/",
        "a /b",
        "./a/b",
        "市/物联",
        "市/物聯",
    ];
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        for filter in different {
            client.subscribe(filter, 1).await;
            for topic in different {
                client.say(topic, topic, 1).await;
            }
            let heard = client.all().await;
            assert_eq!(texts(&heard), [filter]);
            assert_eq!(heard[0].topic, filter);
            client.unsubscribe(&[filter]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_filter_is_refused_and_the_others_of_its_packet_are_taken() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        let filters = [
            ("a", 0),
            ("a#", 0),
            ("a/#/b", 1),
            ("a+", 1),
            ("+a/b", 2),
            ("##", 0),
            ("b/#", 2),
        ];
        let codes = client.subscribe_all(&filters, &Vec::new()).await.codes;
        let bad = match version {
            Version::V3 => 0x80,
            Version::V5 => 0x8f,
        };
        assert_eq!(codes, [0, bad, bad, bad, bad, bad, 2]);
        client.say("a", "a", 1).await;
        client.say("b/1", "b", 1).await;
        assert_eq!(texts(&client.all().await), ["a", "b"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_filters_in_one_packet_are_answered_in_their_order() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        let filters = [("c", 2), ("a", 0), ("b", 1), ("a", 1)];
        let codes = client.subscribe_all(&filters, &Vec::new()).await.codes;
        assert_eq!(codes, [2, 0, 1, 1]);
        for topic in ["a", "b", "c"] {
            client.say(topic, topic, 2).await;
        }
        let heard = client.all().await;
        assert_eq!(texts(&heard), ["a", "b", "c"]);
        assert_eq!(heard.iter().map(|m| m.qos).collect::<Vec<_>>(), [1, 1, 2]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_subscriptions_respect_the_highest_qos() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        let filters = [("a/#", 2), ("a/+", 1), ("a/b", 0)];
        client.subscribe_all(&filters, &Vec::new()).await;
        client.say("a/b", "m", 2).await;
        let heard = client.all().await;
        // One copy for all of them, or one for each.
        let highest = heard.iter().map(|message| message.qos).max();
        assert_eq!(highest, Some(2));
        assert!([1, 3].contains(&heard.len()), "{heard:?}");
        client.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_subscriptions_send_their_identifiers() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "c").await;
    for (filter, id) in [("a/#", 1), ("a/+", 268_435_455), ("a/b", 200)] {
        let props = vec![(SUBSCRIPTION_ID, Value::Variable(id))];
        client.subscribe_all(&[(filter, 1)], &props).await;
    }
    client.subscribe("+/b", 1).await;
    client.say("a/b", "m", 1).await;
    let mut ids: Vec<_> = (client.all().await.into_iter())
        .flat_map(|message| message.props)
        .filter_map(|(id, value)| match value {
            Value::Variable(number) if id == SUBSCRIPTION_ID => Some(number),
            _ => None,
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 200, 268_435_455]);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribing_again_replaces_the_subscription() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        for qos in [0, 2, 1] {
            assert_eq!(client.subscribe("a/+", qos).await, qos);
            client.say("a/b", "m", 2).await;
            let heard = client.all().await;
            assert_eq!(heard.iter().map(|m| m.qos).collect::<Vec<_>>(), [qos]);
        }
        client.unsubscribe(&["a/+"]).await;
        client.say("a/b", "m", 2).await;
        assert_eq!(client.all().await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unsubscribe_stops_messages_and_answers_for_each_filter() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        for filter in ["a/b", "a/+", "a/#", "x"] {
            client.subscribe(filter, 1).await;
        }
        let codes = client.unsubscribe(&["never", "a/b", "A/#", "a/#"]).await;
        match version {
            Version::V3 => assert!(codes.is_empty()),
            Version::V5 => assert_eq!(codes, [0x11, 0, 0x11, 0]),
        }
        client.say("a/b", "through the plus", 1).await;
        client.say("a/b/c", "no more", 1).await;
        client.say("x", "x", 1).await;
        assert_eq!(texts(&client.all().await), ["through the plus", "x"]);
        // Even where nothing is deleted there is an answer.
        client.unsubscribe(&["a/#"]).await;
        client.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_local_keeps_a_clients_own_messages_from_it() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "c").await;
    let mut other = broker.client(Version::V5, "other").await;
    client.subscribe("a", 1 | NO_LOCAL).await;
    other.subscribe("a", 1 | NO_LOCAL).await;
    client.say("a", "of c", 1).await;
    other.say("a", "of other", 1).await;
    assert_eq!(texts(&client.all_until(&mut other).await), ["of other"]);
    assert_eq!(texts(&other.all_until(&mut client).await), ["of c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_without_the_right_is_refused_by_its_code() {
    // Anyone may come in here, but rights are the default ones.
    let broker = Broker::bare(&["--auth-method", "anonymous"]);
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        let refused = match version {
            Version::V3 => 0x80,
            Version::V5 => 0x87,
        };
        assert_eq!(client.subscribe("test/nosubscribe", 2).await, refused);
        assert_eq!(client.subscribe("#", 0).await, refused);
        client.ping().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_without_the_right_is_refused_by_its_code_and_changes_nothing() {
    let broker = Broker::bare(&["--auth-method", "anonymous"]);
    let mut new = broker.client(Version::V5, "new").await;
    for qos in [1, 2] {
        assert_eq!(new.publish(Message::new("a", "m").qos(qos)).await, 0x87);
    }
    // MQTT 3.1.1 has no words for it: the broker acknowledges or closes.
    let mut old = broker.client(Version::V3, "old").await;
    old.send(&Message::new("a", "m").qos(1).id(1).bytes(Version::V3))
        .await;
    let heard = tokio::time::timeout(DEADLINE, old.hear()).await.unwrap();
    assert!(heard.is_none() || matches!(heard, Some(super::heard::Heard::Ack(_))));
    new.ping().await;
}
