//! The `[codec]` table of the codecs that read by pointers.

use super::moment::TimeUnit;

/// Beside `kind`, for `pointer` and `cbor` alike.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// Where the elements are that become a record each: `"/services"`, `""` for the payload itself, or a list whose
    /// further members start at the element before: `["/devices", "./readings"]`. Default: the payload is one record.
    each: Option<Each>,
    /// What an object at `each` is. Default `members`, as platforms map property names to values.
    pub(crate) each_object: EachObject,
    /// The member that holds the value where a value is written as `{"value": 1, "time": 2}`. Default: none, and such an
    /// object is text. With it both forms are read, under either spelling (`/params/PM25`, `/params/PM25/value`).
    pub(crate) value_member: Option<String>,
    /// The member beside `value_member` that says when the value was observed. Default: none.
    pub(crate) time_sibling: Option<String>,
    /// What time numbers count. Default `ms`, as the platforms write; `auto` where firmware differs.
    pub(crate) time_unit: TimeUnit,
    /// Pointers whose values are times, given as such. Default: none, and they are numbers and text as they stand.
    pub(crate) times: Vec<String>,
    /// What an array is where a pointer ends. Default `series`.
    pub(crate) arrays: Arrays,
}

#[derive(Debug, Clone, serde::Deserialize)]
#[serde(untagged)]
enum Each {
    One(String),
    Nested(Vec<String>),
}

/// What an object is where `each` wants elements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EachObject {
    /// Each of its members is an element, and `#name` the member's name.
    #[default]
    Members,
    /// It is the only element itself: for devices that send one reading bare and several in an array.
    Record,
}

/// What an array is where a pointer ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Arrays {
    /// Values in their order, one point each; null keeps its place as a missing one.
    #[default]
    Series,
    /// Text: the array as it stands.
    Text,
}

impl Options {
    pub(super) fn each(&self) -> &[String] {
        match &self.each {
            None => &[],
            Some(Each::One(spelled)) => std::slice::from_ref(spelled),
            Some(Each::Nested(spelled)) => spelled,
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.time_sibling.is_some() && self.value_member.is_none() {
            return Err("time_sibling stands beside value_member, which is not set".to_owned());
        }
        if self.time_sibling.is_some() && self.time_sibling == self.value_member {
            return Err("time_sibling and value_member are the same".to_owned());
        }
        Ok(())
    }
}
