//! A client library that others use, in both versions, through a whole round.

use rumqttc::{Event, Packet, v5 as library5};

use super::*;
use crate::domain::Outcome;

#[tokio::test]
async fn a_3_1_1_library_publishes_at_every_qos_and_hears_its_messages() {
    let mut rig = Rig::start();
    let mut options = rumqttc::MqttOptions::new("lib3", "127.0.0.1", rig.address.port());
    options.set_credentials(DEVICE, token());
    let (client, mut events) = rumqttc::AsyncClient::new(options, 10);
    client
        .subscribe(DOWN, rumqttc::QoS::AtLeastOnce)
        .await
        .unwrap();
    use rumqttc::QoS as Quality;
    for quality in [
        Quality::AtMostOnce,
        Quality::AtLeastOnce,
        Quality::ExactlyOnce,
    ] {
        client.publish(UP, quality, false, "{}").await.unwrap();
    }
    let (mut acknowledged, mut completed, mut heard) = (false, false, false);
    while !(acknowledged && completed && heard) {
        tokio::select! {
            event = timeout(PATIENCE, events.poll()) => match event.unwrap().unwrap() {
                Event::Incoming(Packet::PubAck(_)) => acknowledged = true,
                Event::Incoming(Packet::PubComp(_)) => completed = true,
                Event::Incoming(Packet::SubAck(_)) => {
                    let identity = Identity::parse(DEVICE).unwrap();
                    assert_eq!(rig.handle.deliver(&identity, "m".into(), MessageQos::AtLeastOnce).unwrap().queued, 1);
                }
                Event::Incoming(Packet::Publish(publish)) => heard = publish.topic == DOWN,
                _ => {}
            },
            seen = rig.seen.recv() => if let Some(receipt) = seen.unwrap().receipt {
                settle_abroad(vec![(receipt, Outcome::Stored)]);
            },
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn an_mqtt_5_library_publishes_at_every_qos_and_hears_its_messages() {
    use library5::mqttbytes::{QoS as Quality, v5::Packet};
    let mut rig = Rig::start();
    let mut options = library5::MqttOptions::new("lib5", "127.0.0.1", rig.address.port());
    options.set_credentials(DEVICE, token());
    let (client, mut events) = library5::AsyncClient::new(options, 10);
    client.subscribe(DOWN, Quality::AtLeastOnce).await.unwrap();
    for quality in [
        Quality::AtMostOnce,
        Quality::AtLeastOnce,
        Quality::ExactlyOnce,
    ] {
        client.publish(UP, quality, false, "{}").await.unwrap();
    }
    let (mut acknowledged, mut completed, mut heard) = (false, false, false);
    while !(acknowledged && completed && heard) {
        tokio::select! {
            event = timeout(PATIENCE, events.poll()) => match event.unwrap().unwrap() {
                library5::Event::Incoming(Packet::PubAck(_)) => acknowledged = true,
                library5::Event::Incoming(Packet::PubComp(_)) => completed = true,
                library5::Event::Incoming(Packet::SubAck(_)) => {
                    let identity = Identity::parse(DEVICE).unwrap();
                    assert_eq!(rig.handle.deliver(&identity, "m".into(), MessageQos::AtLeastOnce).unwrap().queued, 1);
                }
                library5::Event::Incoming(Packet::Publish(publish)) => heard = publish.topic == DOWN,
                _ => {}
            },
            seen = rig.seen.recv() => if let Some(receipt) = seen.unwrap().receipt {
                settle_abroad(vec![(receipt, Outcome::Stored)]);
            },
        }
    }
    rig.stop().await;
}
