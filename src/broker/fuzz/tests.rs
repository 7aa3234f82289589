//! The smoke run: the kept corpus as it is, and mutated from a fixed seed.

use std::{fs, path::PathBuf};

use super::{jwt, packet, proxy, session, topics, websocket};

/// xorshift64: the same bytes on every machine.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next()).unwrap() % most.max(1)
    }

    fn mutate(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(6) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.next().to_le_bytes()[0]),
                2 => {
                    let other = &corpus[self.below(corpus.len())];
                    let from = self.below(other.len() + 1);
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[from..]);
                }
                3 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                4 if at < bytes.len() => drop(bytes.remove(at)),
                _ if at < bytes.len() => bytes[at] = self.next().to_le_bytes()[0],
                _ => {}
            }
        }
        bytes.truncate(4096);
        bytes
    }
}

fn smoke(name: &str, mutations: usize, target: impl Fn(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(!corpus.is_empty(), "{name} has no corpus");
    for bytes in &corpus {
        target(bytes);
    }
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for _ in 0..mutations {
        target(&chance.mutate(&corpus));
    }
}

#[test]
fn the_packet_path_keeps_its_invariants_on_the_corpus_and_its_mutations() {
    smoke("packet", 50_000, packet);
}

#[test]
fn tokens_let_nobody_in_who_is_nobody_on_the_corpus_and_its_mutations() {
    smoke("jwt", 20_000, jwt);
}

#[test]
fn proxy_headers_keep_their_invariants_on_the_corpus_and_its_mutations() {
    smoke("proxy", 20_000, proxy);
}

#[test]
fn websockets_keep_their_invariants_on_the_corpus_and_its_mutations() {
    smoke("websocket", 20_000, websocket);
}

#[test]
fn topics_and_filters_keep_their_invariants_on_the_corpus_and_its_mutations() {
    smoke("topics", 20_000, topics);
}

#[test]
fn sessions_keep_their_invariants_on_the_corpus_and_its_mutations() {
    smoke("session", 1_500, session);
}
