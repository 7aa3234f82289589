//! Retained messages: one for each topic, for those who come later.

use std::time::Duration;

use super::{
    client::{Broker, Client, pass, texts},
    wire::{
        BOTH, CONTENT_TYPE, Connect, MESSAGE_EXPIRY, Message, Value, Version, pair, property, text,
    },
};

/// Retain handling and retain as published, beside the `QoS` in the options of a subscription.
const ONLY_IF_NEW: u8 = 0x10;
const NEVER: u8 = 0x20;
const AS_PUBLISHED: u8 = 0x08;

async fn retain(client: &mut Client, topic: &str, payload: &str, qos: u8) {
    let message = Message::new(topic, payload).qos(qos).retained();
    assert!(client.publish(message).await < 0x80);
}

/// What a newcomer hears of `filter`.
async fn found(broker: &Broker, version: Version, filter: &str) -> Vec<Message> {
    let mut newcomer = broker.client(version, "newcomer").await;
    newcomer.subscribe(filter, 2).await;
    let messages = newcomer.all().await;
    newcomer.leave().await;
    messages
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_message_reaches_those_who_are_there_without_the_flag_and_newcomers_with_it() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.subscribe("state/#", 2).await;
        client.all().await;
        for qos in 0..3 {
            let topic = format!("state/{version:?}/{qos}");
            retain(&mut client, &topic, "on", qos).await;
            let heard = client.message().await;
            assert!(!heard.retain && heard.qos == qos);
            let found = found(&broker, version, &topic).await;
            assert_eq!(texts(&found), ["on"]);
            assert!(found[0].retain && !found[0].dup && found[0].qos == qos);
        }
        client.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_retained_message_replaces_the_older_one_whatever_their_qos() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        for (payload, qos) in [("1", 2), ("2", 0), ("3", 1), ("4", 0)] {
            retain(&mut client, "replaced", payload, qos).await;
            client.ping().await;
            let found = found(&broker, version, "replaced").await;
            assert_eq!(texts(&found), [payload]);
            assert_eq!(found[0].qos, qos);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_retained_message_is_delivered_and_clears_the_topic() {
    let broker = Broker::start();
    for version in BOTH {
        for qos in 0..3 {
            let mut client = broker.client(version, "c").await;
            retain(&mut client, "cleared", "there", 1).await;
            client.subscribe("cleared", 2).await;
            assert!(client.message().await.retain);
            retain(&mut client, "cleared", "", qos).await;
            let heard = client.message().await;
            assert!(heard.payload.is_empty() && !heard.retain);
            assert_eq!(found(&broker, version, "cleared").await, []);
            client.leave().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_the_flag_leaves_the_retained_one_alone() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        retain(&mut client, "kept", "kept", 1).await;
        client.say("kept", "passing", 1).await;
        client.say("kept", "", 1).await;
        client.say("never", "passing", 1).await;
        assert_eq!(texts(&found(&broker, version, "kept").await), ["kept"]);
        assert_eq!(found(&broker, version, "never").await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_messages_outlive_the_session_that_sent_them() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        retain(&mut client, "outlives", "me", 1).await;
        client.leave().await;
        broker.client(version, "c").await.leave().await;
        assert_eq!(texts(&found(&broker, version, "outlives").await), ["me"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_finds_every_retained_message_with_its_properties() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "c").await;
    let mut props = vec![(CONTENT_TYPE, text("t")), pair("c", "3"), pair("a", "2")];
    for qos in 0..3 {
        let message = Message {
            props: props.clone(),
            ..Message::new(&format!("found/{qos}"), "m")
                .qos(qos)
                .retained()
        };
        assert!(client.publish(message).await < 0x80);
    }
    let mut found = found(&broker, Version::V5, "+/+").await;
    found.sort_by_key(|message| message.qos);
    assert_eq!(found.len(), 3);
    props.sort_by_key(|(id, _)| *id);
    for (message, qos) in found.iter_mut().zip(0..) {
        assert_eq!(
            (&*message.topic, message.qos),
            (&*format!("found/{qos}"), qos)
        );
        message.props.sort_by_key(|(id, _)| *id);
        assert_eq!(message.props, props);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_messages_come_at_the_lower_of_both_qos() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "c").await;
    retain(&mut client, "lower", "m", 2).await;
    for version in BOTH {
        for granted in 0..3 {
            let mut newcomer = broker.client(version, "newcomer").await;
            newcomer.subscribe("lower", granted).await;
            assert_eq!(newcomer.message().await.qos, granted);
            newcomer.leave().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribing_again_sends_retained_messages_again_and_loses_nothing() {
    let broker = Broker::start();
    for version in BOTH {
        let mut publisher = broker.client(version, "publisher").await;
        retain(&mut publisher, "again", "kept", 1).await;
        let mut client = broker.client(version, "c").await;
        for _ in 0..3 {
            client.subscribe("again", 1).await;
            publisher.say("again", "live", 1).await;
            let heard = client.all_until(&mut publisher).await;
            assert_eq!(texts(&heard), ["kept", "live"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retain_handling_says_when_retained_messages_are_sent() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "c").await;
    for qos in 0..3 {
        retain(&mut client, &format!("handled/{qos}"), "m", qos).await;
    }
    for (options, counts) in [(0, [3, 3]), (ONLY_IF_NEW, [3, 0]), (NEVER, [0, 0])] {
        for count in counts {
            client.subscribe("handled/+", 2 | options).await;
            assert_eq!(client.all().await.len(), count, "{options:#x}");
        }
        client.unsubscribe(&["handled/+"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retain_as_published_keeps_the_flag_of_the_publisher() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "c").await;
    for (options, flags) in [(0, [false, false]), (AS_PUBLISHED, [false, true])] {
        client.subscribe("flag", 2 | options | NEVER).await;
        client.say("flag", "plain", 1).await;
        retain(&mut client, "flag", "retained", 1).await;
        let heard: Vec<bool> = client.all().await.iter().map(|m| m.retain).collect();
        assert_eq!(heard, flags);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_message_expires_and_says_before_how_long_it_lives() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "c").await;
    for (topic, expiry_s) in [("short", 1), ("long", 100)] {
        let message = Message::new(topic, "m")
            .qos(1)
            .retained()
            .with(MESSAGE_EXPIRY, Value::Long(expiry_s));
        assert!(client.publish(message).await < 0x80);
    }
    pass(Duration::from_millis(2100)).await;
    assert_eq!(found(&broker, Version::V5, "short").await, []);
    let found = found(&broker, Version::V5, "long").await;
    let Some(Value::Long(left_s)) = property(&found[0].props, MESSAGE_EXPIRY) else {
        panic!("{found:?}");
    };
    assert!((90..=98).contains(left_s), "{left_s}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_message_without_an_expiry_stays_however_long_others_may_wait() {
    let broker = Broker::with(&["--mqtt-message-expiry-max", "1s"]);
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        retain(&mut client, "stays", "m", 1).await;
        client.leave().await;
    }
    pass(Duration::from_millis(2100)).await;
    for version in BOTH {
        let found = found(&broker, version, "stays").await;
        assert_eq!(texts(&found), ["m"]);
        assert!(found[0].props.is_empty(), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_messages_wait_for_a_client_that_is_away_only_if_it_had_subscribed_in_time() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "c").await;
    retain(&mut client, "before", "1", 1).await;
    let lasting = Connect::lasting(Version::V5, "away");
    let mut away = broker.open(&lasting).await;
    away.subscribe("before", 1).await;
    assert!(away.message().await.retain);
    away.leave().await;
    retain(&mut client, "before", "2", 1).await;
    let mut away = broker.open(&lasting).await;
    let heard = away.all_until(&mut client).await;
    // The new one was an ordinary message to an old subscription, and coming back is not subscribing.
    assert_eq!(texts(&heard), ["2"]);
    assert!(!heard[0].retain);
}
