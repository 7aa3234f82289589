//! The way back: packs in JSON with base name and time, a record for each value.

use super::{
    super::{
        super::point::{Decimal, OwnedKey, Value},
        encoding::{Encoder, Report},
        pointer::{Branch, write_json},
    },
    SUM, Senml,
};

impl Encoder for Senml {
    fn encode(&self, report: &Report<'_>) -> Result<Vec<u8>, String> {
        let mut text = String::new();
        write_json(&self.pack(report)?, &mut text)?;
        Ok(text.into_bytes())
    }
}

impl Senml {
    /// The records of a report, to be written in either notation.
    pub(super) fn pack<'v>(&self, report: &Report<'v>) -> Result<Branch<'v>, String> {
        let millis = i64::try_from(report.at.0 / 1_000_000).map_err(|why| why.to_string())?;
        let mut records = Vec::new();
        for (key, value) in report.points {
            let OwnedKey::Name(key) = key else {
                return Err(format!("{key:?} is no name"));
            };
            let mut members = Vec::new();
            if records.is_empty() {
                let split = self.options.split.as_deref().unwrap_or_default();
                let (prefix, suffix) = (&self.options.strip_prefix, &self.options.strip_suffix);
                let name = format!("{prefix}{}{suffix}{split}", report.address);
                let time = Value::Decimal(Decimal::new(millis, 3));
                members.push(("bn".to_owned(), Branch::Text(name)));
                members.push(("bt".to_owned(), Branch::Scalar(time)));
            }
            let name = key.strip_suffix(SUM).unwrap_or(key);
            members.push(("n".to_owned(), Branch::Text(name.to_owned())));
            let label = match value {
                Value::Text(_) => "vs",
                Value::Bool(_) => "vb",
                Value::Missing | Value::Bytes(_) | Value::Time(_) => {
                    return Err(format!("no record holds {value:?}"));
                }
                _ if name.len() < key.len() => "s",
                _ => "v",
            };
            members.push((label.to_owned(), Branch::Scalar(*value)));
            records.push(Branch::Object(members));
        }
        Ok(Branch::Array(records))
    }
}
