//! What MQTT 5 sends along with a message: properties, expiry, identifiers, requests and responses, reasons.

use std::time::Duration;

use super::{
    client::{Broker, pass, texts},
    heard::Heard,
    wire::{
        BOTH, CONTENT_TYPE, CORRELATION_DATA, Connect, MESSAGE_EXPIRY, Message, PAYLOAD_FORMAT,
        Props, REASON_STRING, REQUEST_PROBLEM, RESPONSE_TOPIC, SUBSCRIPTION_ID, USER, Value,
        Version, pair, property, text,
    },
};

/// Every property that travels with a message, sorted by kind; user properties keep their order.
fn travelling() -> Props {
    vec![
        (PAYLOAD_FORMAT, Value::Byte(1)),
        (CONTENT_TYPE, text("application/json; 市")),
        (RESPONSE_TOPIC, text("answers/here")),
        (CORRELATION_DATA, Value::Bytes(vec![0, 0xff, 7])),
        pair("c", "3"),
        pair("a", "1"),
        pair("c", "2"),
        pair("", ""),
    ]
}

fn sorted(mut props: Props) -> Props {
    props.sort_by_key(|(id, _)| *id);
    props
}

#[tokio::test(flavor = "multi_thread")]
async fn properties_reach_the_subscriber_unaltered_and_in_their_order() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "c").await;
    client.subscribe("a", 2).await;
    for qos in 0..3 {
        let message = Message {
            props: travelling(),
            ..Message::new("a", "{}").qos(qos)
        };
        assert!(client.publish(message).await < 0x80);
        assert_eq!(sorted(client.message().await.props), sorted(travelling()));
    }
    // What was not given does not appear.
    client.say("a", "{}", 1).await;
    let bare = client.message().await.props;
    assert!(
        matches!(&*bare, [] | [(PAYLOAD_FORMAT, Value::Byte(0))]),
        "{bare:?}"
    );
    let unformatted = Message::new("a", [0xff]).with(PAYLOAD_FORMAT, Value::Byte(0));
    client.publish(unformatted).await;
    let props = client.message().await.props;
    assert!(
        matches!(&*props, [] | [(PAYLOAD_FORMAT, Value::Byte(0))]),
        "{props:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn properties_outlast_the_queue_of_a_client_that_is_away() {
    let broker = Broker::start();
    broker.absent(Version::V5, "away", "a").await;
    let mut publisher = broker.client(Version::V5, "publisher").await;
    for qos in [1, 2] {
        let message = Message {
            props: travelling(),
            ..Message::new("a", "{}").qos(qos)
        };
        assert!(publisher.publish(message).await < 0x80);
    }
    let mut client = broker.open(&Connect::lasting(Version::V5, "away")).await;
    for _ in 0..2 {
        assert_eq!(sorted(client.message().await.props), sorted(travelling()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_versions_hear_each_other_without_what_3_1_1_has_not() {
    let broker = Broker::start();
    let mut old = broker.client(Version::V3, "old").await;
    old.subscribe("a", 2).await;
    let mut new = broker.client(Version::V5, "new").await;
    new.subscribe("a", 2).await;
    let message = Message {
        props: travelling(),
        ..Message::new("a", "from the new").qos(2)
    };
    new.publish(message).await;
    assert_eq!(old.message().await.text(), "from the new");
    assert_eq!(new.message().await.props.len(), travelling().len());
    old.say("a", "from the old", 2).await;
    let heard = new.message().await;
    assert_eq!(heard.text(), "from the old");
    assert!(property(&heard.props, USER).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_finds_its_response() {
    let broker = Broker::start();
    let mut server = broker.client(Version::V5, "server").await;
    server.subscribe("requests/+", 1).await;
    let mut asker = broker.client(Version::V5, "asker").await;
    asker.subscribe("responses/asker", 1).await;
    for number in 0..3_u8 {
        let correlation = Value::Bytes(vec![number, 0]);
        let request = Message::new("requests/double", number.to_string())
            .qos(1)
            .with(RESPONSE_TOPIC, text("responses/asker"))
            .with(CORRELATION_DATA, correlation.clone());
        asker.publish(request).await;
        let request = server.message().await;
        let Some(Value::Bytes(topic)) = property(&request.props, RESPONSE_TOPIC) else {
            panic!("{request:?}");
        };
        let double = request.text().parse::<u8>().unwrap() * 2;
        let token = property(&request.props, CORRELATION_DATA).unwrap().clone();
        let topic = String::from_utf8(topic.clone()).unwrap();
        let response = Message::new(&topic, double.to_string())
            .qos(1)
            .with(CORRELATION_DATA, token);
        server.publish(response).await;
        let response = asker.message().await;
        assert_eq!(response.text(), (number * 2).to_string());
        let token = property(&response.props, CORRELATION_DATA);
        assert_eq!(token, Some(&correlation));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_expires_for_a_client_that_is_away_and_another_says_what_is_left() {
    let broker = Broker::start();
    for version in BOTH {
        broker.absent(version, "away", "a").await;
        let mut publisher = broker.client(Version::V5, "publisher").await;
        for (payload, qos, expiry_s) in [
            ("short", 1, 1),
            ("short", 2, 1),
            ("long", 1, 30),
            ("long", 2, 30),
        ] {
            let message = Message::new("a", payload)
                .qos(qos)
                .with(MESSAGE_EXPIRY, Value::Long(expiry_s));
            assert!(publisher.publish(message).await < 0x80);
        }
        pass(Duration::from_millis(2200)).await;
        let mut client = broker.open(&Connect::lasting(version, "away")).await;
        let heard = client.all_until(&mut publisher).await;
        assert_eq!(texts(&heard), ["long", "long"]);
        for message in heard.iter().filter(|_| version == Version::V5) {
            let left = property(&message.props, MESSAGE_EXPIRY);
            assert!(matches!(left, Some(Value::Long(20..=28))), "{left:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_an_expiry_waits_as_long_as_the_broker_keeps_it_and_says_nothing_of_it() {
    let broker = Broker::with(&["--mqtt-message-expiry-max", "2s"]);
    for version in BOTH {
        broker.absent(version, "away", "a").await;
        let mut publisher = broker.client(version, "publisher").await;
        publisher.say("a", "too late", 1).await;
        pass(Duration::from_millis(3100)).await;
        publisher.say("a", "in time", 1).await;
        let mut client = broker.open(&Connect::lasting(version, "away")).await;
        let heard = client.all_until(&mut publisher).await;
        assert_eq!(texts(&heard), ["in time"]);
        assert!(heard[0].props.is_empty(), "{heard:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_delivered_at_once_says_its_whole_expiry() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "c").await;
    client.subscribe("a", 0).await;
    let message = Message::new("a", "m").with(MESSAGE_EXPIRY, Value::Long(50));
    client.publish(message).await;
    let left = client.message().await.props;
    let left = property(&left, MESSAGE_EXPIRY);
    assert!(matches!(left, Some(Value::Long(48..=50))), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_delivery_began_does_not_expire() {
    let broker = Broker::start();
    let lasting = Connect::lasting(Version::V5, "c");
    let mut client = broker.open(&lasting).await;
    client.subscribe("a", 2).await;
    let message = Message::new("a", "begun")
        .qos(2)
        .with(MESSAGE_EXPIRY, Value::Long(1));
    client.publish(message).await;
    let begun = client.arriving().await;
    client.vanish();
    pass(Duration::from_millis(2200)).await;
    let mut client = broker.open(&lasting).await;
    let again = client.arriving().await;
    assert_eq!(
        (again.id, again.dup, again.text()),
        (begun.id, true, begun.text())
    );
    client.accept(&again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_publish_is_acknowledged_to_its_end() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "c").await;
    client.subscribe("a", 2).await;
    let message = Message::new("a", "m")
        .qos(2)
        .id(1)
        .with(MESSAGE_EXPIRY, Value::Long(1));
    client.send(&message.bytes(Version::V5)).await;
    assert!(client.acknowledgement().await.code < 0x80);
    pass(Duration::from_millis(1500)).await;
    assert_eq!(client.release(1).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_identifier_comes_with_its_messages_until_it_is_replaced() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "c").await;
    let with_id = |id| vec![(SUBSCRIPTION_ID, Value::Variable(id))];
    let retained = Message::new("a", "kept").qos(1).retained();
    client.publish(retained).await;
    for (props, expected) in [
        (with_id(1), Some(Value::Variable(1))),
        (with_id(268_435_455), Some(Value::Variable(268_435_455))),
        (Vec::new(), None),
    ] {
        client.subscribe_all(&[("a", 1)], &props).await;
        client.say("a", "live", 1).await;
        let heard = client.all().await;
        assert_eq!(texts(&heard), ["kept", "live"]);
        for message in heard {
            assert_eq!(property(&message.props, SUBSCRIPTION_ID), expected.as_ref());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_identifier_outlasts_the_connection() {
    let broker = Broker::start();
    let lasting = Connect::lasting(Version::V5, "c");
    let mut client = broker.open(&lasting).await;
    let props = vec![(SUBSCRIPTION_ID, Value::Variable(300))];
    client.subscribe_all(&[("a", 1)], &props).await;
    client.leave().await;
    let mut publisher = broker.client(Version::V5, "publisher").await;
    publisher.say("a", "m", 1).await;
    let mut client = broker.open(&lasting).await;
    let message = client.message().await;
    let id = property(&message.props, SUBSCRIPTION_ID);
    assert_eq!(id, Some(&Value::Variable(300)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_wants_no_problem_information_gets_no_reasons() {
    let broker = Broker::start();
    let connect = Connect::new(Version::V5, "c").with(REQUEST_PROBLEM, Value::Byte(0));
    let mut client = broker.open(&connect).await;
    let codes = client.subscribe_all(&[("a#", 1)], &Vec::new()).await;
    assert_eq!((codes.codes, codes.props), (vec![0x8f], Vec::new()));
    client
        .send(
            &Message::new("no one hears it", "m")
                .qos(1)
                .id(5)
                .bytes(Version::V5),
        )
        .await;
    assert_eq!(client.acknowledgement().await.props, []);
    client.send(&super::wire::ack(0x62, 99, 0)).await;
    assert_eq!(client.acknowledgement().await.props, []);
    client
        .send(&super::wire::unsubscribe(Version::V5, 6, &["none"]))
        .await;
    match client.answer().await {
        Heard::Unsuback(codes) => assert_eq!(codes.props, []),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_says_why_and_never_how_long_the_session_lives_when_it_disconnects() {
    let broker = Broker::start();
    let lasting = Connect::lasting(Version::V5, "c");
    let mut first = broker.open(&lasting).await;
    let mut second = broker.open(&lasting).await;
    second.send(&lasting.bytes()).await;
    for (client, expected) in [(&mut first, 0x8e), (&mut second, 0x82)] {
        match client.answer().await {
            Heard::Goodbye { code, props } => {
                assert_eq!(code, expected);
                let others = props
                    .iter()
                    .all(|(id, _)| [REASON_STRING, USER].contains(id));
                assert!(others, "{props:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}
