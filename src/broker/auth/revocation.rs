//! Who may no longer come in, whatever it can prove. The list may name millions of devices, so it is kept as sorted
//! 128-bit prefixes of SHA-256: 16 bytes each, one binary search, and no name that is not listed ever meets one by
//! chance or by design.
//!
//! ```text
//! # stolen from the depot
//! device manhole_cover/510104-7
//! class  faulty_meter
//! application street-board
//! serial 00:9a:3f:11
//! ```

use std::io::{BufRead, Read as _};

use sha2::{Digest as _, Sha256};

use super::super::access::{Fault, Place};
use crate::{
    broker::{certificate::PeerCertificate, principal::Principal},
    domain::{ClassId, Identity},
};

/// Longest line, bytes: two ids and a comment.
const LINE_BYTES_MAX: u64 = 1024;
/// Most entries: half as many again as the city has devices, 512 MiB.
const ENTRIES_MAX: usize = 32_000_000;
/// Longest serial number, bytes: RFC 5280 allows 20, some issuers more.
const SERIAL_BYTES_MAX: usize = 64;

/// What an entry is about; a tag in its hash, so that no name of one kind is found as another's.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Device = 1,
    Class = 2,
    Application = 3,
    Serial = 4,
}

/// The revocation list.
#[derive(Debug, Default)]
pub(crate) struct Revocations {
    sorted: Vec<u128>,
}

impl Revocations {
    /// Reads a list, line by line.
    ///
    /// # Errors
    /// The first line that cannot be read.
    pub(crate) fn read(mut text: impl BufRead) -> Result<Self, Fault> {
        let mut sorted = Vec::new();
        let mut line = String::new();
        for number in 1_usize.. {
            line.clear();
            let fault = |what: String| Fault::at(Place::Line(number), what);
            let read = text
                .by_ref()
                .take(LINE_BYTES_MAX)
                .read_line(&mut line)
                .map_err(|error| fault(error.to_string()))?;
            if read == 0 {
                break;
            }
            if !line.ends_with('\n') && u64::try_from(read).is_ok_and(|n| n == LINE_BYTES_MAX) {
                return Err(fault(format!("is longer than {LINE_BYTES_MAX} bytes")));
            }
            if let Some(entry) = entry(&line).map_err(fault)? {
                sorted.push(entry);
            }
            if sorted.len() > ENTRIES_MAX {
                return Err(fault(format!(
                    "is beyond the {ENTRIES_MAX} entries that are kept"
                )));
            }
        }
        sorted.sort_unstable();
        sorted.dedup();
        sorted.shrink_to_fit();
        Ok(Self { sorted })
    }

    /// Entries.
    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether a client is listed, by its name, its class or its certificate.
    pub(crate) fn lists(
        &self,
        principal: &Principal,
        certificate: Option<&PeerCertificate>,
    ) -> bool {
        if self.sorted.is_empty() {
            return false;
        }
        let named = match principal {
            Principal::Device(identity) => {
                self.has(Kind::Device, identity.as_str().as_bytes())
                    || self.has(Kind::Class, identity.class().as_bytes())
            }
            Principal::Application(name) => self.has(Kind::Application, name.as_bytes()),
            Principal::Anonymous => false,
        };
        named || certificate.is_some_and(|shown| self.has(Kind::Serial, plain(&shown.serial)))
    }

    fn has(&self, kind: Kind, name: &[u8]) -> bool {
        self.sorted.binary_search(&hash(kind, name)).is_ok()
    }
}

fn entry(line: &str) -> Result<Option<u128>, String> {
    let text = line.split('#').next().unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(None);
    }
    let (kind, name) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let name = name.trim_start();
    let unfit = |error: &dyn std::fmt::Display| format!("{kind}: {error}");
    let hash = match kind {
        "device" => {
            let identity = Identity::parse(name).map_err(|error| unfit(&error))?;
            hash(Kind::Device, identity.as_str().as_bytes())
        }
        "class" => {
            let class = ClassId::new(name).map_err(|error| unfit(&error))?;
            hash(Kind::Class, class.as_str().as_bytes())
        }
        "application" => match Principal::application(name) {
            Some(_) => hash(Kind::Application, name.as_bytes()),
            None => return Err(format!("application: {name:?} is no application's name")),
        },
        "serial" => {
            let digits: String = name.chars().filter(|&c| c != ':').collect();
            let padded = if digits.len() % 2 == 1 {
                format!("0{digits}")
            } else {
                digits
            };
            match hex::decode(&padded) {
                Ok(serial) if !serial.is_empty() && serial.len() <= SERIAL_BYTES_MAX => {
                    hash(Kind::Serial, plain(&serial))
                }
                _ => return Err(format!("serial: {name:?} is no serial number in hex")),
            }
        }
        other => {
            return Err(format!(
                "{other:?} is not one of: device, class, application, serial"
            ));
        }
    };
    Ok(Some(hash))
}

/// A serial number without the zero bytes in front that DER or a tool may put there.
fn plain(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|&&byte| byte == 0).count();
    serial.get(zeros..).unwrap_or_default()
}

fn hash(kind: Kind, name: &[u8]) -> u128 {
    let digest = Sha256::new()
        .chain_update([kind as u8])
        .chain_update(name)
        .finalize();
    let prefix = digest.first_chunk::<16>().copied().unwrap_or_default();
    u128::from_be_bytes(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> Principal {
        Principal::Device(Identity::parse(name).unwrap())
    }

    #[test]
    fn who_is_listed_is_found_by_name_class_application_and_serial() {
        let list = "# stolen\n\ndevice lamp/7  # in May\nclass\tmeter\r\napplication board\nserial 00:9A:3f\nserial abc\n";
        let list = Revocations::read(list.as_bytes()).unwrap();
        assert_eq!(list.len(), 5);
        assert!(list.lists(&device("lamp/7"), None));
        assert!(!list.lists(&device("lamp/8"), None));
        assert!(list.lists(&device("meter/1"), None));
        assert!(list.lists(&Principal::application("board").unwrap(), None));
        assert!(!list.lists(&Principal::application("meter").unwrap(), None));
        assert!(!list.lists(&Principal::Anonymous, None));
        let with = |serial: &[u8]| PeerCertificate::of(serial, "lamp/8", &[], &[]);
        for (serial, wanted) in [
            (&[0x9a, 0x3f][..], true),
            (&[0, 0, 0x9a, 0x3f], true),
            (&[0x0a, 0xbc], true),
            (&[0x9a], false),
            (&[], false),
        ] {
            assert_eq!(
                list.lists(&device("lamp/8"), Some(&with(serial))),
                wanted,
                "{serial:x?}"
            );
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let long = format!("device lamp/{}\n", "7".repeat(2000));
        for (line, wanted) in [
            (
                "device lamp",
                "device: username \"lamp\" is not of the form class/device",
            ),
            ("device lamp/+", "holds '+'"),
            ("class a/b", "class: "),
            ("application a b", "no application's name"),
            ("serial xyz", "no serial number"),
            ("serial", "no serial number"),
            ("lamp/7", "is not one of"),
            (&long, "is longer than"),
        ] {
            let text = format!("# first\n{line}\n");
            let fault = Revocations::read(text.as_bytes()).unwrap_err();
            let told = fault.to_string();
            assert!(
                told.starts_with("2: ") && told.contains(wanted),
                "{line}: {told}"
            );
        }
        assert!(Revocations::read(&b"device \xff"[..]).is_err());
    }

    #[test]
    fn an_entry_takes_16_bytes() {
        let text: String = (0..1000).map(|n| format!("device lamp/{n}\n")).collect();
        let list = Revocations::read(text.as_bytes()).unwrap();
        assert_eq!((list.len(), list.sorted.capacity()), (1000, 1000));
    }
}
