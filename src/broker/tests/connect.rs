//! CONNECT and CONNACK: who may come in, and what is agreed.

use super::*;
use v5::ConnectAckReason as Reason;

#[tokio::test]
async fn a_device_comes_in_with_its_token_and_is_told_what_is_available() {
    let rig = Rig::start();
    let (_client, ack) = Client5::connect(&rig, connect5()).await;
    assert_eq!(ack.reason_code, Reason::Success);
    assert!(!ack.session_present);
    assert!(ack.retain_available && ack.wildcard_subscription_available);
    assert!(ack.shared_subscription_available && ack.subscription_identifiers_available);
    assert_eq!(ack.max_qos, QoS::ExactlyOnce);
    assert_eq!(ack.receive_max.get(), 8);
    assert_eq!((ack.max_packet_size, ack.topic_alias_max), (Some(4096), 4));
    assert_eq!(ack.server_keepalive_sec, None);
    assert_eq!(ack.assigned_client_id, None);
    let (_client, ack) = Client3::connect(&rig, connect3()).await;
    assert_eq!(ack.return_code, v3::ConnectAckReason::ConnectionAccepted);
    rig.stop().await;
}

#[tokio::test]
async fn wrong_credentials_have_their_codes_in_both_versions() {
    let rig = Rig::start();
    let wrong = v5::Connect {
        password: Some("00".into()),
        ..connect5()
    };
    let (mut client, ack) = Client5::connect(&rig, wrong).await;
    assert_eq!(ack.reason_code, Reason::BadUserNameOrPassword);
    assert!(client.is_closed().await);
    let none = v5::Connect {
        username: None,
        password: None,
        ..connect5()
    };
    assert_eq!(
        Client5::connect(&rig, none).await.1.reason_code,
        Reason::NotAuthorized
    );
    let wrong = v3::Connect {
        password: Some("00".into()),
        ..connect3()
    };
    let (mut client, ack) = Client3::connect(&rig, wrong).await;
    assert_eq!(ack.return_code, v3::ConnectAckReason::BadUserNameOrPassword);
    assert!(client.is_closed().await);
    let none = v3::Connect {
        username: None,
        password: None,
        ..connect3()
    };
    let ack = Client3::connect(&rig, none).await.1;
    assert_eq!(ack.return_code, v3::ConnectAckReason::NotAuthorized);
    rig.stop().await;
}

#[tokio::test]
async fn a_client_without_an_identifier_is_given_one_in_mqtt_5_even_without_clean_start() {
    let rig = Rig::start();
    for clean_start in [true, false] {
        let mut client = Client5::dial(&rig).await;
        // The codec of the tests refuses to write this, so it is written by hand below for clean start 0.
        let connect = v5::Connect {
            client_id: "".into(),
            clean_start,
            ..connect5()
        };
        client.send(v5::Packet::Connect(Box::new(connect))).await;
        match client.receive().await {
            Some(v5::Packet::ConnectAck(ack)) => {
                assert_eq!(ack.reason_code, Reason::Success);
                assert!(ack.assigned_client_id.is_some_and(|id| id.len() > 16));
            }
            other => panic!("{other:?}"),
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_3_1_1_client_without_an_identifier_needs_a_clean_session() {
    let rig = Rig::start();
    let connect = |clean_session| v3::Connect {
        client_id: "".into(),
        clean_session,
        ..connect3()
    };
    let ack = Client3::connect(&rig, connect(false)).await.1;
    assert_eq!(ack.return_code, v3::ConnectAckReason::IdentifierRejected);
    let ack = Client3::connect(&rig, connect(true)).await.1;
    assert_eq!(ack.return_code, v3::ConnectAckReason::ConnectionAccepted);
    rig.stop().await;
}

#[tokio::test]
async fn what_is_asked_beyond_the_limits_is_lowered_and_said() {
    let rig = Rig::start();
    let connect = v5::Connect {
        keep_alive: 0,
        session_expiry_interval_secs: u32::MAX,
        ..connect5()
    };
    let ack = Client5::connect(&rig, connect).await.1;
    assert_eq!(ack.server_keepalive_sec, Some(600));
    assert_eq!(ack.session_expiry_interval_secs, Some(3600));
    rig.stop().await;
}

#[tokio::test]
async fn enhanced_authentication_is_refused_by_its_code() {
    let rig = Rig::start();
    let connect = v5::Connect {
        auth_method: Some("SCRAM".into()),
        ..connect5()
    };
    let ack = Client5::connect(&rig, connect).await.1;
    assert_eq!(ack.reason_code, Reason::BadAuthenticationMethod);
    let mut client = Client5::open(&rig).await;
    client.send(v5::Packet::Auth(v5::Auth::default())).await;
    assert_eq!(
        client.dismissed().await,
        v5::DisconnectReasonCode::BadAuthenticationMethod
    );
    rig.stop().await;
}

#[tokio::test]
async fn a_second_connect_is_a_protocol_error() {
    let rig = Rig::start();
    let mut client = Client5::open(&rig).await;
    client.send(v5::Packet::Connect(Box::new(connect5()))).await;
    assert_eq!(
        client.dismissed().await,
        v5::DisconnectReasonCode::ProtocolError
    );
    rig.stop().await;
}

#[tokio::test]
async fn versions_that_do_not_exist_are_named_and_no_mqtt_is_closed() {
    let rig = Rig::start();
    let mut client = Client5::dial(&rig).await;
    client
        .send_bytes(b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x3c\x00\x00\x00")
        .await;
    match client.receive().await {
        Some(v5::Packet::ConnectAck(ack)) => {
            assert_eq!(ack.reason_code, Reason::UnsupportedProtocolVersion);
        }
        other => panic!("{other:?}"),
    }
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\xc0\x00",
        b"\x10\x0c\x00\x04HTTP\x04\x02\x00\x3c\x00\x00",
    ] {
        let mut client = Client3::dial(&rig).await;
        client.send_bytes(bytes).await;
        assert!(client.is_closed().await);
    }
    rig.stop().await;
}

#[tokio::test]
async fn mqtt_3_1_is_served_like_3_1_1() {
    let rig = Rig::with(&config(), &AuthConfig::anonymous());
    let mut client = Client3::dial(&rig).await;
    client
        .send_bytes(b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01x")
        .await;
    match client.receive().await {
        Some(v3::Packet::ConnectAck(ack)) => {
            assert_eq!(ack.return_code, v3::ConnectAckReason::ConnectionAccepted);
        }
        other => panic!("{other:?}"),
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_malformed_connect_is_said_in_mqtt_5_and_closed_in_3_1_1() {
    let rig = Rig::start();
    // Will flags without a will; bytes behind the last field.
    for bytes in [
        &b"\x10\x0d\x00\x04MQTT\x05\x22\x00\x3c\x00\x00\x00"[..],
        b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00\x00",
    ] {
        let mut client = Client5::dial(&rig).await;
        let mut bytes = bytes.to_vec();
        bytes[1] = u8::try_from(bytes.len() - 2).unwrap();
        client.send_bytes(&bytes).await;
        match client.receive().await {
            Some(v5::Packet::ConnectAck(ack)) => {
                assert_eq!(ack.reason_code, Reason::MalformedPacket);
            }
            other => panic!("{other:?}"),
        }
    }
    let mut client = Client3::dial(&rig).await;
    client
        .send_bytes(b"\x10\x0c\x00\x04MQTT\x04\x42\x00\x3c\x00\x00")
        .await;
    assert!(client.is_closed().await);
    rig.stop().await;
}

#[tokio::test]
async fn wills_are_taken_for_the_devices_own_up_topic_only() {
    let rig = Rig::start();
    let will = |topic: &str, retain| v5::LastWill {
        qos: QoS::AtLeastOnce,
        retain,
        topic: topic.into(),
        message: "{}".into(),
        will_delay_interval_sec: None,
        correlation_data: None,
        message_expiry_interval: None,
        content_type: None,
        user_properties: Vec::new(),
        is_utf8_payload: None,
        response_topic: None,
    };
    for (topic, retain, reason) in [
        (UP, false, Reason::Success),
        ("v1/manhole_cover/7/up/pb", false, Reason::Success),
        ("v1/manhole_cover/8/up", false, Reason::NotAuthorized),
        ("other", false, Reason::NotAuthorized),
        (UP, true, Reason::Success),
    ] {
        let connect = v5::Connect {
            last_will: Some(will(topic, retain)),
            ..connect5()
        };
        assert_eq!(
            Client5::connect(&rig, connect).await.1.reason_code,
            reason,
            "{topic}"
        );
    }
    rig.stop().await;
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mqtt = MqttConfig {
        listen: vec![address.to_string().parse().unwrap()],
        ..config()
    };
    let error = Broker::bind(&mqtt, &hmac()).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("cannot listen on {address} for MQTT: ")),
        "{error}"
    );
    let nowhere = MqttConfig {
        listen: Vec::new(),
        ..config()
    };
    assert!(matches!(
        Broker::bind(&nowhere, &hmac()),
        Err(BindError::NoAddress)
    ));
}
