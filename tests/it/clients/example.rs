use std::{env, error::Error, fs};

use rumqttc::{
    TlsConfiguration, Transport,
    v5::{
        AsyncClient, Event, MqttOptions,
        mqttbytes::{QoS, v5::Packet},
    },
};

/// Publishes one reading over TLS, and waits until the gateway says that it is durable.
async fn report(gateway: &str, port: u16, device: &str, token: &str, ca: Vec<u8>) -> Result<(), Box<dyn Error>> {
    let mut options = MqttOptions::new("reporter", gateway, port);
    options.set_credentials(device, token);
    options.set_transport(Transport::Tls(TlsConfiguration::Simple { ca, alpn: None, client_auth: None }));
    let (client, mut events) = AsyncClient::new(options, 16);

    let reading = r#"{"cover_state":"tilted","tilt_angle":31.5}"#;
    client.publish(format!("v1/{device}/up"), QoS::AtLeastOnce, false, reading).await?;
    loop {
        if let Event::Incoming(Packet::PubAck(ack)) = events.poll().await? {
            println!("{device}: {:?}", ack.reason);
            return Ok(());
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (gateway, device, token) = (env::var("GATEWAY")?, env::var("DEVICE")?, env::var("TOKEN")?);
    report(&gateway, 8883, &device, &token, fs::read("ca.pem")?).await
}
