//! Publishing and hearing: every quality of service, order, identifiers, and the bytes on the wire.

use super::{
    client::{Broker, Client, texts},
    heard::Heard,
    wire::{BOTH, Connect, Message, PUBACK, PUBREC, PUBREL, Version, ack, packet, subscribe},
};

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_every_qos_reach_a_subscriber_of_every_qos_in_both_versions() {
    let broker = Broker::start();
    for from in BOTH {
        let mut publisher = broker.client(from, "publisher").await;
        for to in BOTH {
            for granted in 0..3 {
                let mut subscriber = broker.client(to, "subscriber").await;
                assert_eq!(subscriber.subscribe("a/b", granted).await, granted);
                each_qos(&mut publisher, &mut subscriber, granted).await;
                subscriber.leave().await;
            }
        }
        publisher.leave().await;
    }
}

async fn each_qos(publisher: &mut Client, subscriber: &mut Client, granted: u8) {
    for qos in 0..3 {
        publisher.say("a/b", "hello", qos).await;
        let message = subscriber.message().await;
        assert_eq!((&*message.topic, &*message.text()), ("a/b", "hello"));
        assert_eq!(message.qos, qos.min(granted));
        assert!(!message.dup && !message.retain);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_one_publisher_keep_their_order_at_each_qos() {
    let broker = Broker::start();
    for version in BOTH {
        let mut subscriber = broker.client(version, "subscriber").await;
        subscriber.subscribe("ordered/+", 2).await;
        let mut publisher = broker.client(version, "publisher").await;
        for qos in 0..3 {
            // All at once: the acknowledgements are read afterwards.
            for number in 1..=40_u16 {
                let message = Message::new("ordered/1", number.to_string())
                    .qos(qos)
                    .id(number);
                publisher.send(&message.bytes(version)).await;
            }
            for number in (1..=40).filter(|_| qos > 0) {
                let ack = publisher.acknowledgement().await;
                assert_eq!(
                    (ack.first, ack.id),
                    ([0, PUBACK, PUBREC][usize::from(qos)], number)
                );
            }
            for number in (1..=40).filter(|_| qos == 2) {
                publisher.release(number).await;
            }
            for number in 1..=40 {
                assert_eq!(subscriber.message().await.text(), number.to_string());
            }
        }
        subscriber.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_may_be_empty_and_may_be_large() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.subscribe("large", 1).await;
        for length in [0, 1, 127, 128, 16_383, 16_384, 500_000] {
            let payload: Vec<u8> = (0..=250).cycle().take(length).collect();
            assert!(client.publish(Message::new("large", &payload).qos(1)).await < 0x80);
            assert!(client.message().await.payload == payload, "{length}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_hears_its_own_messages() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.subscribe("own", 2).await;
        client.say("own", "1", 0).await;
        client.say("own", "2", 1).await;
        client.say("own", "3", 2).await;
        assert_eq!(texts(&client.all().await), ["1", "2", "3"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_in_single_bytes_and_all_at_once_are_the_same_packets() {
    let broker = Broker::start();
    for version in BOTH {
        let mut bytes = Connect::new(version, "c").bytes();
        bytes.extend(subscribe(version, 7, &[("a", 1)], &Vec::new()));
        bytes.extend(Message::new("a", "m").qos(1).id(8).bytes(version));
        // Not waiting for CONNACK is allowed.
        for step in [bytes.len(), 1] {
            let mut client = broker.dial(version).await;
            for part in bytes.chunks(step) {
                client.send(part).await;
            }
            assert!(matches!(client.answer().await, Heard::Connack(_)));
            assert!(matches!(client.answer().await, Heard::Suback(codes) if codes.id == 7));
            let ack = client.acknowledgement().await;
            assert_eq!((ack.first, ack.id), (PUBACK, 8));
            assert_eq!(client.message().await.text(), "m");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qos_1_publish_after_its_puback_is_a_new_message_whatever_its_dup_flag() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.subscribe("a", 1).await;
        for message in [
            Message::new("a", "first").qos(1).id(9),
            Message::new("a", "second").qos(1).id(9),
            Message::new("a", "third").qos(1).id(9).again(),
        ] {
            client.send(&message.bytes(version)).await;
            assert_eq!(client.acknowledgement().await.first, PUBACK);
        }
        let messages = client.all().await;
        assert_eq!(texts(&messages), ["first", "second", "third"]);
        // Nor is the publisher's flag passed on.
        assert!(messages.iter().all(|message| !message.dup));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packet_ids_in_use_are_not_given_to_other_messages() {
    let broker = Broker::start();
    for version in BOTH {
        let mut subscriber = broker.client(version, "subscriber").await;
        subscriber.subscribe("a", 2).await;
        let mut publisher = broker.client(version, "publisher").await;
        for _ in 0..10 {
            publisher.say("a", "1", 1).await;
            publisher.say("a", "2", 2).await;
        }
        let mut seen = Vec::new();
        for _ in 0..20 {
            let message = subscriber.arriving().await;
            assert!(!seen.contains(&message.id), "{}", message.id);
            seen.push(message.id);
        }
        subscriber.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_of_an_unknown_id_is_answered() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.send(&ack(PUBREL, 77, 0)).await;
        let answer = client.acknowledgement().await;
        assert_eq!((answer.first, answer.id), (0x70, 77));
        if version == Version::V5 {
            assert_eq!(answer.code, 0x92);
        }
        // Acknowledgements of nothing do no harm.
        client.send(&ack(PUBACK, 78, 0)).await;
        client.send(&ack(0x70, 79, 0)).await;
        client.ping().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_one_client_ends_only_its_own_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let mut good = broker.client(version, "good").await;
        good.subscribe("a", 1).await;
        let mut bad = broker.client(version, "bad").await;
        bad.send(&packet(0x36, b"\0\x01a")).await;
        bad.ends_with(0x81).await;
        good.say("a", "still here", 1).await;
        assert_eq!(good.message().await.text(), "still here");
    }
}
