//! The proxy before an echo server.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

async fn echo() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = TaskTracker::new();
    tasks.clone().spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tasks.spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to)
                    .await
                    .unwrap_or_default();
            });
        }
    });
    address
}

async fn through(faults: Faults) -> (Proxy, TcpStream) {
    let proxy = Proxy::start(echo().await).await.unwrap();
    proxy.set_faults(faults);
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    (proxy, client)
}

async fn ping(client: &mut TcpStream) -> io::Result<[u8; 4]> {
    client.write_all(b"ping").await?;
    let mut answer = [0; 4];
    client.read_exact(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn without_faults_it_passes_bytes_and_the_end() {
    let (proxy, mut client) = through(Faults::default()).await;
    assert_eq!(ping(&mut client).await.unwrap(), *b"ping");
    client.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(proxy.passed_bytes(), 8);
    proxy.stop().await;
}

#[tokio::test]
async fn bytes_are_late_by_the_delay_each_way() {
    let delay = Duration::from_millis(30);
    let (_proxy, mut client) = through(Faults {
        delay,
        ..Faults::default()
    })
    .await;
    let before = std::time::Instant::now();
    ping(&mut client).await.unwrap();
    assert!(before.elapsed() >= 2 * delay);
}

#[tokio::test]
async fn a_rate_is_kept() {
    let faults = Faults {
        bytes_per_s: Some(100_000),
        ..Faults::default()
    };
    let (_proxy, mut client) = through(faults).await;
    let before = std::time::Instant::now();
    let mut answer = vec![0; 20_000];
    let (mut from, mut to) = client.split();
    let sent = vec![7; 20_000];
    let (wrote, read) = tokio::join!(to.write_all(&sent), from.read_exact(&mut answer));
    wrote.unwrap();
    read.unwrap();
    // The last chunk's pause comes after it: at least what the chunks before it took.
    assert!(
        before.elapsed() >= Duration::from_millis(30),
        "{:?}",
        before.elapsed()
    );
}

#[tokio::test]
async fn a_connection_breaks_off_after_its_allowance() {
    let faults = Faults {
        break_after_bytes: Some(6),
        ..Faults::default()
    };
    let (proxy, mut client) = through(faults).await;
    assert!(ping(&mut client).await.is_err());
    assert_eq!(proxy.passed_bytes(), 6);
}

#[tokio::test]
async fn a_cut_resets_what_exists_and_takes_new_ones() {
    let (proxy, mut client) = through(Faults::default()).await;
    ping(&mut client).await.unwrap();
    proxy.cut();
    assert!(client.read(&mut [0; 1]).await.is_err());
    let mut again = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ping(&mut again).await.unwrap(), *b"ping");
    assert_eq!(proxy.accepted(), 2);
}

#[tokio::test]
async fn a_stalled_connection_lives_and_goes_on() {
    let (proxy, mut client) = through(Faults {
        mode: Mode::Stalled,
        ..Faults::default()
    })
    .await;
    let silent = tokio::time::timeout(Duration::from_millis(50), ping(&mut client)).await;
    assert!(silent.is_err());
    proxy.set_faults(Faults::default());
    let mut answer = [0; 4];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, *b"ping");
}

#[tokio::test]
async fn a_refusing_proxy_resets_and_a_new_upstream_takes_over() {
    let proxy = Proxy::start(echo().await).await.unwrap();
    proxy.set_faults(Faults {
        mode: Mode::Refusing,
        ..Faults::default()
    });
    if let Ok(mut refused) = TcpStream::connect(proxy.address()).await {
        assert!(ping(&mut refused).await.is_err());
    }
    proxy.set_faults(Faults::default());
    proxy.set_upstream(echo().await);
    let mut taken = TcpStream::connect(proxy.address()).await.unwrap();
    ping(&mut taken).await.unwrap();
}
