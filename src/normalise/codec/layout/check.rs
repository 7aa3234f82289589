//! Sums and cyclic checks of a frame.

use super::{
    super::{super::payload::Reject, bits, check_failed, malformed},
    options::{self, CheckOrder},
};

#[derive(Debug, Clone)]
enum Algorithm {
    Sum8,
    Xor8,
    Sum16,
    Crc8 {
        table: Box<[u8; 256]>,
        init: u8,
        xorout: u8,
    },
    /// Most significant bit first.
    Crc16 {
        table: Box<[u16; 256]>,
        init: u16,
        xorout: u16,
    },
    /// Least significant bit first.
    Reflected16 {
        table: Box<[u16; 256]>,
        init: u16,
        xorout: u16,
    },
}

/// A compiled check.
#[derive(Debug, Clone)]
pub(super) struct Check {
    kind: String,
    algorithm: Algorithm,
    from: i64,
    to: Option<i64>,
    at: Option<i64>,
    order: CheckOrder,
}

/// Which bit of a byte goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BitOrder {
    HighFirst,
    LowFirst,
}

impl BitOrder {
    fn of(options: &options::Check) -> Self {
        match options.reflected {
            Some(true) => Self::LowFirst,
            _ => Self::HighFirst,
        }
    }
}

fn table16(poly: u16, order: BitOrder) -> Box<[u16; 256]> {
    let mut table = Box::new([0_u16; 256]);
    for (byte, entry) in (0_u16..).zip(table.iter_mut()) {
        *entry = if order == BitOrder::LowFirst {
            let poly = poly.reverse_bits();
            (0..8).fold(byte, |crc, _| {
                if crc & 1 == 1 {
                    crc >> 1 ^ poly
                } else {
                    crc >> 1
                }
            })
        } else {
            (0..8).fold(byte << 8, |crc, _| {
                if crc >> 15 == 1 {
                    crc << 1 ^ poly
                } else {
                    crc << 1
                }
            })
        };
    }
    table
}

fn table8(poly: u8, order: BitOrder) -> Box<[u8; 256]> {
    let mut table = Box::new([0_u8; 256]);
    for (byte, entry) in (0_u8..=255).zip(table.iter_mut()) {
        *entry = (0..8).fold(byte, |crc, _| match order {
            BitOrder::LowFirst if crc & 1 == 1 => crc >> 1 ^ poly.reverse_bits(),
            BitOrder::LowFirst => crc >> 1,
            BitOrder::HighFirst if crc >> 7 == 1 => crc << 1 ^ poly,
            BitOrder::HighFirst => crc << 1,
        });
    }
    table
}

impl Check {
    pub(super) fn new(options: &options::Check) -> Result<Option<Self>, String> {
        let given = (
            options.poly,
            options.init,
            options.xorout,
            options.reflected,
        );
        let is_named = !matches!(options.kind.as_str(), "crc8" | "crc16");
        if is_named && given != (None, None, None, None) {
            return Err(format!(
                "check: poly, init, xorout and reflected belong to crc8 and crc16, not to {}",
                options.kind
            ));
        }
        let algorithm = match options.kind.as_str() {
            "none" => return Ok(None),
            "sum8" => Algorithm::Sum8,
            "xor8" => Algorithm::Xor8,
            "sum16" => Algorithm::Sum16,
            "crc8" => crc8(options)?,
            "crc16_modbus" => crc16(0x8005, 0xFFFF, 0, BitOrder::LowFirst),
            "crc16_ccitt" => crc16(0x1021, 0xFFFF, 0, BitOrder::HighFirst),
            "crc16_xmodem" => crc16(0x1021, 0, 0, BitOrder::HighFirst),
            "crc16_kermit" => crc16(0x1021, 0, 0, BitOrder::LowFirst),
            "crc16" => crc16(
                options.poly.ok_or("check: crc16 wants poly")?,
                options.init.unwrap_or(0),
                options.xorout.unwrap_or(0),
                BitOrder::of(options),
            ),
            other => {
                return Err(format!(
                    "check: {other:?} is no kind; there are none, sum8, xor8, sum16, crc8, crc16_modbus, crc16_ccitt, \
                     crc16_xmodem, crc16_kermit, crc16"
                ));
            }
        };
        let order = options.order.unwrap_or(match options.kind.as_str() {
            "crc16_modbus" => CheckOrder::Le,
            _ => CheckOrder::Be,
        });
        Ok(Some(Self {
            kind: options.kind.clone(),
            algorithm,
            from: options.from,
            to: options.to,
            at: options.at,
            order,
        }))
    }

    pub(super) fn bytes(&self) -> usize {
        match self.algorithm {
            Algorithm::Sum8 | Algorithm::Xor8 | Algorithm::Crc8 { .. } => 1,
            _ => 2,
        }
    }

    /// Where the check stands, behind the body if it stands at the frame's end.
    pub(super) fn place(&self, frame_bytes: usize, end_bytes: usize) -> Option<usize> {
        match self.at {
            Some(at) => offset(at, frame_bytes),
            None => frame_bytes
                .checked_sub(end_bytes)?
                .checked_sub(self.bytes()),
        }
    }

    fn span<'a>(&self, frame: &'a [u8], at: usize) -> Option<&'a [u8]> {
        let from = offset(self.from, frame.len())?;
        let to = self.to.map_or(Some(at), |to| offset(to, frame.len()))?;
        frame.get(from..to)
    }

    fn compute(&self, span: &[u8]) -> u16 {
        match &self.algorithm {
            Algorithm::Sum8 => u16::from(bits::sum8(span)),
            Algorithm::Xor8 => u16::from(bits::xor8(span)),
            Algorithm::Sum16 => span
                .iter()
                .fold(0, |sum: u16, byte| sum.wrapping_add(u16::from(*byte))),
            Algorithm::Crc8 {
                table,
                init,
                xorout,
            } => {
                let step = |crc: u8, byte: &u8| entry(table.as_slice(), crc ^ byte);
                u16::from(span.iter().fold(*init, step) ^ xorout)
            }
            Algorithm::Crc16 {
                table,
                init,
                xorout,
            } => {
                let step = |crc: u16, byte: &u8| {
                    let [high, low] = crc.to_be_bytes();
                    u16::from(low) << 8 ^ entry(table.as_slice(), high ^ byte)
                };
                span.iter().fold(*init, step) ^ xorout
            }
            Algorithm::Reflected16 {
                table,
                init,
                xorout,
            } => {
                let step = |crc: u16, byte: &u8| {
                    let [high, low] = crc.to_be_bytes();
                    u16::from(high) ^ entry(table.as_slice(), low ^ byte)
                };
                span.iter().fold(*init, step) ^ xorout
            }
        }
    }

    /// Compares.
    pub(super) fn verify(&self, frame: &[u8], end_bytes: usize) -> Result<(), Reject> {
        let short = || malformed(frame.len(), "too short for its check");
        let at = self.place(frame.len(), end_bytes).ok_or_else(short)?;
        let computed = self.compute(self.span(frame, at).ok_or_else(short)?);
        let raw = frame.get(at..).ok_or_else(short)?;
        let fits = |found: u16| -> Result<(), Reject> {
            if found == computed {
                return Ok(());
            }
            Err(check_failed(
                &self.kind,
                u64::from(found),
                u64::from(computed),
            ))
        };
        if self.bytes() == 1 {
            return fits(u16::from(*raw.first().ok_or_else(short)?));
        }
        let raw = *raw.first_chunk().ok_or_else(short)?;
        match self.order {
            CheckOrder::Be => fits(u16::from_be_bytes(raw)),
            CheckOrder::Le => fits(u16::from_le_bytes(raw)),
            CheckOrder::Either => fits(u16::from_be_bytes(raw))
                .or_else(|reject| fits(u16::from_le_bytes(raw)).map_err(|_swapped| reject)),
        }
    }

    /// How long a frame of so many bytes is with its check, without its end.
    #[cfg(any(test, feature = "harness"))]
    pub(super) fn room(&self, bytes: usize, end_bytes: usize) -> usize {
        match self.at.map(|at| {
            (
                usize::try_from(at),
                usize::try_from(at.unsigned_abs()).unwrap_or(0),
            )
        }) {
            None => bytes + self.bytes(),
            Some((Ok(at), _)) => bytes.max(at + self.bytes()),
            Some((Err(_), before)) => bytes + before.saturating_sub(end_bytes),
        }
    }

    /// Puts the check into a frame that is whole but for it.
    #[cfg(any(test, feature = "harness"))]
    pub(super) fn write(&self, frame: &mut [u8], end_bytes: usize) -> Result<(), String> {
        let short = || "too short for its check".to_owned();
        let at = self.place(frame.len(), end_bytes).ok_or_else(short)?;
        let computed = self.compute(self.span(frame, at).ok_or_else(short)?);
        let raw = match (self.bytes(), self.order) {
            (1, _) => vec![computed.to_be_bytes()[1]],
            (_, CheckOrder::Le) => computed.to_le_bytes().to_vec(),
            _ => computed.to_be_bytes().to_vec(),
        };
        let places = frame.iter_mut().skip(at).zip(raw);
        places.for_each(|(place, byte)| *place = byte);
        Ok(())
    }
}

fn entry<T: Copy + Default>(table: &[T], at: u8) -> T {
    table.get(usize::from(at)).copied().unwrap_or_default()
}

fn crc8(options: &options::Check) -> Result<Algorithm, String> {
    let byte = |name: &str, value: Option<u16>, default| {
        u8::try_from(value.unwrap_or(default))
            .map_err(|_wide| format!("check.{name} of crc8 is a byte"))
    };
    let poly = byte("poly", options.poly, 7)?;
    let init = byte("init", options.init, 0)?;
    let order = BitOrder::of(options);
    Ok(Algorithm::Crc8 {
        table: table8(poly, order),
        init: if order == BitOrder::LowFirst {
            init.reverse_bits()
        } else {
            init
        },
        xorout: byte("xorout", options.xorout, 0)?,
    })
}

fn crc16(poly: u16, init: u16, xorout: u16, order: BitOrder) -> Algorithm {
    let table = table16(poly, order);
    match order {
        BitOrder::LowFirst => Algorithm::Reflected16 {
            table,
            init: init.reverse_bits(),
            xorout,
        },
        BitOrder::HighFirst => Algorithm::Crc16 {
            table,
            init,
            xorout,
        },
    }
}

/// An offset from the front, or from the end if it is negative.
fn offset(at: i64, bytes: usize) -> Option<usize> {
    match usize::try_from(at) {
        Ok(at) => Some(at),
        Err(_) => bytes.checked_sub(usize::try_from(at.unsigned_abs()).ok()?),
    }
}
