//! From the gateway's classes to the patterns of simulated devices: ranges, kinds and codes are the descriptors'.

use super::pattern::{Pattern, Property, Shape};
use crate::normalise::{Class, ClassError, Classes, Field, FieldKind};

/// The patterns of all classes that the gateway embeds, in its order.
///
/// # Errors
/// The embedded classes break a rule of classes.
pub fn embedded() -> Result<Vec<Pattern>, ClassError> {
    Ok(Classes::embedded()?.iter().map(pattern).collect())
}

fn pattern(class: &Class) -> Pattern {
    Pattern {
        class: class.id().to_owned(),
        domain: class.domain().to_owned(),
        lane: class.lane(),
        interval_s: class.interval_s().max(1),
        nominal_count: class.nominal_count(),
        properties: class.fields().iter().map(property).collect(),
    }
}

fn property(field: &Field) -> Property {
    let (min, max) = (field.min.unwrap_or(0.0), field.max.unwrap_or(1000.0));
    let span = (max - min).max(0.0);
    let (low, high) = (min + span * 0.3, min + span * 0.7);
    let counter = |decimals| Shape::Counter {
        high: max.min(9e15),
        step: (span * 1e-6).max(0.01),
        decimals,
    };
    let shape = match &field.kind {
        FieldKind::Double | FieldKind::Float if field.counter => counter(Some(2)),
        FieldKind::Unsigned if field.counter => counter(None),
        FieldKind::Double | FieldKind::Float => Shape::Real {
            low,
            high,
            decimals: decimals(span),
        },
        FieldKind::Signed => Shape::Signed { low, high },
        FieldKind::Unsigned => Shape::Unsigned { low, high },
        FieldKind::Bool => Shape::Flag,
        FieldKind::Text => Shape::Text,
        FieldKind::Enum(codes) => Shape::State(
            codes
                .iter()
                .map(|code| (code.code.clone(), code.number))
                .collect(),
        ),
    };
    Property {
        name: field.name.clone(),
        json_name: field.json_name.clone(),
        number: field.number,
        shape,
    }
}

/// Decimals that show about a ten-thousandth of the range, as instruments do.
fn decimals(span: f64) -> usize {
    [1000.0, 100.0, 10.0, 1.0]
        .iter()
        .position(|&edge| span >= edge)
        .map_or(5, |at| at + 1)
}
