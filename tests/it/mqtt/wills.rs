//! Wills: what a client has said for the case that its connection dies.

use std::time::{Duration, Instant};

use super::{
    client::{Broker, Client, lasted, pass, texts},
    wire::{
        BOTH, CONTENT_TYPE, CORRELATION_DATA, Connect, Message, PAYLOAD_FORMAT, RESPONSE_TOPIC,
        SESSION_EXPIRY, Value, Version, WILL_DELAY, disconnect, packet, pair, text,
    },
};

fn will() -> Message {
    Message::new("wills/1", "will").qos(1)
}

async fn witness(broker: &Broker, version: Version) -> Client {
    let mut witness = broker.client(version, "witness").await;
    witness.subscribe("wills/+", 2).await;
    witness
}

#[tokio::test(flavor = "multi_thread")]
async fn a_will_is_published_once_when_the_connection_is_lost() {
    let broker = Broker::start();
    for version in BOTH {
        let mut witness = witness(&broker, version).await;
        let connect = Connect::new(version, "c");
        broker.open(&connect.clone().will(will())).await.vanish();
        let heard = witness.message().await;
        assert_eq!(
            (&*heard.topic, &*heard.text(), heard.qos),
            ("wills/1", "will", 1)
        );
        // Another connection of the client's has no part in it.
        broker.open(&connect).await.vanish();
        assert_eq!(witness.all().await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_will_follows_a_good_bye() {
    let broker = Broker::start();
    for version in BOTH {
        let mut witness = witness(&broker, version).await;
        let connect = Connect::new(version, "c").will(will());
        broker.open(&connect).await.leave().await;
        assert_eq!(witness.all().await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnect_with_will_publishes_it() {
    let broker = Broker::start();
    let mut witness = witness(&broker, Version::V5).await;
    let mut client = broker
        .open(&Connect::new(Version::V5, "c").will(will()))
        .await;
    client.send(&disconnect(Version::V5, 4, &Vec::new())).await;
    assert_eq!(client.hear().await, None);
    assert_eq!(witness.message().await.text(), "will");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_breaks_the_protocol_leaves_its_will() {
    let broker = Broker::start();
    for version in BOTH {
        let mut witness = witness(&broker, version).await;
        let mut client = broker.open(&Connect::new(version, "c").will(will())).await;
        client.send(&packet(0x36, b"\0\x01a")).await;
        client.ends_with(0x81).await;
        assert_eq!(witness.message().await.text(), "will");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_will_is_kept_and_an_ordinary_one_is_not() {
    let broker = Broker::start();
    for version in BOTH {
        for retain in [false, true] {
            let mut witness = witness(&broker, version).await;
            let will = Message { retain, ..will() };
            broker
                .open(&Connect::new(version, "c").will(will))
                .await
                .vanish();
            assert!(!witness.message().await.retain);
            let mut newcomer = broker.client(version, "newcomer").await;
            newcomer.subscribe("wills/1", 1).await;
            let found = newcomer.all().await;
            assert_eq!(found.len(), usize::from(retain));
            assert!(found.iter().all(|message| message.retain));
            witness
                .publish(Message::new("wills/1", "").qos(1).retained())
                .await;
            witness.leave().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_will_has_the_qos_and_the_properties_it_was_given_in_their_order() {
    let broker = Broker::start();
    let mut witness = witness(&broker, Version::V5).await;
    let mut props = vec![
        (PAYLOAD_FORMAT, Value::Byte(1)),
        (CONTENT_TYPE, text("text/plain")),
        (RESPONSE_TOPIC, text("answers")),
        (CORRELATION_DATA, text("7")),
        pair("c", "3"),
        pair("a", "1"),
        pair("c", "2"),
    ];
    for qos in 0..3 {
        let mut will = Message {
            props: props.clone(),
            ..will().qos(qos)
        };
        will.props.push((WILL_DELAY, Value::Long(0)));
        broker
            .open(&Connect::new(Version::V5, "c").will(will))
            .await
            .vanish();
        let mut heard = witness.message().await;
        assert_eq!(heard.qos, qos);
        heard.props.sort_by_key(|(id, _)| *id);
        props.sort_by_key(|(id, _)| *id);
        assert_eq!(heard.props, props);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_will_waits_for_its_delay() {
    let broker = Broker::start();
    let mut witness = witness(&broker, Version::V5).await;
    let will = will().with(WILL_DELAY, Value::Long(2));
    // Several, so that none is in time by chance.
    let mut clients = Vec::new();
    for name in 0..12 {
        let connect = Connect::lasting(Version::V5, &name.to_string());
        clients.push(broker.open(&connect.will(will.clone())).await);
    }
    let since = Instant::now();
    clients.into_iter().for_each(Client::vanish);
    for _ in 0..12 {
        assert_eq!(witness.message().await.text(), "will");
        lasted(since, Duration::from_millis(1900), Duration::from_secs(5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_returns_within_the_delay_leaves_no_will() {
    let broker = Broker::start();
    let mut witness = witness(&broker, Version::V5).await;
    let will = will().with(WILL_DELAY, Value::Long(2));
    let lasting = Connect::lasting(Version::V5, "c");
    broker.open(&lasting.clone().will(will)).await.vanish();
    let (_client, connack) = broker.connect(&lasting).await;
    assert!(connack.present);
    pass(Duration::from_millis(3500)).await;
    assert_eq!(witness.all().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_will_comes_at_the_end_of_the_session_if_that_is_before_its_delay() {
    let broker = Broker::start();
    let mut witness = witness(&broker, Version::V5).await;
    let will = will().with(WILL_DELAY, Value::Long(3600));
    for expiry_s in [0, 1] {
        let connect = Connect::new(Version::V5, "c")
            .with(SESSION_EXPIRY, Value::Long(expiry_s))
            .will(will.clone());
        let client = broker.open(&connect).await;
        let since = Instant::now();
        client.vanish();
        assert_eq!(witness.message().await.text(), "will");
        let least = Duration::from_secs(expiry_s.into()).saturating_sub(Duration::from_millis(100));
        lasted(since, least, Duration::from_secs(5));
    }
    // A clean start ends the old session as well.
    let lasting = Connect::lasting(Version::V5, "c");
    broker.open(&lasting.will(will)).await.vanish();
    let _client = broker.client(Version::V5, "c").await;
    assert_eq!(witness.message().await.text(), "will");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_publishes_a_will_without_delay_and_keeps_back_one_with_it() {
    let broker = Broker::start();
    for version in BOTH {
        let mut witness = witness(&broker, version).await;
        let lasting = Connect::lasting(version, "c");
        let mut first = broker.open(&lasting.clone().will(will())).await;
        let second = broker.open(&lasting).await;
        first.ends_with(0x8e).await;
        assert_eq!(witness.message().await.text(), "will");
        second.leave().await;
    }
    let mut witness = witness(&broker, Version::V5).await;
    let lasting = Connect::lasting(Version::V5, "c");
    let delayed = will().with(WILL_DELAY, Value::Long(60));
    let mut first = broker.open(&lasting.clone().will(delayed)).await;
    let _second = broker.open(&lasting).await;
    first.ends_with(0x8e).await;
    assert_eq!(texts(&witness.all().await), <[&str; 0]>::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_will_of_a_lasting_session_outlives_a_kill_of_the_broker() {
    for version in BOTH {
        let mut broker = Broker::start();
        broker.absent(version, "witness", "wills/+").await;
        let lasting = Connect::lasting(version, "c");
        let mut client = broker.open(&lasting.will(will())).await;
        // Something that makes the session worth keeping.
        client.subscribe("something", 1).await;
        broker.kill_and_restart();
        let mut witness = broker.open(&Connect::lasting(version, "witness")).await;
        assert_eq!(witness.message().await.text(), "will");
    }
}
