//! Exactly once: the four steps in both directions, broken off at each of them, by a lost connection and by `kill -9`.

use super::{
    client::{Broker, Client, texts},
    heard::Heard,
    wire::{BOTH, Connect, Message, PUBCOMP, PUBREC, PUBREL, Version, ack},
};

/// Publishes at `QoS` 2 up to PUBREC.
async fn begin(client: &mut Client, message: Message) {
    client.send(&message.bytes(client.version)).await;
    let received = client.acknowledgement().await;
    assert_eq!((received.first, received.id), (PUBREC, message.id));
    assert!(received.code < 0x80);
}

fn message() -> Message {
    Message::new("once", "m").qos(2).id(11)
}

async fn hears_once(subscriber: &mut Client) {
    let heard = subscriber.all().await;
    assert_eq!(texts(&heard), ["m"]);
}

async fn subscriber(broker: &Broker, version: Version) -> Client {
    let mut subscriber = broker.client(version, "subscriber").await;
    subscriber.subscribe("once", 2).await;
    subscriber
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_once_takes_four_steps_in_both_directions() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = subscriber(&broker, version).await;
        begin(&mut client, message()).await;
        assert_eq!(client.release(11).await, 0);
        let heard = client.arriving().await;
        assert_eq!((heard.qos, heard.dup), (2, false));
        client.received(heard.id).await;
        client.send(&ack(PUBCOMP, heard.id, 0)).await;
        assert_eq!(client.all().await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_repeated_before_its_release_is_heard_once_and_after_it_again() {
    let broker = Broker::start();
    for version in BOTH {
        let mut witness = subscriber(&broker, version).await;
        let mut client = broker.client(version, "c").await;
        begin(&mut client, message()).await;
        begin(&mut client, message().again()).await;
        begin(&mut client, message()).await;
        assert_eq!(client.release(11).await, 0);
        hears_once(&mut witness).await;
        begin(&mut client, message()).await;
        assert_eq!(client.release(11).await, 0);
        hears_once(&mut witness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_comes_back_after_pubrec_publishes_once() {
    let broker = Broker::start();
    for version in BOTH {
        let mut witness = subscriber(&broker, version).await;
        let lasting = Connect::lasting(version, "c");
        let mut client = broker.open(&lasting).await;
        begin(&mut client, message()).await;
        client.vanish();
        let (mut client, connack) = broker.connect(&lasting).await;
        assert!(connack.present);
        // It may not have heard the PUBREC.
        begin(&mut client, message().again()).await;
        assert_eq!(client.release(11).await, 0);
        hears_once(&mut witness).await;
        client.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_answered_after_a_reconnect_and_a_second_time() {
    let broker = Broker::start();
    for version in BOTH {
        let mut witness = subscriber(&broker, version).await;
        let lasting = Connect::lasting(version, "c");
        let mut client = broker.open(&lasting).await;
        begin(&mut client, message()).await;
        client.vanish();
        let mut client = broker.open(&lasting).await;
        assert_eq!(client.release(11).await, 0);
        client.vanish();
        let mut client = broker.open(&lasting).await;
        let code = client.release(11).await;
        assert!(version == Version::V3 || code == 0x92 || code == 0);
        hears_once(&mut witness).await;
        client.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_start_forgets_what_was_received_but_not_what_was_published() {
    let broker = Broker::start();
    for version in BOTH {
        let mut witness = subscriber(&broker, version).await;
        let mut client = broker.open(&Connect::lasting(version, "c")).await;
        begin(&mut client, message()).await;
        let mut client = broker.client(version, "c").await;
        begin(&mut client, message()).await;
        assert_eq!(client.release(11).await, 0);
        let heard = texts(&witness.all().await);
        assert!((1..=2).contains(&heard.len()), "{heard:?}");
        // The first one was the broker's since its PUBREC.
        assert_eq!(heard.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_pubrec_the_message_comes_again_and_after_it_only_its_release() {
    let broker = Broker::start();
    for version in BOTH {
        let lasting = Connect::lasting(version, "c");
        let mut client = broker.open(&lasting).await;
        client.subscribe("once", 2).await;
        begin(&mut client, message()).await;
        client.release(11).await;
        let first = client.arriving().await;
        client.vanish();
        let mut client = broker.open(&lasting).await;
        assert_eq!(client.arriving().await, first.clone().again());
        client.received(first.id).await;
        client.vanish();
        let mut client = broker.open(&lasting).await;
        released(&mut client, first.id).await;
        client.send(&ack(PUBCOMP, first.id, 0)).await;
        assert_eq!(client.all().await, []);
        client.vanish();
        let mut client = broker.open(&lasting).await;
        assert_eq!(client.all().await, []);
        client.leave().await;
    }
}

/// The broker's PUBREL comes by itself.
async fn released(client: &mut Client, id: u16) {
    match client.hear().await {
        Some(Heard::Ack(release)) => assert_eq!((release.first, release.id), (PUBREL, id)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pubrec_that_comes_twice_is_answered_twice() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = subscriber(&broker, version).await;
        client.say("once", "m", 2).await;
        let heard = client.arriving().await;
        client.received(heard.id).await;
        client.received(heard.id).await;
        client.send(&ack(PUBCOMP, heard.id, 0)).await;
        assert_eq!(client.all().await, []);
        client.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pubrec_that_comes_twice_in_one_breath_is_answered_as_known() {
    let broker = Broker::start();
    let mut client = broker.open(&Connect::lasting(Version::V5, "c")).await;
    client.subscribe("once", 2).await;
    client.say("once", "m", 2).await;
    let heard = client.arriving().await;
    let twice = ack(PUBREC, heard.id, 0).repeat(2);
    client.send(&twice).await;
    let release = client.acknowledgement().await;
    assert_eq!(
        (release.first, release.id, release.code),
        (PUBREL, heard.id, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_received_before_a_kill_is_delivered_once_after_it() {
    for version in BOTH {
        let mut broker = Broker::start();
        broker.absent(version, "subscriber", "once").await;
        let lasting = Connect::lasting(version, "c");
        let mut client = broker.open(&lasting).await;
        begin(&mut client, message()).await;
        broker.kill_and_restart();
        let (mut client, connack) = broker.connect(&lasting).await;
        assert!(connack.present, "the session of the publisher");
        begin(&mut client, message().again()).await;
        assert_eq!(client.release(11).await, 0);
        let (mut subscriber, connack) = broker
            .connect(&Connect::lasting(version, "subscriber"))
            .await;
        assert!(connack.present, "the session of the subscriber");
        assert_eq!(texts(&subscriber.all().await), ["m"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_answered_after_a_kill() {
    let mut broker = Broker::start();
    broker.absent(Version::V5, "subscriber", "once").await;
    let lasting = Connect::lasting(Version::V5, "c");
    let mut client = broker.open(&lasting).await;
    begin(&mut client, message()).await;
    broker.kill_and_restart();
    let mut client = broker.open(&lasting).await;
    assert_eq!(client.release(11).await, 0);
    let mut subscriber = broker
        .open(&Connect::lasting(Version::V5, "subscriber"))
        .await;
    assert_eq!(texts(&subscriber.all().await), ["m"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_sent_pubrec_before_a_kill_is_sent_the_release_after_it() {
    for version in BOTH {
        let mut broker = Broker::start();
        let lasting = Connect::lasting(version, "c");
        let mut client = broker.open(&lasting).await;
        client.subscribe("once", 2).await;
        client.say("once", "received", 2).await;
        client.say("once", "sent", 2).await;
        let received = client.arriving().await;
        let sent = client.arriving().await;
        client.received(received.id).await;
        broker.kill_and_restart();
        let (mut client, connack) = broker.connect(&lasting).await;
        assert!(connack.present);
        // A message that this client has received must not come again, whatever happened to the broker.
        let mut release_seen = false;
        let mut again = None;
        while !release_seen || again.is_none() {
            match client.hear().await {
                Some(Heard::Ack(release)) => {
                    assert_eq!((release.first, release.id), (PUBREL, received.id));
                    client.send(&ack(PUBCOMP, received.id, 0)).await;
                    release_seen = true;
                }
                Some(Heard::Message(message)) => again = Some(message),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(again, Some(sent.clone().again()));
        client.accept(&sent).await;
        assert_eq!(client.all().await, []);
    }
}
