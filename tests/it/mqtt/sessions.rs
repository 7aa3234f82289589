//! Sessions: what is kept for a client that is away, how it comes back, and how a session ends.

use std::time::Duration;

use super::{
    client::{Broker, pass, texts},
    heard::Heard,
    wire::{
        BOTH, Connect, PUBACK, PUBREC, SESSION_EXPIRY, Value, Version, ack, disconnect, property,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_qos_1_and_2_wait_in_their_order_for_a_client_that_is_away() {
    let broker = Broker::start();
    for version in BOTH {
        broker.absent(version, "away", "queue/#").await;
        let mut publisher = broker.client(version, "publisher").await;
        for (topic, qos) in [("queue/1", 1), ("queue/2", 2), ("queue", 1), ("other", 1)] {
            publisher.say(topic, topic, qos).await;
        }
        let (mut client, connack) = broker.connect(&Connect::lasting(version, "away")).await;
        assert!(connack.present);
        let heard = client.all_until(&mut publisher).await;
        assert_eq!(texts(&heard), ["queue/1", "queue/2", "queue"]);
        assert_eq!(heard.iter().map(|m| m.qos).collect::<Vec<_>>(), [1, 2, 1]);
        assert!(heard.iter().all(|message| !message.dup));
        client.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connack_comes_first_and_says_whether_a_session_was_found() {
    let broker = Broker::start();
    for version in BOTH {
        let lasting = Connect::lasting(version, "c");
        let (mut client, connack) = broker.connect(&lasting).await;
        assert_eq!((connack.code, connack.present), (0, false));
        client.subscribe("a", 1).await;
        client.leave().await;
        let mut publisher = broker.client(version, "publisher").await;
        publisher.say("a", "waits", 1).await;
        // `connect` fails if anything comes before CONNACK.
        let (mut client, connack) = broker.connect(&lasting).await;
        assert_eq!((connack.code, connack.present), (0, true));
        assert_eq!(client.message().await.text(), "waits");
        client.leave().await;
        let (client, connack) = broker.connect(&Connect::new(version, "c")).await;
        assert_eq!((connack.code, connack.present), (0, false));
        client.leave().await;
        // The clean start ended the old session, and its own ended with its connection.
        let (client, connack) = broker.connect(&lasting).await;
        assert_eq!((connack.code, connack.present), (0, false));
        client.leave().await;
        broker.client(version, "c").await.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_start_leaves_nothing_of_the_old_session() {
    let broker = Broker::start();
    for version in BOTH {
        broker.absent(version, "c", "a").await;
        let mut publisher = broker.client(version, "publisher").await;
        publisher.say("a", "for the old session", 1).await;
        let mut client = broker.client(version, "c").await;
        publisher.say("a", "for nobody", 1).await;
        assert_eq!(client.all_until(&mut publisher).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lives_for_its_expiry_and_no_longer() {
    let broker = Broker::start();
    let connect = |expiry_s| Connect {
        clean: false,
        ..Connect::new(Version::V5, "c").with(SESSION_EXPIRY, Value::Long(expiry_s))
    };
    broker.open(&connect(0)).await.leave().await;
    let (client, connack) = broker.connect(&connect(2)).await;
    assert!(!connack.present);
    client.leave().await;
    pass(Duration::from_secs(1)).await;
    let (client, connack) = broker.connect(&connect(2)).await;
    assert!(connack.present, "within the expiry");
    // As long as the connection is there, nothing expires.
    pass(Duration::from_secs(3)).await;
    client.leave().await;
    let (client, connack) = broker.connect(&connect(2)).await;
    assert!(
        connack.present,
        "the expiry counts from the end of the connection"
    );
    client.leave().await;
    pass(Duration::from_millis(4500)).await;
    let (_client, connack) = broker.connect(&connect(2)).await;
    assert!(!connack.present, "beyond the expiry");
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnect_may_change_the_expiry_but_not_raise_it_from_nothing() {
    let broker = Broker::start();
    let goodbye = |expiry_s| {
        let props = vec![(SESSION_EXPIRY, Value::Long(expiry_s))];
        disconnect(Version::V5, 0, &props)
    };
    let connect = |expiry_s| Connect {
        clean: false,
        ..Connect::new(Version::V5, "c").with(SESSION_EXPIRY, Value::Long(expiry_s))
    };
    let mut client = broker.open(&connect(1)).await;
    client.send(&goodbye(60)).await;
    assert_eq!(client.hear().await, None);
    pass(Duration::from_secs(3)).await;
    let (mut client, connack) = broker.connect(&connect(60)).await;
    assert!(connack.present);
    client.send(&goodbye(0)).await;
    assert_eq!(client.hear().await, None);
    let (mut client, connack) = broker.connect(&connect(0)).await;
    assert!(!connack.present);
    client.send(&goodbye(60)).await;
    client.ends_with(0x82).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_that_is_lowered_is_said() {
    let broker = Broker::with(&["--mqtt-session-expiry-max", "30s"]);
    for (asked, granted) in [(20, None), (u32::MAX, Some(&Value::Long(30)))] {
        let connect = Connect::new(Version::V5, "c").with(SESSION_EXPIRY, Value::Long(asked));
        let (_client, connack) = broker.connect(&connect).await;
        assert_eq!(property(&connack.props, SESSION_EXPIRY), granted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_connection_takes_the_session_over_and_the_first_is_told() {
    let broker = Broker::start();
    for version in BOTH {
        let lasting = Connect::lasting(version, "c");
        let mut first = broker.open(&lasting).await;
        first.subscribe("a", 1).await;
        let (mut second, connack) = broker.connect(&lasting).await;
        assert!(connack.present);
        first.ends_with(0x8e).await;
        second.say("a", "m", 1).await;
        assert_eq!(second.message().await.text(), "m");
        let (mut third, connack) = broker.connect(&Connect::new(version, "c")).await;
        assert!(!connack.present);
        second.ends_with(0x8e).await;
        assert_eq!(third.all().await, []);
        third.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unacknowledged_message_comes_again_with_dup_and_its_id_in_the_first_order() {
    let broker = Broker::start();
    for version in BOTH {
        let lasting = Connect::lasting(version, "c");
        let mut client = broker.open(&lasting).await;
        client.subscribe("a/+", 2).await;
        let mut publisher = broker.client(version, "publisher").await;
        for (topic, qos) in [("a/1", 1), ("a/2", 2), ("a/3", 1), ("a/4", 2)] {
            publisher.say(topic, topic, qos).await;
        }
        let mut first = Vec::new();
        for _ in 0..4 {
            first.push(client.arriving().await);
        }
        client.vanish();
        let (mut client, connack) = broker.connect(&lasting).await;
        assert!(connack.present);
        for message in first {
            assert!(!message.dup);
            let expected = message.again();
            assert_eq!(client.arriving().await, expected);
            client.accept(&expected).await;
        }
        assert_eq!(client.all_until(&mut publisher).await, []);
        client.leave().await;
        broker.client(version, "c").await.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_again_while_the_connection_lives() {
    let broker = Broker::start();
    let mut clients = Vec::new();
    for version in BOTH {
        let mut client = broker.client(version, &format!("{version:?}")).await;
        client.subscribe("a", 2).await;
        client.say("a", "1", 1).await;
        assert_eq!(client.arriving().await.text(), "1");
        clients.push(client);
    }
    pass(Duration::from_secs(3)).await;
    for client in &mut clients {
        client.ping().await;
        let other = client.all().await;
        assert!(other.iter().all(|message| !message.dup), "{other:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_outlive_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let lasting = Connect::lasting(version, "c");
        let mut client = broker.open(&lasting).await;
        client.subscribe("a/+", 1).await;
        client.subscribe("b", 0).await;
        client.unsubscribe(&["b"]).await;
        client.leave().await;
        let mut client = broker.open(&lasting).await;
        client.say("a/1", "heard", 2).await;
        client.say("b", "unheard", 2).await;
        let heard = client.all().await;
        assert_eq!(texts(&heard), ["heard"]);
        assert_eq!(heard[0].qos, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_client_refuses_is_not_sent_again() {
    let broker = Broker::start();
    let lasting = Connect::lasting(Version::V5, "c");
    let mut client = broker.open(&lasting).await;
    client.subscribe("a", 2).await;
    let mut publisher = broker.client(Version::V5, "publisher").await;
    for (qos, first) in [(1, PUBACK), (2, PUBREC)] {
        publisher.say("a", "refused", qos).await;
        let message = client.arriving().await;
        client.send(&ack(first, message.id, 0x83)).await;
        // No PUBREL answers a PUBREC that refuses.
        client.ping().await;
    }
    client.vanish();
    let (mut client, connack) = broker.connect(&lasting).await;
    assert!(connack.present);
    assert_eq!(client.all_until(&mut publisher).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_before_an_unsubscribe_is_completed() {
    let broker = Broker::start();
    for version in BOTH {
        let lasting = Connect::lasting(version, "c");
        let mut client = broker.open(&lasting).await;
        client.subscribe("a", 2).await;
        client.say("a", "begun", 2).await;
        let begun = client.arriving().await;
        client.unsubscribe(&["a"]).await;
        client.say("a", "too late", 2).await;
        client.vanish();
        let mut client = broker.open(&lasting).await;
        let again = client.arriving().await;
        assert_eq!(again, begun.again());
        client.accept(&again).await;
        assert_eq!(client.all().await, []);
        client.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_one_across_the_versions() {
    let broker = Broker::start();
    broker.absent(Version::V3, "c", "a").await;
    let mut publisher = broker.client(Version::V3, "publisher").await;
    publisher.say("a", "waits", 1).await;
    let (mut client, connack) = broker.connect(&Connect::lasting(Version::V5, "c")).await;
    assert!(connack.present);
    match client.hear().await {
        Some(Heard::Message(message)) => assert_eq!(message.text(), "waits"),
        other => panic!("{other:?}"),
    }
}
