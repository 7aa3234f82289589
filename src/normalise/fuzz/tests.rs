//! The smoke run: the kept corpus as it is, and mutated from a fixed seed.

use std::{fs, path::PathBuf};

use super::{codecs, spellings};

/// xorshift64: the same bytes on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0).unwrap() % most.max(1)
    }

    /// A file of the corpus with some bytes turned, left out, put in, or taken from another.
    fn mutate(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(5) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.below(256).to_le_bytes()[0]),
                2 => {
                    let other = &corpus[self.below(corpus.len())];
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[self.below(other.len() + 1)..]);
                }
                3 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                _ if at < bytes.len() => drop(bytes.remove(at)),
                _ => {}
            }
        }
        bytes.truncate(4096);
        bytes
    }
}

fn smoke(name: &str, mutations: usize, target: impl Fn(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let entries = fs::read_dir(folder.join(name)).unwrap();
    let mut files: Vec<_> = entries.map(|file| file.unwrap().path()).collect();
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
fn payloads_of_every_format_keep_their_invariants_on_the_corpus_and_its_mutations() {
    smoke("codecs", 50_000, codecs);
}

#[test]
fn spellings_keep_their_invariants_on_the_corpus_and_its_mutations() {
    smoke("spellings", 10_000, spellings);
}
