//! Clients that are processes: their output as lines, and the scripts that play rounds with libraries of other languages.

use std::{
    io::{BufRead as _, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread,
};

use serde::Deserialize;

use super::round::{Heard, Round, Seen};
use crate::support::DEADLINE;

/// A library that plays rounds.
pub(super) trait Player: Send {
    /// Plays it to its end. `start` is called when all have subscribed, and nothing is published before it returns.
    fn play(&mut self, round: &Round, start: &dyn Fn()) -> Seen;
}

/// The lines that processes say, each with its process's number, with a limit to how long all may be silent.
pub(super) struct Lines {
    said: mpsc::SyncSender<(usize, Option<String>)>,
    lines: mpsc::Receiver<(usize, Option<String>)>,
}

impl Lines {
    pub(super) fn new() -> Self {
        let (said, lines) = mpsc::sync_channel(64);
        Self { said, lines }
    }

    pub(super) fn follow(&self, number: usize, output: impl Read + Send + 'static) {
        let said = self.said.clone();
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map(Result::unwrap);
            for line in lines.map(Some).chain([None]) {
                // Nobody listens any more when the test has ended.
                if said.send((number, line)).is_err() {
                    return;
                }
            }
        });
    }

    /// The next line of any; `None` at the end of its process's output.
    pub(super) fn next(&self) -> (usize, Option<String>) {
        let next = self.lines.recv_timeout(DEADLINE);
        next.expect("the clients say something")
    }
}

/// A process that ends with its owner.
pub(super) struct Process(pub(super) Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The folder where `scripts/install-clients` keeps the libraries; it installs what is missing.
pub(super) fn installed() -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/install-clients");
    let output = Command::new(script)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "the clients that this test drives are not installed and cannot be; what {script} said is above"
    );
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

/// A script beside this file, played by its language's interpreter.
pub(super) struct Script {
    process: Process,
    input: ChildStdin,
    lines: Lines,
}

/// A line of a script's answer: `subscribed`, or one of the others.
#[derive(Deserialize)]
struct Answer {
    name: String,
    #[serde(default)]
    subscribed: bool,
    heard: Option<Vec<Vec<Heard>>>,
    refused: Option<u8>,
    error: Option<String>,
}

impl Script {
    /// paho-mqtt.
    pub(super) fn python() -> Self {
        Self::run(python(&installed()).arg(beside("round.py")))
    }

    /// mqtt.js.
    pub(super) fn node() -> Self {
        Self::run(node(&installed()).arg(beside("round.mjs")))
    }

    fn run(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let lines = Lines::new();
        lines.follow(0, child.stdout.take().unwrap());
        Self {
            process: Process(child),
            input,
            lines,
        }
    }

    fn say(&mut self, line: &str) {
        self.input.write_all(line.as_bytes()).unwrap();
        self.input.write_all(b"\n").unwrap();
    }

    /// Waits until the process has ended by itself, content with what it did.
    pub(super) fn finish(self) {
        let Self {
            mut process, input, ..
        } = self;
        drop(input);
        assert!(process.0.wait().unwrap().success());
    }
}

impl Player for Script {
    fn play(&mut self, round: &Round, start: &dyn Fn()) -> Seen {
        self.say(&serde_json::to_string(round).unwrap());
        loop {
            let line = self.lines.next().1.expect("the script goes on");
            let answer: Answer = serde_json::from_str(&line).unwrap();
            assert_eq!(answer.name, round.name);
            if answer.subscribed {
                start();
                if round.wait {
                    self.say("");
                }
            } else if let Some(heard) = answer.heard {
                return Seen::Heard(heard);
            } else if let Some(code) = answer.refused {
                return Seen::Refused(code);
            } else {
                panic!("{}: {}", round.name, answer.error.unwrap_or(line));
            }
        }
    }
}

fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/clients")
        .join(name)
}

/// The interpreter that finds paho-mqtt.
pub(super) fn python(installed: &Path) -> Command {
    Command::new(installed.join("python/bin/python"))
}

/// The interpreter that finds mqtt.js.
pub(super) fn node(installed: &Path) -> Command {
    let mut command = Command::new("node");
    command.env("NODE_PATH", installed.join("node/node_modules"));
    command
}
