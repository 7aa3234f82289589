//! Frames that come in several payloads, and messages of several packets.

use super::*;
use crate::{
    domain::PieceId,
    normalise::{Memory, profile::Outcome},
};

const STACK: &str = r#"
class = "cems_flue_gas"
topics = ["dtu/{device}/up"]
[codec]
kind = "hj212"
[time]
from = "DataTime"
[fields.so2]
from = "a21026-Rtd"
[fields.nox]
from = "a21002-Rtd"
"#;

/// Appendix A of HJ 212-2017.
fn crc(segment: &str) -> u16 {
    segment.bytes().fold(0xFFFF, |crc, byte| {
        let crc = (crc >> 8) ^ u16::from(byte);
        (0..8).fold(crc, |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xA001
            } else {
                crc >> 1
            }
        })
    })
}

fn frame(heads: &str, contents: &str) -> Vec<u8> {
    let segment = format!(
        "QN=20240123113200000;ST=31;CN=2011;PW=123456;MN=A110000_0001;Flag=4{heads};CP=&&{contents}&&"
    );
    format!("##{:04}{segment}{:04X}\r\n", segment.len(), crc(&segment)).into_bytes()
}

fn whole(so2: u32) -> Vec<u8> {
    let contents = format!("DataTime=20240123113200;a21026-Rtd={so2},a21026-Flag=N");
    frame("", &contents)
}

fn packet(number: u32, contents: &str) -> Vec<u8> {
    frame(&format!(";PNUM=3;PNO={number}"), contents)
}

#[derive(PartialEq, Eq)]
enum Spool {
    HasRoom,
    IsFull,
}

/// A gateway with its memory, as one topic sees it.
struct Line {
    profile: Profile,
    classes: Classes,
    memory: Memory,
    second: u64,
}

impl Line {
    fn new() -> Self {
        Self {
            profile: profile(STACK).unwrap(),
            classes: Classes::embedded().unwrap(),
            memory: Memory::of_devices(10),
            second: 0,
        }
    }

    fn hear_as(&mut self, bytes: &[u8], spool: Spool) -> (Outcome, Vec<serde_json::Value>) {
        let report = Report {
            topic: "dtu/stack-1/up",
            canonical: None,
            publisher: None,
            bytes,
            received_at: UnixNanos(RECEIVED_AT.0 + self.second * 1_000_000_000),
            attributes: &[],
            memory: Some(&self.memory),
            may_report: &|_, _| true,
        };
        let mut out = Encoded::default();
        let mut outcome = self
            .profile
            .read(&report, (&self.classes, &LIMITS), &mut out);
        if spool == Spool::HasRoom {
            outcome.keep_pieces(&self.profile, &report);
        } else {
            outcome.return_pieces(&self.profile, &report);
        }
        (
            outcome,
            render::readings(&self.classes, &out.bytes).unwrap(),
        )
    }

    fn hear(&mut self, bytes: &[u8]) -> (Outcome, Vec<serde_json::Value>) {
        self.hear_as(bytes, Spool::HasRoom)
    }
}

/// The names of the pieces that a payload left waiting.
fn waiting(outcome: &Outcome) -> Vec<PieceId> {
    let pieces = outcome.unread.iter().filter_map(|unread| unread.piece);
    pieces.collect()
}

fn so2(readings: &[serde_json::Value]) -> Vec<f64> {
    let values = readings
        .iter()
        .map(|reading| reading["values"]["so2"]["value"].as_f64().unwrap());
    values.collect()
}

#[test]
fn a_frame_cut_anywhere_becomes_one_reading_with_the_last_part() {
    let frame = whole(12);
    for cut in 1..frame.len() - 2 {
        let mut line = Line::new();
        let (outcome, readings) = line.hear(&frame[..cut]);
        assert_eq!(readings.len(), 0, "cut at {cut}");
        let pieces = waiting(&outcome);
        assert_eq!((pieces.len(), outcome.unread.len()), (1, 1), "cut at {cut}");
        let (outcome, readings) = line.hear(&frame[cut..]);
        assert_eq!(so2(&readings), [12.0], "cut at {cut}");
        assert_eq!(outcome.joined, pieces);
        assert_eq!(outcome.unread, []);
        assert_eq!(line.memory.waiting().0, 0);
    }
}

#[test]
fn whole_frames_around_the_cut_are_readings_of_their_own_payload() {
    let (mut line, frames) = (Line::new(), [whole(1), whole(2), whole(3)].concat());
    let cut = whole(1).len() + 30;
    let (first, readings) = line.hear(&frames[..cut]);
    assert_eq!(so2(&readings), [1.0]);
    assert_eq!(first.unread[0].range, whole(1).len()..cut);
    let (second, readings) = line.hear(&frames[cut..]);
    assert_eq!(so2(&readings), [2.0, 3.0]);
    assert_eq!(second.joined, waiting(&first));
}

#[test]
fn many_small_parts_are_joined_and_too_many_are_not() {
    let (mut line, frame) = (Line::new(), whole(7));
    let frame = &frame[..frame.len() - 2];
    let mut pieces = Vec::new();
    let parts: Vec<&[u8]> = frame.chunks(frame.len().div_ceil(40)).collect();
    let (last, others) = parts.split_last().unwrap();
    for part in others {
        pieces.extend(waiting(&line.hear(part).0));
    }
    let (outcome, readings) = line.hear(last);
    assert_eq!(so2(&readings), [7.0]);
    assert_eq!(outcome.joined, pieces);

    let mut kept = 0;
    for byte in &frame[..100] {
        kept += waiting(&line.hear(&[*byte]).0).len();
    }
    assert!(kept < 100, "{kept}");
}

#[test]
fn a_tail_that_does_not_fit_stays_behind_and_the_next_payload_is_read_alone() {
    let mut line = Line::new();
    let (first, _) = line.hear(&whole(1)[..40]);
    assert_eq!(waiting(&first).len(), 1);
    let (outcome, readings) = line.hear(&whole(2));
    assert_eq!(so2(&readings), [2.0]);
    assert_eq!(outcome.joined, []);
    assert_eq!(outcome.unread, []);
    assert_eq!(line.memory.waiting().0, 0);
}

#[test]
fn a_line_end_that_comes_by_itself_is_noise() {
    let (mut line, frame) = (Line::new(), whole(1));
    let (head, line_end) = frame.split_at(frame.len() - 2);
    assert_eq!(so2(&line.hear(head).1), [1.0]);
    let (outcome, readings) = line.hear(line_end);
    assert_eq!((readings.len(), outcome.unread.len()), (0, 0));
    assert_eq!(outcome.noise, 2);
    let (outcome, _) = line.hear(b"\r\n?");
    assert_eq!(outcome.unread.len(), 1);
}

#[test]
fn what_waits_too_long_is_forgotten() {
    let (mut line, frame) = (Line::new(), whole(1));
    line.hear(&frame[..40]);
    line.second = 61;
    let (outcome, readings) = line.hear(&frame[40..]);
    assert_eq!(readings.len(), 0);
    assert_eq!(outcome.joined, []);
    assert_eq!(outcome.unread.len(), 1);
    assert_eq!(outcome.unread[0].piece, None);
}

#[test]
fn a_payload_that_was_not_placed_leaves_all_as_it_was() {
    let (mut line, frame) = (Line::new(), whole(1));
    let (first, _) = line.hear(&frame[..40]);
    for _ in 0..3 {
        let (outcome, readings) = line.hear_as(&frame[40..], Spool::IsFull);
        assert_eq!(
            (so2(&readings), outcome.joined),
            (vec![1.0], waiting(&first))
        );
    }
    let (outcome, readings) = line.hear(&frame[40..]);
    assert_eq!(
        (so2(&readings), outcome.joined),
        (vec![1.0], waiting(&first))
    );
    assert_eq!(line.memory.waiting(), (0, 0));
}

#[test]
fn packets_in_any_order_and_twice_make_one_message() {
    let one = packet(1, "DataTime=20240123113200;a21026-Rtd=5,a21026-Flag=N;");
    let two = packet(2, "a21003-Rtd=1,a21003-Flag=N;");
    let three = packet(3, "a21002-Rtd=8,a21002-Flag=N");
    let mut line = Line::new();
    let (outcome, _) = line.hear(&three);
    let mut pieces = waiting(&outcome);
    let (outcome, readings) = line.hear(&one);
    assert_eq!((readings.len(), outcome.unread.len()), (0, 1));
    pieces.extend(waiting(&outcome));
    let (outcome, _) = line.hear(&one);
    assert_eq!(
        outcome.joined,
        [pieces.pop().unwrap()],
        "the copy takes its place"
    );
    pieces.extend(waiting(&outcome));
    let (outcome, readings) = line.hear(&two);
    assert_eq!(so2(&readings), [5.0]);
    assert_eq!(readings[0]["values"]["nox"]["value"], 8.0);
    let mut joined = outcome.joined.clone();
    joined.sort_unstable();
    pieces.sort_unstable();
    assert_eq!(joined, pieces);
    assert_eq!(outcome.unread, []);
}

#[test]
fn packets_of_one_payload_never_wait() {
    let all = [
        packet(1, "DataTime=20240123113200;a21026-Rtd=5,a21026-Flag=N;"),
        packet(2, "a21003-Rtd=1,a21003-Flag=N;"),
        packet(3, "a21002-Rtd=8,a21002-Flag=N"),
    ];
    let (outcome, readings) = Line::new().hear(&all.concat());
    assert_eq!(so2(&readings), [5.0]);
    assert_eq!((outcome.unread.len(), outcome.joined.len()), (0, 0));
    // Without a memory too, as `sensegate check` reads them.
    let found = read(&profile(STACK).unwrap(), "dtu/1/up", &all.concat());
    assert_eq!(found.reasons(), []);
    assert_eq!(found.shown.len(), 1);
}

#[test]
fn a_packet_cut_in_two_waits_as_two_pieces() {
    let one = packet(1, "DataTime=20240123113200;a21026-Rtd=5,a21026-Flag=N;");
    let rest = [
        packet(2, "a21003-Rtd=1,a21003-Flag=N;"),
        packet(3, "a21002-Rtd=8,a21002-Flag=N"),
    ];
    let mut line = Line::new();
    let mut pieces = waiting(&line.hear(&one[..50]).0);
    let (outcome, _) = line.hear(&one[50..]);
    assert_eq!(outcome.joined, []);
    pieces.extend(waiting(&outcome));
    assert_eq!(pieces.len(), 2);
    let (outcome, readings) = line.hear(&rest.concat());
    assert_eq!(so2(&readings), [5.0]);
    assert_eq!(outcome.joined, pieces);
}

#[test]
fn what_waits_is_bounded_in_bytes() {
    let mut line = Line::new();
    let whole = whole(1);
    for number in 0..20_000 {
        let topic = format!("dtu/{number}/up");
        let report = Report {
            topic: &topic,
            canonical: None,
            publisher: None,
            bytes: &whole[..100],
            received_at: RECEIVED_AT,
            attributes: &[],
            memory: Some(&line.memory),
            may_report: &|_, _| true,
        };
        let mut out = Encoded::default();
        let mut outcome = line
            .profile
            .read(&report, (&line.classes, &LIMITS), &mut out);
        outcome.keep_pieces(&line.profile, &report);
    }
    let (topics, bytes) = line.memory.waiting();
    assert!(bytes <= 1 << 20, "{bytes}");
    assert!(topics > 1_000, "{topics}");
    line.second = 1;
}

#[test]
fn a_reply_repeats_what_the_report_says_and_nothing_else() {
    let text = format!(
        "{AIR}\n[reply]\ntopic = \"acme/${{topic.device}}/ack\"\npayload = '{{\"id\":\"${{/id}}\"}}'\n"
    );
    let profile = profile(&text).unwrap();
    let reply = |payload: &str| {
        let found = read(&profile, "acme/7/data", payload.as_bytes());
        let reply = found.outcome.reply?;
        Some((
            reply.stored.topic,
            String::from_utf8(reply.stored.payload).unwrap(),
        ))
    };
    assert_eq!(
        reply(r#"{"id":"a\"b","d":{"t":1}}"#),
        Some(("acme/7/ack".to_owned(), r#"{"id":"a\"b"}"#.to_owned()))
    );
    assert_eq!(
        reply(r#"{"id":17,"d":{"t":1}}"#),
        Some(("acme/7/ack".to_owned(), r#"{"id":"17"}"#.to_owned()))
    );
    assert_eq!(reply(r#"{"d":{"t":1}}"#), None);
    let long = format!(r#"{{"id":"{}","d":{{"t":1}}}}"#, "x".repeat(5_000));
    assert_eq!(reply(&long), None);
    let wrong = text.replace("${/id}", "${topic.plant}");
    let faults = super::profile(&wrong).unwrap_err();
    assert!(faults[0].contains("topic.plant"), "{faults:?}");
}
