//! What outlives the broker's process, after `kill -9` and after an orderly stop: retained messages, sessions with
//! their subscriptions, and what waits in their queues.

use std::time::Duration;

use super::{
    client::{Broker, pass, texts},
    wire::{
        BOTH, Connect, MESSAGE_EXPIRY, Message, SESSION_EXPIRY, SUBSCRIPTION_ID, Value, Version,
        pair, property,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn retained_messages_outlive_a_kill_and_a_cleared_topic_stays_clear() {
    let mut broker = Broker::start();
    let mut client = broker.client(Version::V5, "c").await;
    for (topic, payload) in [("r/1", "old"), ("r/2", "gone"), ("r/1", "new"), ("r/2", "")] {
        let message = Message {
            props: vec![pair("k", "v")],
            ..Message::new(topic, payload).qos(1).retained()
        };
        assert!(client.publish(message).await < 0x80);
    }
    for _ in 0..2 {
        broker.kill_and_restart();
        for version in BOTH {
            let mut newcomer = broker.client(version, "newcomer").await;
            newcomer.subscribe("r/#", 2).await;
            let found = newcomer.all().await;
            assert_eq!(texts(&found), ["new"]);
            assert_eq!((found[0].qos, found[0].retain), (1, true));
            if version == Version::V5 {
                assert_eq!(found[0].props, [pair("k", "v")]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queued_messages_and_subscriptions_outlive_a_kill() {
    let mut broker = Broker::start();
    for version in BOTH {
        broker.absent(version, "away", "q/#").await;
        let mut publisher = broker.client(version, "publisher").await;
        let sent: Vec<_> = (0..20).map(|number| number.to_string()).collect();
        for payload in &sent {
            publisher.say("q/1", payload, 1).await;
        }
        publisher.say("q/2", "exactly", 2).await;
        broker.kill_and_restart();
        let (mut client, connack) = broker.connect(&Connect::lasting(version, "away")).await;
        assert!(connack.present);
        let mut heard = Vec::new();
        for _ in 0..21 {
            heard.push(client.message().await);
        }
        assert_eq!(texts(&heard)[..20], sent);
        assert_eq!((heard[20].text(), heard[20].qos), ("exactly".to_owned(), 2));
        client.say("q/3", "the subscription lives", 1).await;
        assert_eq!(client.message().await.text(), "the subscription lives");
        client.leave().await;
        broker.client(version, "away").await.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queued_messages_outlive_an_orderly_restart_and_acknowledged_ones_do_not_return() {
    let mut broker = Broker::start();
    for version in BOTH {
        let lasting = Connect::lasting(version, "away");
        let mut client = broker.open(&lasting).await;
        client.subscribe("q", 2).await;
        client.say("q", "done", 1).await;
        client.say("q", "done", 2).await;
        assert_eq!(texts(&client.all().await), ["done", "done"]);
        client.leave().await;
        let mut publisher = broker.client(version, "publisher").await;
        publisher.say("q", "waits", 1).await;
        broker.stop();
        broker.start_again();
        let (mut client, connack) = broker.connect(&lasting).await;
        assert!(connack.present);
        assert_eq!(texts(&client.all().await), ["waits"]);
        client.leave().await;
        broker.client(version, "away").await.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unacknowledged_messages_come_again_after_a_kill_with_their_ids() {
    for version in BOTH {
        let mut broker = Broker::start();
        let lasting = Connect::lasting(version, "c");
        let mut client = broker.open(&lasting).await;
        client.subscribe("q", 2).await;
        client.say("q", "1", 1).await;
        client.say("q", "2", 2).await;
        let first = [client.arriving().await, client.arriving().await];
        broker.kill_and_restart();
        let (mut client, connack) = broker.connect(&lasting).await;
        assert!(connack.present);
        for message in first {
            let again = client.arriving().await;
            // Whether it had been sent may be forgotten with the process; its identifier may not.
            assert_eq!((again.id, again.text()), (message.id, message.text()));
            client.accept(&again).await;
        }
        assert_eq!(client.all().await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_before_a_kill_does_not_return_after_it() {
    let mut broker = Broker::start();
    for version in BOTH {
        for name in ["cleaned", "unsubscribed"] {
            broker.absent(version, name, "q").await;
        }
        broker.client(version, "cleaned").await.leave().await;
        let mut client = broker
            .open(&Connect::lasting(version, "unsubscribed"))
            .await;
        client.unsubscribe(&["q"]).await;
        client.leave().await;
        // A session that is not to outlive its connection does not outlive the process.
        let mut fleeting = broker.client(version, "fleeting").await;
        fleeting.subscribe("q", 1).await;
        broker.kill_and_restart();
        let mut publisher = broker.client(version, "publisher").await;
        publisher.say("q", "for nobody", 1).await;
        for (name, found) in [
            ("cleaned", false),
            ("fleeting", false),
            ("unsubscribed", true),
        ] {
            let (mut client, connack) = broker.connect(&Connect::lasting(version, name)).await;
            assert_eq!(connack.present, found, "{name}");
            assert_eq!(client.all().await, []);
            client.leave().await;
            broker.client(version, name).await.leave().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_and_messages_expire_while_the_broker_is_down() {
    let mut broker = Broker::start();
    let connect = |name, expiry_s| Connect {
        clean: false,
        ..Connect::new(Version::V5, name).with(SESSION_EXPIRY, Value::Long(expiry_s))
    };
    for (name, expiry_s) in [("short", 1), ("long", 600)] {
        let mut client = broker.open(&connect(name, expiry_s)).await;
        client.subscribe("q", 1).await;
        client.leave().await;
    }
    let mut publisher = broker.client(Version::V5, "publisher").await;
    for (payload, expiry_s) in [("expires", 1), ("stays", 600)] {
        let message = Message::new("q", payload)
            .qos(1)
            .with(MESSAGE_EXPIRY, Value::Long(expiry_s));
        assert!(publisher.publish(message).await < 0x80);
    }
    broker.kill();
    pass(Duration::from_secs(3)).await;
    broker.start_again();
    let (_client, connack) = broker.connect(&connect("short", 1)).await;
    assert!(!connack.present);
    let (mut client, connack) = broker.connect(&connect("long", 600)).await;
    assert!(connack.present);
    let heard = client.all().await;
    assert_eq!(texts(&heard), ["stays"]);
    let left = property(&heard[0].props, MESSAGE_EXPIRY);
    assert!(matches!(left, Some(Value::Long(560..=597))), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_details_of_a_subscription_outlive_a_kill() {
    const NO_LOCAL: u8 = 0x04;
    const AS_PUBLISHED: u8 = 0x08;
    let mut broker = Broker::start();
    let lasting = Connect::lasting(Version::V5, "c");
    let mut client = broker.open(&lasting).await;
    let props = vec![(SUBSCRIPTION_ID, Value::Variable(7))];
    client
        .subscribe_all(&[("q", 1 | NO_LOCAL | AS_PUBLISHED)], &props)
        .await;
    broker.kill_and_restart();
    let mut client = broker.open(&lasting).await;
    client.say("q", "own", 2).await;
    let mut publisher = broker.client(Version::V5, "publisher").await;
    publisher
        .publish(Message::new("q", "other").qos(2).retained())
        .await;
    let heard = client.all_until(&mut publisher).await;
    assert_eq!(texts(&heard), ["other"]);
    assert_eq!((heard[0].qos, heard[0].retain), (1, true));
    let id = property(&heard[0].props, SUBSCRIPTION_ID);
    assert_eq!(id, Some(&Value::Variable(7)));
}
