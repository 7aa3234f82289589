//! Rates as clients meet them: every packet counts, who is beyond its rate is slowed down or sent away, and nobody else
//! notices.

use super::*;
use crate::config::RatePolicy;
use crate::domain::Outcome;
use v5::DisconnectReasonCode as Reason;

/// A rig in which a session may send so many messages a second.
fn rig(messages_per_s: u32, policy: RatePolicy) -> Rig {
    let mut mqtt = config();
    mqtt.limits.rates.messages_per_s = messages_per_s;
    mqtt.limits.rates.burst = Duration::from_millis(250);
    mqtt.limits.rates.policy = policy;
    Rig::with(&mqtt, &hmac())
}

fn other() -> v5::Connect {
    v5::Connect {
        client_id: "other".into(),
        ..connect5()
    }
}

fn pings(count: usize) -> Vec<u8> {
    [0xc0, 0].repeat(count)
}

#[tokio::test]
async fn a_flood_of_pings_is_slowed_down_loses_nothing_and_delays_nobody_else() {
    let rig = rig(100, RatePolicy::Pause);
    let mut flood = Client5::open(&rig).await;
    let (mut other, _) = Client5::connect(&rig, other()).await;
    let begun = Instant::now();
    flood.send_bytes(&pings(200)).await;
    for _ in 0..10 {
        other.ping().await;
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
    for _ in 0..200 {
        assert_eq!(flood.receive().await, Some(v5::Packet::PingResponse));
    }
    // A quarter of a second's worth at once, the rest at the rate.
    assert!(begun.elapsed() > Duration::from_millis(1_500));
    let offenders = rig.handle.offenders().identities;
    assert_eq!(
        (&*offenders[0].name, offenders[0].limit),
        (DEVICE, "messages")
    );
    rig.stop().await;
}

#[tokio::test]
async fn a_publish_beyond_the_rate_is_taken_later_and_acknowledged() {
    let mut rig = rig(4, RatePolicy::Pause);
    let mut client = Client5::open(&rig).await;
    for number in 1..=3 {
        client.publish(1, number, b"reading").await;
    }
    for number in 1..=3 {
        rig.settle(Outcome::Stored).await;
        assert_eq!(client.ack().await, (number, 0, None));
    }
    assert!(!rig.handle.offenders().identities.is_empty());
    rig.stop().await;
}

#[tokio::test]
async fn who_is_to_be_sent_away_beyond_its_rate_is_told_why() {
    let rig = rig(100, RatePolicy::Disconnect);
    let mut flood = Client5::open(&rig).await;
    let (mut other, _) = Client5::connect(&rig, other()).await;
    flood.send_bytes(&pings(200)).await;
    let last = loop {
        match flood.receive().await {
            Some(v5::Packet::PingResponse) => {}
            last => break last,
        }
    };
    let Some(v5::Packet::Disconnect(disconnect)) = last else {
        panic!("{last:?}");
    };
    assert_eq!(disconnect.reason_code, Reason::MessageRateTooHigh);
    assert!(flood.is_closed().await);
    other.ping().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_class_beyond_its_rate_slows_down_its_own_devices_only() {
    let mut mqtt = config();
    mqtt.limits.rates.burst = Duration::from_millis(250);
    mqtt.limits.rates.class_rates = vec![("manhole_cover".to_owned(), 1)];
    let mut rig = Rig::with(&mqtt, &hmac());
    rig.handle.replace_classes(["manhole_cover", "air_station"]);
    let mut slow = Client5::open(&rig).await;
    slow.publish(0, 0, b"first").await;
    rig.seen().await;
    slow.publish(0, 0, b"second").await;
    slow.send(v5::Packet::PingRequest).await;
    let name = "air_station/1";
    let connect = v5::Connect {
        username: Some(name.into()),
        password: Some(auth::token(KEY, &Identity::parse(name).unwrap()).into()),
        ..connect5()
    };
    let (mut quick, _) = Client5::connect(&rig, connect).await;
    for _ in 0..20 {
        let mut publish = publish(0, 0, b"quick");
        publish.topic = format!("v1/{name}/up").into();
        quick.send(v5::Packet::Publish(Box::new(publish))).await;
    }
    let mut order = Vec::new();
    for _ in 0..21 {
        order.push(rig.seen().await.payload);
    }
    assert_eq!(
        order.last().map(|payload| &payload[..]),
        Some(&b"second"[..])
    );
    assert_eq!(slow.receive().await, Some(v5::Packet::PingResponse));
    rig.stop().await;
}
