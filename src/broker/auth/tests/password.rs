//! The password file: who is let in, what a check may cost, and what is told about wrong lines.

use super::*;
use crate::{broker::auth::password::Lane, config::PasswordConfig};

const CHEAP: &str = "$argon2id$v=19$m=8,t=1,p=1$";

fn lane(cache_max: usize) -> Arc<Lane> {
    Arc::new(Lane::new(&PasswordConfig {
        file: None,
        checks_max: 1,
        cache_max,
    }))
}

/// A line whose check costs next to nothing.
fn cheap(name: &str, password: &[u8]) -> String {
    let params = argon2::Params::new(8, 1, 1, None).unwrap();
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let salt = argon2::password_hash::SaltString::encode_b64(b"a salt of a test").unwrap();
    let phc = argon2::PasswordHasher::hash_password(&argon2, password, &salt).unwrap();
    format!("{name}:{phc}")
}

fn methods(text: &str, lane: &Arc<Lane>) -> Authentication {
    let file = PasswordFile::read(text, Arc::clone(lane)).unwrap();
    Authentication::new(vec![Method::Password(Box::new(file))], Arc::default())
}

async fn ask(
    authentication: &Authentication,
    name: &str,
    password: &str,
) -> (bool, Result<Principal, Denied>) {
    match authentication.ask(&given(Some(name), Some(password))) {
        Answer::Admitted(admitted) => (false, Ok(admitted.principal)),
        Answer::Denied(denied) => (false, Err(denied)),
        Answer::Slow(check) => (true, check.run().await.map(|admitted| admitted.principal)),
    }
}

#[tokio::test]
async fn a_name_with_its_password_comes_in_and_the_second_time_without_a_check() {
    let text = format!(
        "# the few\n\n{}\n{}\n",
        cheap("board", b"open sesame"),
        cheap("lamp/aa:bb", b"of a device")
    );
    let methods = methods(&text, &lane(10));
    let board = ask(&methods, "board", "open sesame");
    assert_eq!(board.await, (true, Ok(application("board"))));
    let board = ask(&methods, "board", "open sesame");
    assert_eq!(board.await, (false, Ok(application("board"))));
    let lamp = ask(&methods, "lamp/aa:bb", "of a device");
    assert_eq!(lamp.await, (true, Ok(device("lamp/aa:bb"))));
    for (name, password) in [
        ("board", "open sesam"),
        ("board", ""),
        ("board", "of a device"),
        ("nobody", "open sesame"),
        ("", "open sesame"),
    ] {
        let told = ask(&methods, name, password).await;
        assert_eq!(
            told,
            (true, Err(Denied::BadCredentials)),
            "{name} {password}"
        );
    }
    let long = "x".repeat(2000);
    assert_eq!(
        ask(&methods, "board", &long).await,
        (false, Err(Denied::BadCredentials))
    );
}

#[tokio::test]
async fn what_is_remembered_is_bounded_survives_a_reload_and_ends_with_its_line() {
    let lane = lane(1);
    let text = format!("{}\n{}\n", cheap("a", b"1"), cheap("b", b"2"));
    let first = methods(&text, &lane);
    assert!(ask(&first, "a", "1").await.0);
    // The same line read again: known. The other one takes its place in a cache of one.
    let again = methods(&text, &lane);
    assert_eq!(ask(&again, "a", "1").await, (false, Ok(application("a"))));
    assert!(ask(&again, "b", "2").await.0);
    assert!(ask(&again, "a", "1").await.0);
    // Another password in the line: what was right is wrong now.
    let changed = methods(&cheap("a", b"3"), &lane);
    assert_eq!(
        ask(&changed, "a", "1").await,
        (true, Err(Denied::BadCredentials))
    );
}

#[tokio::test]
async fn beyond_the_checks_that_may_wait_clients_are_told_to_come_again() {
    let lane = lane(0);
    let methods = methods(&cheap("a", b"1"), &lane);
    let check = || match methods.ask(&given(Some("a"), Some("1"))) {
        Answer::Slow(check) => Box::pin(check.run()),
        other => panic!("{other:?}"),
    };
    let turn = lane.occupied();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut waiting: Vec<_> = (0..300).map(|_| check()).collect();
    let mut busy = 0;
    for check in &mut waiting {
        match check.as_mut().poll(&mut context) {
            std::task::Poll::Ready(outcome) => {
                assert_eq!(outcome, Err(Denied::Busy));
                busy += 1;
            }
            std::task::Poll::Pending => {}
        }
    }
    assert_eq!(busy, 300 - 256);
    drop((waiting, turn));
    // Who gave up made room.
    assert_eq!(ask(&methods, "a", "1").await.1, Ok(application("a")));
}

#[tokio::test]
async fn a_name_that_the_file_does_not_know_is_left_to_the_methods_behind_it() {
    let file = PasswordFile::read(&cheap("board", b"1"), lane(0)).unwrap();
    let keys = hmac_with(&[KEY]).keys;
    let behind = Method::Hmac(Derived::new(&keys));
    let methods = vec![Method::Password(Box::new(file)), behind];
    let both = Authentication::new(methods, Arc::default());
    let password = token(KEY, &Identity::parse("lamp/7").unwrap());
    assert_eq!(
        ask(&both, "lamp/7", &password).await,
        (false, Ok(device("lamp/7")))
    );
    assert_eq!(
        ask(&both, "lamp/7", "else").await,
        (true, Err(Denied::BadCredentials))
    );
    assert_eq!(
        ask(&both, "board", "1").await,
        (true, Ok(application("board")))
    );
}

#[tokio::test]
async fn a_revoked_name_is_told_so_after_the_right_password_only() {
    let file = PasswordFile::read(&cheap("board", b"1"), lane(10)).unwrap();
    let revoked = Revocations::read(&b"application board\n"[..]).unwrap();
    let methods = vec![Method::Password(Box::new(file))];
    let methods = Authentication::new(methods, Arc::new(revoked));
    assert_eq!(
        ask(&methods, "board", "1").await,
        (true, Err(Denied::Banned))
    );
    assert_eq!(
        ask(&methods, "board", "2").await,
        (true, Err(Denied::BadCredentials))
    );
}

#[test]
fn a_line_that_is_made_is_one_that_is_taken() {
    let line = hashed("board", b"open sesame").unwrap();
    assert!(
        line.starts_with("board:$argon2id$v=19$m=19456,t=2,p=1$"),
        "{line}"
    );
    assert!(PasswordFile::read(&line, lane(0)).is_ok());
    assert_ne!(line, hashed("board", b"open sesame").unwrap());
    assert!(hashed("a b", b"x").is_err());
    assert!(hashed("board", b"").is_err());
}

#[test]
fn wrong_lines_are_all_told_with_their_numbers_and_never_with_their_hashes() {
    let good = cheap("board", b"1");
    let hash = "c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let lines = [
        good.clone(),
        good,
        "board".to_owned(),
        "board:secret".to_owned(),
        format!("a b:{CHEAP}{hash}"),
        format!("lamp/+:{CHEAP}{hash}"),
        format!("x:$argon2i$v=19$m=8,t=1,p=1${hash}"),
        format!("x:$argon2id$v=16$m=8,t=1,p=1${hash}"),
        format!("x:$argon2id$v=19$m=8,t=99,p=1${hash}"),
        format!("x:$argon2id$v=19$m=999999,t=1,p=1${hash}"),
        format!("x:{CHEAP}c2FsdHNhbHQ"),
    ];
    let faults = PasswordFile::read(&lines.join("\n"), lane(0)).unwrap_err();
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let wanted = [
        "2: \"board\" stands there twice",
        "3: is not of the form",
        "4: \"board\" is no PHC string",
        "5: \"a b\" is neither",
        "6: id \"+\" holds '+'",
        "7: \"x\" is of argon2i,",
        "8: \"x\" is not of version 19",
        "9: \"x\" t=99 is over the limit of 10",
        "10: \"x\" m=999999 is over the limit of 65536",
        "11: \"x\" has no salt or no hash",
    ];
    assert_eq!(told.len(), wanted.len(), "{told:#?}");
    for (told, wanted) in told.iter().zip(wanted) {
        assert!(told.starts_with(wanted), "{told}");
        assert!(!told.contains("AAAA") && !told.contains("secret"), "{told}");
    }
}
