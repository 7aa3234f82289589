//! Property sections of MQTT 5, walked through once before the library reads them. The library takes NUL in texts, calls
//! a property that stands twice malformed where MQTT 5 says protocol error (2.2.2.2, 3.1.2.11), and allocates for every
//! user property before anybody can count them.
//!
//! Which property may stand in which packet is left to the library; PUBLISH is read elsewhere ([`super::publish`]).

use rmqtt_codec::v5::DisconnectReasonCode;

use super::{Reader, USER_PROPERTIES_MAX, Violation};

const SUBSCRIPTION_ID: u8 = 0x0b;
const RECEIVE_MAXIMUM: u8 = 0x21;
const USER: u8 = 0x26;
const PACKET_SIZE_MAXIMUM: u8 = 0x27;

/// Checks a whole section.
///
/// # Errors
/// A property is unknown, cut short, stands twice, has a value that none may have, or there are too many of them.
pub(super) fn check(mut section: Reader<'_>) -> Result<(), Violation> {
    let mut seen = 0_u64;
    let mut pairs = 0;
    while !section.is_empty() {
        let property = section.u8()?;
        if property == USER {
            pairs += 1;
            if pairs > USER_PROPERTIES_MAX {
                return Err(Violation::new(
                    DisconnectReasonCode::QuotaExceeded,
                    "too many user properties",
                ));
            }
            section.text()?;
            section.text()?;
            continue;
        }
        let bit = 1_u64.checked_shl(u32::from(property)).unwrap_or(0);
        if seen & bit != 0 {
            return Err(Violation::protocol("a property stands twice"));
        }
        seen |= bit;
        check_value(property, &mut section)?;
    }
    Ok(())
}

/// Checks one property's value, by the types of MQTT 5, table 2-4.
fn check_value(property: u8, section: &mut Reader<'_>) -> Result<(), Violation> {
    match property {
        0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => {
            if section.u8()? > 1 {
                return Err(Violation::protocol("a property that is neither 0 nor 1"));
            }
        }
        RECEIVE_MAXIMUM => {
            if section.u16()? == 0 {
                return Err(Violation::protocol("receive maximum 0"));
            }
        }
        0x13 | 0x22 | 0x23 => {
            section.u16()?;
        }
        PACKET_SIZE_MAXIMUM => {
            if section.take(4)? == [0; 4] {
                return Err(Violation::protocol("maximum packet size 0"));
            }
        }
        0x02 | 0x11 | 0x18 => {
            section.take(4)?;
        }
        SUBSCRIPTION_ID => {
            if section.variable()? == 0 {
                return Err(Violation::protocol("subscription identifier 0"));
            }
        }
        0x03 | 0x08 | 0x12 | 0x15 | 0x1a | 0x1c | 0x1f => {
            section.text()?;
        }
        0x09 | 0x16 => {
            section.binary()?;
        }
        _ => return Err(Violation::malformed("there is no such property")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(bytes: &[u8]) -> Option<DisconnectReasonCode> {
        check(Reader::new(bytes)).err().map(|fault| fault.reason)
    }

    #[test]
    fn each_property_may_stand_once_and_user_properties_as_often_as_the_limit_says() {
        use DisconnectReasonCode as Code;
        let once: [&[u8]; 9] = [
            &[0x11, 0, 0, 0, 9],
            &[0x21, 0, 9],
            &[0x27, 0, 0, 1, 0],
            &[0x22, 0, 0],
            &[0x17, 1],
            &[0x15, 0, 1, b'a'],
            &[0x16, 0, 1, 0],
            &[0x0b, 0x80, 0x01],
            &[0x18, 0, 0, 0, 0],
        ];
        for property in once {
            assert_eq!(fault(property), None, "{property:x?}");
            let twice = property.repeat(2);
            assert_eq!(fault(&twice), Some(Code::ProtocolError), "{property:x?}");
            for end in 1..property.len() {
                let short = fault(&property[..end]);
                assert_eq!(short, Some(Code::MalformedPacket), "{property:x?}");
            }
        }
        let pair = [USER, 0, 1, b'k', 0, 1, b'v'];
        assert_eq!(fault(&pair.repeat(USER_PROPERTIES_MAX)), None);
        let many = pair.repeat(USER_PROPERTIES_MAX + 1);
        assert_eq!(fault(&many), Some(Code::QuotaExceeded));
    }

    #[test]
    fn values_that_no_property_may_have_are_named_by_their_code() {
        use DisconnectReasonCode as Code;
        for (bytes, code) in [
            (&[0x21, 0, 0][..], Code::ProtocolError),
            (&[0x27, 0, 0, 0, 0], Code::ProtocolError),
            (&[0x0b, 0], Code::ProtocolError),
            (&[0x17, 2], Code::ProtocolError),
            (&[0x1f, 0, 1, 0], Code::MalformedPacket),
            (&[0x1f, 0, 1, 0xff], Code::MalformedPacket),
            (
                &[0x26, 0, 1, b'k', 0, 3, 0xed, 0xa0, 0x80],
                Code::MalformedPacket,
            ),
            (&[0x7f, 0], Code::MalformedPacket),
            (&[0xff], Code::MalformedPacket),
        ] {
            assert_eq!(fault(bytes), Some(code), "{bytes:x?}");
        }
    }
}
