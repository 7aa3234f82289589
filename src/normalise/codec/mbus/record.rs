//! One record of variable data: its head (DIF, DIFE, VIF, VIFE), then its value.

use super::super::super::{payload::Reject, quality::Quality};
use super::super::bits::Bytes;
use super::super::malformed;
use super::key::{Modifier, Place, Quantity, text_number};
use super::vif::{self, Extension, Kind, Meaning};

/// Extensions that a DIF or VIF may have.
const EXTENSIONS_MAX: u32 = 10;
const MORE: u8 = 0x80;
/// Plain text follows the VIF.
const PLAIN: u8 = 0x7C;

/// What stands in front of a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    /// The low half of the DIF: width and coding.
    pub(super) coding: u8,
    pub(super) place: Place,
    pub(super) kind: Kind,
    pub(super) exponent: i8,
    pub(super) unit: Option<&'static str>,
    pub(super) quality: Quality,
    /// Whether the meter says that it has a value.
    pub(super) presence: Presence,
}

/// Whether there is a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Present,
    Absent,
}

impl Head {
    /// Of a DIF that is no special function, and what follows it.
    pub(super) fn read(dif: u8, data: &mut Bytes<'_>, texts: &[String]) -> Result<Self, Reject> {
        let mut place = Place::new(0);
        place.storage = u64::from(dif >> 6 & 1);
        place.function = u64::from(dif >> 4 & 3);
        let mut more = dif & MORE != 0;
        for number in 0.. {
            if !more {
                break;
            }
            if number == EXTENSIONS_MAX {
                return Err(malformed(data.at(), "an eleventh DIFE"));
            }
            let dife = data.u8()?;
            place.storage |= u64::from(dife & 0x0F) << (4 * number + 1);
            place.tariff |= u64::from(dife >> 4 & 3) << (2 * number);
            place.unit |= u64::from(dife >> 6 & 1) << number;
            more = dife & MORE != 0;
        }
        let mut head = Self {
            coding: dif & 0x0F,
            place,
            kind: Kind::Number,
            exponent: 0,
            unit: None,
            quality: Quality::GOOD,
            presence: Presence::Present,
        };
        head.value_information(data, texts)?;
        Ok(head)
    }

    fn value_information(&mut self, data: &mut Bytes<'_>, texts: &[String]) -> Result<(), Reject> {
        let vif = data.u8()?;
        let mut more = vif & MORE != 0;
        let meaning = match vif {
            0xFB | 0xFD => {
                let vife = data.u8()?;
                more = vife & MORE != 0;
                match vif {
                    0xFB => vif::behind_fb(vife & !MORE),
                    _ => vif::behind_fd(vife & !MORE),
                }
            }
            _ if vif & !MORE == PLAIN => self.plain_text(data, texts)?,
            _ => vif::primary(vif & !MORE),
        };
        if meaning.quantity != Quantity::PlainText {
            self.place.quantity = meaning.quantity.number();
        }
        self.kind = meaning.kind;
        self.exponent = meaning.exponent;
        self.unit = meaning.unit;
        let mut is_makers = vif & !MORE == 0x7F;
        let mut is_further = false;
        for number in 0.. {
            if !more {
                break;
            }
            if number == EXTENSIONS_MAX {
                return Err(malformed(data.at(), "an eleventh VIFE"));
            }
            let vife = data.u8()?;
            more = vife & MORE != 0;
            if is_makers {
                continue;
            }
            let extension = match is_further {
                true => Extension::Modifier(vif::further(vife & !MORE)),
                false => vif::extension(vife & !MORE),
            };
            is_further = extension == Extension::Further;
            is_makers = extension == Extension::Modifier(Modifier::Maker);
            self.extend(extension);
        }
        Ok(())
    }

    fn extend(&mut self, extension: Extension) {
        match extension {
            Extension::Modifier(modifier) => {
                self.place.modifier = modifier;
                if matches!(
                    modifier,
                    Modifier::BelowCount
                        | Modifier::AboveCount
                        | Modifier::Derived
                        | Modifier::Maker
                ) {
                    self.unit = None;
                }
                if matches!(modifier, Modifier::BelowCount | Modifier::AboveCount) {
                    self.exponent = 0;
                }
            }
            Extension::Lasting(modifier, unit) => {
                self.place.modifier = modifier;
                (self.kind, self.exponent, self.unit) = (Kind::Number, 0, Some(unit));
            }
            Extension::When(modifier) => {
                self.place.modifier = modifier;
                (self.kind, self.exponent, self.unit) = (Kind::Calendar, 0, None);
            }
            Extension::Factor(exponent) => self.exponent = self.exponent.saturating_add(exponent),
            Extension::NoData => self.presence = Presence::Absent,
            Extension::Beyond => self.quality = Quality::RANGE_EXCEEDED,
            Extension::Wrong => self.quality = Quality::BAD,
            Extension::Further => {}
        }
    }

    /// The text of a VIF: its length, then its last character first.
    fn plain_text(&mut self, data: &mut Bytes<'_>, texts: &[String]) -> Result<Meaning, Reject> {
        let len = data.u8()?;
        let raw = data.take(usize::from(len))?;
        let is_it = |text: &&String| text.bytes().rev().eq(raw.iter().copied());
        let known = texts.iter().position(|text| is_it(&text));
        self.place.quantity = known.map_or(Quantity::PlainText.number(), text_number);
        Ok(Meaning {
            quantity: Quantity::PlainText,
            exponent: 0,
            unit: known
                .and_then(|place| texts.get(place))
                .and_then(|text| vif::of_text(text)),
            kind: Kind::Number,
        })
    }
}
