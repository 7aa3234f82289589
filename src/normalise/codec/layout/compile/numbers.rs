//! What options of a number go together.

use super::{
    super::{
        options::{Form, Sign, Take},
        plan::Source,
        scalar::Kind,
    },
    DECIMALS_MAX,
};

/// What makes no sense of a number, or makes sense of numbers only.
pub(super) fn check_numbers(take: &Take, source: &Source, form: Form) -> Result<(), String> {
    let is_bcd = matches!(source, Source::Wire(Kind::BcdBe | Kind::BcdLe, _));
    let is_int = matches!(source, Source::Word(_) | Source::Wire(Kind::Int(_), _));
    let changes = take.sub != 0 || take.times.is_some() || take.decimals != 0;
    if matches!(form, Form::Text | Form::Calendar) {
        return Err(
            "as = text and as = calendar belong to a text payload; here type says it".to_owned(),
        );
    }
    if !is_int && !is_bcd && (changes || take.sign.is_some() || form != Form::Number) {
        return Err("sub, times, decimals, sign and as belong to whole numbers and BCD".to_owned());
    }
    if take.times == Some(0) || take.decimals > DECIMALS_MAX {
        return Err(format!("times is not 0, decimals go to {DECIMALS_MAX}"));
    }
    if is_int && take.sign == Some(Sign::Nibble) {
        return Err("sign = nibble belongs to BCD".to_owned());
    }
    if is_bcd && take.bits.is_some() {
        return Err("bits are taken of whole numbers only".to_owned());
    }
    match take.bits {
        Some((shift, width)) if width == 0 || u16::from(shift) + u16::from(width) > 64 => {
            Err("bits = [shift, width] lie within 64, width from 1".to_owned())
        }
        None if matches!(source, Source::Word(_)) => Err("bits are wanted".to_owned()),
        _ => Ok(()),
    }
}
