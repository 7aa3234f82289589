//! Flow control: receive maximum, packet sizes and topic aliases, each in both directions.

use std::collections::HashMap;

use super::{
    client::{Broker, texts},
    wire::{
        ALIAS_MAX, Connect, Message, PACKET_MAX, PUBREC, RECEIVE_MAX, TOPIC_ALIAS, Value, Version,
        pair, property,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_sends_no_more_than_the_clients_receive_maximum() {
    let broker = Broker::start();
    for qos in [1, 2] {
        let connect = Connect::new(Version::V5, "c").with(RECEIVE_MAX, Value::Short(2));
        let mut client = broker.open(&connect).await;
        client.subscribe("a", 2).await;
        let mut publisher = broker.client(Version::V5, "publisher").await;
        for number in 1..=6 {
            publisher.say("a", &number.to_string(), qos).await;
        }
        let mut open = vec![client.arriving().await, client.arriving().await];
        for number in 3..=6 {
            // Nothing more comes before room is made; all else is answered meanwhile.
            client.ping().await;
            assert_eq!(client.subscribe("other", 1).await, 1);
            client.accept(&open.remove(0)).await;
            open.push(client.arriving().await);
            assert_eq!(open[1].text(), number.to_string());
        }
        client.accept(&open[0]).await;
        client.accept(&open[1]).await;
        client.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn qos_0_is_not_held_back_by_a_full_window() {
    let broker = Broker::start();
    let connect = Connect::new(Version::V5, "c").with(RECEIVE_MAX, Value::Short(1));
    let mut client = broker.open(&connect).await;
    client.subscribe("a/+", 1).await;
    client.say("a/1", "1", 1).await;
    let first = client.arriving().await;
    client.say("a/0", "fleeting", 0).await;
    assert_eq!(client.arriving().await.text(), "fleeting");
    client.accept(&first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pubrec_that_refuses_makes_room_and_one_that_accepts_does_not() {
    let broker = Broker::start();
    let connect = Connect::new(Version::V5, "c").with(RECEIVE_MAX, Value::Short(1));
    let mut client = broker.open(&connect).await;
    client.subscribe("a", 2).await;
    for payload in ["1", "2", "3"] {
        client.say("a", payload, 2).await;
    }
    let first = client.arriving().await;
    client.send(&super::wire::ack(PUBREC, first.id, 0x80)).await;
    let second = client.arriving().await;
    assert_eq!(second.text(), "2");
    client.received(second.id).await;
    client.ping().await;
    client
        .send(&super::wire::ack(super::wire::PUBCOMP, second.id, 0))
        .await;
    assert_eq!(client.message().await.text(), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_beyond_the_brokers_receive_maximum_is_told_0x93() {
    let broker = Broker::with(&["--mqtt-receive-max", "3"]);
    let (mut client, connack) = broker.connect(&Connect::new(Version::V5, "c")).await;
    let receive_max = property(&connack.props, RECEIVE_MAX);
    assert_eq!(receive_max, Some(&Value::Short(3)));
    for id in 1..=3 {
        let message = Message::new("a", "m").qos(2).id(id);
        client.send(&message.bytes(Version::V5)).await;
        assert_eq!(client.acknowledgement().await.id, id);
    }
    // A release makes room for one.
    client.release(1).await;
    let message = Message::new("a", "m").qos(2);
    client.send(&message.clone().id(1).bytes(Version::V5)).await;
    assert_eq!(client.acknowledgement().await.id, 1);
    client.send(&message.id(4).bytes(Version::V5)).await;
    client.ends_with(0x93).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_larger_than_the_client_takes_is_left_out_and_the_rest_flows() {
    let broker = Broker::start();
    let connect = Connect::new(Version::V5, "c")
        .with(PACKET_MAX, Value::Long(100))
        .with(RECEIVE_MAX, Value::Short(1));
    let mut client = broker.open(&connect).await;
    client.subscribe("a", 2).await;
    let mut publisher = broker.client(Version::V5, "publisher").await;
    // 2 bytes of header, 3 of topic, 2 of packet id unless QoS is 0, 1 of properties: 92 bytes fit, 93 do not.
    for (length, qos) in [(93, 1), (92, 1), (500, 2), (92, 2), (95, 0), (10, 0)] {
        let message = Message::new("a", vec![b'x'; length]).qos(qos);
        assert!(publisher.publish(message).await < 0x80);
    }
    let lengths: Vec<_> = (client.all_until(&mut publisher).await.iter())
        .map(|message| message.payload.len())
        .collect();
    assert_eq!(lengths, [92, 92, 10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_larger_than_the_broker_takes_ends_the_connection_with_0x95() {
    let broker = Broker::with(&["--mqtt-packet-bytes-max", "1KiB"]);
    let (mut client, connack) = broker.connect(&Connect::new(Version::V5, "c")).await;
    let packet_max = property(&connack.props, PACKET_MAX);
    assert_eq!(packet_max, Some(&Value::Long(1024)));
    // 3 bytes of header, 3 of topic, 2 of packet id, 1 of properties.
    let fits = Message::new("a", vec![0; 1024 - 9]).qos(1).id(1);
    assert_eq!(fits.bytes(Version::V5).len(), 1024);
    client.send(&fits.bytes(Version::V5)).await;
    assert!(client.acknowledgement().await.code < 0x80);
    let too_large = Message::new("a", vec![0; 1024 - 8]).qos(1).id(2);
    client.send(&too_large.bytes(Version::V5)).await;
    client.ends_with(0x95).await;
    let mut old = broker.client(Version::V3, "old").await;
    old.send(&Message::new("a", vec![0; 1024]).bytes(Version::V3))
        .await;
    assert_eq!(old.end().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aliases_of_a_client_are_resolved_replaced_and_end_with_the_connection() {
    let broker = Broker::with(&["--mqtt-topic-alias-max", "2"]);
    let lasting = Connect::lasting(Version::V5, "c");
    let mut client = broker.open(&lasting).await;
    client.subscribe("a/+", 1).await;
    let alias = |topic, payload, alias| {
        Message::new(topic, payload)
            .qos(1)
            .with(TOPIC_ALIAS, Value::Short(alias))
    };
    for message in [
        alias("a/1", "1", 1),
        alias("a/2", "2", 2),
        alias("", "1 again", 1),
        alias("", "2 again", 2),
        alias("a/3", "3", 1),
        alias("", "3 again", 1),
    ] {
        assert!(client.publish(message).await < 0x80);
    }
    let heard: Vec<_> = (client.all().await.into_iter())
        .map(|message| (message.topic.clone(), message.text()))
        .collect();
    let expected = [
        ("a/1", "1"),
        ("a/2", "2"),
        ("a/1", "1 again"),
        ("a/2", "2 again"),
        ("a/3", "3"),
        ("a/3", "3 again"),
    ];
    assert_eq!(
        heard,
        expected.map(|(topic, text)| (topic.to_owned(), text.to_owned()))
    );
    client.leave().await;
    let mut client = broker.open(&lasting).await;
    client
        .send(
            &alias("", "of the old connection", 1)
                .id(1)
                .bytes(Version::V5),
        )
        .await;
    client.ends_with(0x82).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_of_zero_or_beyond_the_maximum_ends_the_connection_with_0x94() {
    let broker = Broker::with(&["--mqtt-topic-alias-max", "2"]);
    for alias in [0, 3, u16::MAX] {
        let mut client = broker.client(Version::V5, "c").await;
        let message = Message::new("a", "m").with(TOPIC_ALIAS, Value::Short(alias));
        client.send(&message.bytes(Version::V5)).await;
        client.ends_with(0x94).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_uses_aliases_only_as_the_client_allows() {
    let broker = Broker::start();
    for alias_max in [0, 1, 2, 10] {
        let mut connect = Connect::new(Version::V5, "c");
        if alias_max > 0 {
            connect = connect.with(ALIAS_MAX, Value::Short(alias_max));
        }
        let mut client = broker.open(&connect).await;
        client.subscribe("a/+", 1).await;
        let mut publisher = broker.client(Version::V5, "publisher").await;
        let mut known = HashMap::new();
        for topic in ["a/1", "a/1", "a/2", "a/3", "a/1", "a/3", "a/2", "a/2"] {
            // The property of the publisher's own hop is not passed on.
            let message = Message::new(topic, topic)
                .qos(1)
                .with(TOPIC_ALIAS, Value::Short(7));
            assert!(publisher.publish(message).await < 0x80);
            let heard = client.message().await;
            let text = heard.text();
            match property(&heard.props, TOPIC_ALIAS) {
                None => assert_eq!(heard.topic, text),
                Some(Value::Short(alias)) => {
                    assert!((1..=alias_max).contains(alias), "{alias} of {alias_max}");
                    let named = (!heard.topic.is_empty()).then_some(heard.topic);
                    known.extend(named.map(|topic| (*alias, topic)));
                    assert_eq!(known.get(alias), Some(&text));
                }
                other => panic!("{other:?}"),
            }
        }
        client.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_is_sent_its_queue_in_order_as_it_makes_room() {
    let broker = Broker::start();
    broker.absent(Version::V5, "slow", "a").await;
    let mut publisher = broker.client(Version::V5, "publisher").await;
    let sent: Vec<_> = (0..30).map(|number| number.to_string()).collect();
    for payload in &sent {
        let message = Message::new("a", payload).qos(1);
        let mut message = message;
        message.props.push(pair("n", payload));
        assert!(publisher.publish(message).await < 0x80);
    }
    let connect = Connect::lasting(Version::V5, "slow").with(RECEIVE_MAX, Value::Short(3));
    let mut client = broker.open(&connect).await;
    let mut heard = Vec::new();
    for _ in 0..30 {
        heard.push(client.message().await);
    }
    assert_eq!(texts(&heard), sent);
}
