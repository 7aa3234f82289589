//! Shared subscriptions: a group of clients that share the messages of a filter.

use std::collections::BTreeSet;

use super::{
    client::{Broker, texts},
    wire::{Connect, Message, PUBACK, PUBREC, SESSION_EXPIRY, Value, Version, ack, packet, string},
};

const NO_LOCAL: u8 = 0x04;

#[tokio::test(flavor = "multi_thread")]
async fn each_message_goes_to_one_member_of_a_group() {
    let broker = Broker::start();
    let mut publisher = broker.client(Version::V5, "publisher").await;
    let mut members = Vec::new();
    // MQTT 3.1.1 knows nothing of it, but may use it.
    for (version, name) in [(Version::V5, "a"), (Version::V5, "b"), (Version::V3, "c")] {
        let mut member = broker.client(version, name).await;
        assert_eq!(member.subscribe("$share/g/work/+", 1).await, 1);
        members.push(member);
    }
    let sent: BTreeSet<_> = (0..60).map(|number| format!("{number:02}")).collect();
    for payload in &sent {
        publisher.say("work/1", payload, 1).await;
    }
    let mut heard = Vec::new();
    for member in &mut members {
        let share = texts(&member.all_until(&mut publisher).await);
        assert!(
            share.is_sorted(),
            "a member hears in the order of publishing"
        );
        assert!(!share.is_empty(), "the work is shared");
        heard.extend(share);
    }
    heard.sort();
    assert_eq!(heard, sent.into_iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_group_and_every_ordinary_subscriber_hears_each_message() {
    let broker = Broker::start();
    let mut publisher = broker.client(Version::V5, "publisher").await;
    let mut client = broker.client(Version::V5, "c").await;
    for filter in ["$share/one/a/#", "$share/two/a/#", "a/b"] {
        assert_eq!(client.subscribe(filter, 1).await, 1);
    }
    publisher.say("a/b", "m", 1).await;
    let heard = client.all_until(&mut publisher).await;
    assert_eq!(texts(&heard), ["m", "m", "m"]);
    assert!(heard.iter().all(|message| message.topic == "a/b"));
    let codes = client
        .unsubscribe(&["a/#", "$share/one/a/#", "$share/none/a/#"])
        .await;
    assert_eq!(codes, [0x11, 0, 0x11]);
    publisher.say("a/b", "m", 1).await;
    assert_eq!(client.all_until(&mut publisher).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_respects_the_qos_of_each_member() {
    let broker = Broker::start();
    let mut publisher = broker.client(Version::V5, "publisher").await;
    for granted in 0..3 {
        let mut member = broker.client(Version::V5, "member").await;
        member.subscribe("$share/g/a", granted).await;
        publisher.say("a", "m", 2).await;
        assert_eq!(member.message().await.qos, granted);
        member.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_leaves_leaves_its_share_to_the_others() {
    let broker = Broker::start();
    let mut publisher = broker.client(Version::V5, "publisher").await;
    let mut stays = broker.client(Version::V5, "stays").await;
    stays.subscribe("$share/g/a", 1).await;
    let mut leaves = broker.client(Version::V5, "leaves").await;
    leaves.subscribe("$share/g/a", 1).await;
    leaves.unsubscribe(&["$share/g/a"]).await;
    let mut dies = broker.client(Version::V5, "dies").await;
    dies.subscribe("$share/g/a", 1).await;
    dies.leave().await;
    for number in 0..10 {
        publisher.say("a", &number.to_string(), 1).await;
    }
    assert_eq!(stays.all_until(&mut publisher).await.len(), 10);
    assert_eq!(leaves.all_until(&mut publisher).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_local_on_a_shared_subscription_is_a_protocol_error() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "c").await;
    let mut body = vec![0, 1, 0];
    string(&mut body, b"$share/g/a");
    body.push(1 | NO_LOCAL);
    client.send(&packet(0x82, &body)).await;
    client.ends_with(0x82).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_name_is_one_plain_level_before_a_filter() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "c").await;
    for filter in [
        "$share/",
        "$share//a",
        "$share/g",
        "$share/g/",
        "$share/g+/a",
        "$share/+/a",
        "$share/#/a",
        "$share/g#/a",
        "$share/g/a#",
    ] {
        assert_eq!(client.subscribe(filter, 1).await, 0x8f, "{filter}");
    }
    assert_eq!(client.subscribe("$share/g//a", 1).await, 1);
    client.say("/a", "m", 1).await;
    assert_eq!(texts(&client.all().await), ["m"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_messages_are_not_sent_to_a_shared_subscription() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "c").await;
    client
        .publish(Message::new("a", "kept").qos(1).retained())
        .await;
    client.subscribe("$share/g/a", 1).await;
    assert_eq!(client.all().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qos_2_message_begun_with_a_member_is_completed_with_that_member() {
    let broker = Broker::start();
    let mut publisher = broker.client(Version::V5, "publisher").await;
    let lasting = Connect::lasting(Version::V5, "first");
    let mut first = broker.open(&lasting).await;
    first.subscribe("$share/g/a", 2).await;
    publisher.say("a", "begun", 2).await;
    let begun = first.arriving().await;
    let mut second = broker.client(Version::V5, "second").await;
    second.subscribe("$share/g/a", 2).await;
    first.vanish();
    let mut first = broker.open(&lasting).await;
    assert_eq!(first.arriving().await, begun.clone().again());
    first.accept(&begun).await;
    assert_eq!(second.all_until(&mut publisher).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_begun_qos_2_message_ends_with_the_session_of_its_member() {
    let broker = Broker::start();
    let mut publisher = broker.client(Version::V5, "publisher").await;
    let connect = Connect::new(Version::V5, "first").with(SESSION_EXPIRY, Value::Long(600));
    let mut first = broker.open(&connect).await;
    first.subscribe("$share/g/a", 2).await;
    publisher.say("a", "begun", 2).await;
    first.arriving().await;
    let mut second = broker.client(Version::V5, "second").await;
    second.subscribe("$share/g/a", 2).await;
    first.vanish();
    // A clean start ends the session that the message was begun with.
    broker.client(Version::V5, "first").await.leave().await;
    assert_eq!(second.all_until(&mut publisher).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_a_member_refuses_goes_to_nobody_else() {
    let broker = Broker::start();
    let mut publisher = broker.client(Version::V5, "publisher").await;
    let mut first = broker.client(Version::V5, "first").await;
    first.subscribe("$share/g/a", 2).await;
    for (qos, kind) in [(1, PUBACK), (2, PUBREC)] {
        publisher.say("a", "refused", qos).await;
        let message = first.arriving().await;
        let mut second = broker.client(Version::V5, "second").await;
        second.subscribe("$share/g/a", 2).await;
        first.send(&ack(kind, message.id, 0x83)).await;
        first.ping().await;
        assert_eq!(second.all_until(&mut publisher).await, []);
        second.leave().await;
    }
    assert_eq!(first.all_until(&mut publisher).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_members_are_away_keeps_its_messages_for_them() {
    let broker = Broker::start();
    broker.absent(Version::V5, "away", "$share/g/a").await;
    let mut publisher = broker.client(Version::V5, "publisher").await;
    publisher.say("a", "waits", 1).await;
    let mut client = broker.open(&Connect::lasting(Version::V5, "away")).await;
    assert_eq!(client.message().await.text(), "waits");
}
