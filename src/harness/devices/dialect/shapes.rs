//! What of a property's values a format can say.

use super::{HALVINGS, Intended, Property, Said, Shape, TEXT_DIGITS};

/// What a property may be in a format, the likeliest first.
pub(super) fn shapes(property: &Property) -> Vec<Said> {
    let factors = || (0..HALVINGS).map(|halving| 0.5_f64.powi(halving));
    match &property.shape {
        Shape::Flag | Shape::State(_) => vec![Said::Value { factor: 1.0 }],
        Shape::Text => std::iter::once(Said::Value { factor: 1.0 })
            .chain(TEXT_DIGITS.map(Said::Digits))
            .collect(),
        _ => factors()
            .map(|factor| Said::Value { factor })
            .chain(factors().map(|factor| Said::Magnitude { factor }))
            .collect(),
    }
}

/// The lowest and the highest value of a property, with more digits than most formats have.
pub(super) fn bounds(property: &Property) -> [f64; 2] {
    match &property.shape {
        Shape::Real { low, high, .. } => [*low, high - (high - low) * 1.234_567_89e-6],
        Shape::Signed { low, high } | Shape::Unsigned { low, high } => [*low, *high],
        Shape::Counter { high, .. } => [0.0, *high],
        Shape::Flag | Shape::State(_) => [0.0, 0.0],
        Shape::Text => [0.0, 7.0],
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "states are counted from 0, and `as` saturates"
)]
pub(super) fn intended(property: &Property, said: &Said, value: f64) -> Option<Intended> {
    let factor = match said {
        Said::Not => return None,
        Said::Choice(choices) => {
            let at = match property.shape {
                Shape::Flag | Shape::State(_) => value as usize,
                _ => 0,
            };
            return choices
                .get(at.min(choices.len().saturating_sub(1)))
                .cloned();
        }
        Said::Digits(width) => {
            let width = *width;
            return Some(Intended::Text(format!("{value:0width$.0}")));
        }
        Said::Value { factor } | Said::Magnitude { factor } => *factor,
    };
    let value = match said {
        Said::Magnitude { .. } => value.abs(),
        _ => value,
    };
    let decimals = |decimals: usize| {
        let text = format!("{:.decimals$}", value * factor);
        text.parse().ok().map(Intended::Number)
    };
    match &property.shape {
        Shape::Real { .. } if factor < 1.0 => decimals(3),
        Shape::Real {
            decimals: places, ..
        } => decimals(*places),
        Shape::Counter {
            decimals: places, ..
        } => decimals(places.unwrap_or(0)),
        Shape::Signed { .. } | Shape::Unsigned { .. } => decimals(0),
        Shape::Flag => Some(Intended::Bool(value > 0.0)),
        Shape::State(codes) => {
            let (_, number) = codes.get(value as usize)?;
            Some(Intended::Code(*number))
        }
        Shape::Text => Some(Intended::Text(format!("T{value:05.0}"))),
    }
}
