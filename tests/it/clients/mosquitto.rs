//! mosquitto's command-line clients: a process for each subscriber, and one for each run of messages that a single
//! `mosquitto_pub` can say.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use serde::Deserialize;
use serde_json::Value;

use super::{
    foreign::{Lines, Player, Process},
    round::{Access, Heard, Message, Round, Seen},
};

/// Seconds that a session of somebody who is away lasts.
const SESSION_S: &str = "300";

pub(super) struct Mosquitto;

/// A message as `mosquitto_sub -F %j` prints it.
#[derive(Deserialize)]
struct Printed {
    topic: String,
    #[serde(default)]
    payload: Option<String>,
    qos: u8,
    retain: u8,
    #[serde(default)]
    properties: Value,
}

impl From<Printed> for Heard {
    fn from(printed: Printed) -> Self {
        let mark = &printed.properties["user-properties"]["mark"];
        Self {
            topic: printed.topic,
            payload: printed.payload.unwrap_or_default(),
            qos: printed.qos,
            retain: printed.retain == 1,
            mark: mark.as_str().map(str::to_owned),
        }
    }
}

/// How a subscriber's session begins and ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Session {
    Clean,
    /// Subscribes and goes.
    Left,
    Resumed,
}

/// Subscribers of a round, in the order of their filters.
struct Crowd {
    members: Vec<Member>,
    lines: Lines,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "what it waits for, one flag each"
)]
struct Member {
    process: Process,
    heard: Vec<Heard>,
    subscribed: bool,
    ended: bool,
}

fn client(program: &str, round: &Round, name: &str, qos: u8) -> Command {
    let Access {
        address,
        user,
        password,
        ca,
        cert,
        key,
        ..
    } = &round.access;
    // Its output is a pipe, and each line is wanted when it is said.
    let mut command = Command::new("stdbuf");
    command.args(["-oL", program]);
    command.args(["-h", &address.ip().to_string()]);
    command.args(["-p", &address.port().to_string()]);
    command.args(["-V", if round.version == 5 { "5" } else { "311" }]);
    command.args(["-q", &qos.to_string()]);
    command.args(["-i", &format!("{}-{name}", round.name)]);
    for (flag, text) in [("-u", user), ("-P", password)] {
        if let Some(text) = text {
            command.args([flag, text]);
        }
    }
    for (flag, file) in [("--cafile", ca), ("--cert", cert), ("--key", key)] {
        if let Some(file) = file {
            command.arg(flag).arg(file);
        }
    }
    command
}

fn marked(command: &mut Command, round: &Round, packet: &str) {
    if let Some(mark) = round.mark() {
        command.args(["-D", packet, "user-property", "mark", &mark]);
    }
}

impl Crowd {
    fn new() -> Self {
        Self {
            members: Vec::new(),
            lines: Lines::new(),
        }
    }

    /// The subscribers of a round, each subscribed before the next begins; the error is the code of CONNACK.
    fn open(round: &Round, session: Session) -> Result<Self, u8> {
        let mut crowd = Self::new();
        for (number, filters) in round.subscribers.iter().enumerate() {
            let name = format!("subscriber-{number}");
            let mut command = client("mosquitto_sub", round, &name, round.qos);
            if session != Session::Clean {
                command.arg("-c");
                if round.version == 5 {
                    command.args(["-x", SESSION_S]);
                }
            }
            let mut filters: Vec<_> = filters.iter().map(String::as_str).collect();
            if session == Session::Left {
                command.arg("-E");
            } else {
                filters.push(&round.end);
            }
            crowd.join(command, &filters)?;
            if session == Session::Left {
                crowd.until(|members| members[number].ended);
            }
        }
        Ok(crowd)
    }

    fn join(&mut self, mut command: Command, filters: &[&str]) -> Result<(), u8> {
        command.args(["-d", "-F", "%j"]);
        for filter in filters {
            command.args(["-t", filter]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let number = self.members.len();
        self.lines.follow(number, child.stdout.take().unwrap());
        self.members.push(Member {
            process: Process(child),
            heard: Vec::new(),
            subscribed: false,
            ended: false,
        });
        self.until(|members| members[number].subscribed || members[number].ended);
        let member = &mut self.members[number];
        if member.subscribed {
            return Ok(());
        }
        let code = member.process.0.wait().unwrap().code().unwrap();
        Err(u8::try_from(code).unwrap())
    }

    /// Takes what they say until this holds.
    fn until(&mut self, holds: impl Fn(&[Member]) -> bool) {
        while !holds(&self.members) {
            let (number, line) = self.lines.next();
            let member = &mut self.members[number];
            match line {
                None => member.ended = true,
                Some(line) if line.starts_with("Subscribed (") => member.subscribed = true,
                Some(line) if line.starts_with('{') => {
                    let printed: Printed = serde_json::from_str(&line).unwrap();
                    member.heard.push(printed.into());
                }
                // Remarks on packets.
                Some(_) => {}
            }
        }
    }
}

/// Publishes in order; what one process cannot say is said by the next.
fn publish(round: &Round, messages: &[Message], qos: u8) {
    let together = |one: &Message, other: &Message| {
        let both = !one.payload.is_empty() && !other.payload.is_empty();
        both && one.topic == other.topic && one.retain == other.retain
    };
    for run in messages.chunk_by(together) {
        let mut command = client("mosquitto_pub", round, "publisher", qos);
        command.args(["-t", &run[0].topic]);
        marked(&mut command, round, "publish");
        if run[0].retain {
            command.arg("-r");
        }
        let lines: String = run
            .iter()
            .map(|message| message.payload.clone() + "\n")
            .collect();
        if run.len() > 1 {
            command.arg("-l");
        } else if run[0].payload.is_empty() {
            command.arg("-n");
        } else {
            command.args(["-m", &run[0].payload]);
        }
        let mut process = Process(command.stdin(Stdio::piped()).spawn().unwrap());
        let mut input = process.0.stdin.take().unwrap();
        if run.len() > 1 {
            input.write_all(lines.as_bytes()).unwrap();
        }
        drop(input);
        let status = process.0.wait().unwrap();
        assert!(status.success(), "{}: mosquitto_pub: {status}", round.name);
    }
}

fn play(round: &Round, start: &dyn Fn()) -> Result<Vec<Vec<Heard>>, u8> {
    publish(round, &round.before, round.qos.max(1));
    let session = match round.away {
        true => Session::Left,
        false => Session::Clean,
    };
    let mut crowd = Crowd::open(round, session)?;
    start();
    if let Some(will) = &round.will {
        let mut command = client("mosquitto_sub", round, "willing", round.qos);
        command.args(["--will-topic", &will.topic, "--will-payload", &will.payload]);
        command.args(["--will-qos", &round.qos.to_string()]);
        marked(&mut command, round, "will");
        // It is killed where its crowd ends.
        Crowd::new().join(command, &[&round.end])?;
    }
    publish(round, &round.publish, round.qos);
    if round.away {
        crowd = Crowd::open(round, Session::Resumed)?;
    }
    let count = |members: &[Member]| {
        members
            .iter()
            .map(|member| member.heard.len())
            .sum::<usize>()
    };
    crowd.until(|members| count(members) >= round.heard);
    let end = Message {
        topic: round.end.clone(),
        payload: "end".to_owned(),
        retain: false,
    };
    publish(round, &[end], round.qos);
    let is_end = |heard: &Heard| heard.topic == round.end;
    crowd.until(|members| members.iter().all(|member| member.heard.iter().any(is_end)));
    let heard = |member: Member| {
        let heard = member.heard.into_iter();
        heard.filter(|heard| !is_end(heard)).collect()
    };
    Ok(crowd.members.into_iter().map(heard).collect())
}

impl Player for Mosquitto {
    fn play(&mut self, round: &Round, start: &dyn Fn()) -> Seen {
        match play(round, start) {
            Ok(heard) => Seen::Heard(heard),
            Err(code) => Seen::Refused(code),
        }
    }
}
