//! Keys as a profile spells them: `status.battery`, `readings[].value`, `labels[site]`.

/// One level of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub(super) field: &'a str,
    pub(super) pick: Pick<'a>,
}

/// What stands behind a field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pick<'a> {
    /// Nothing: the field stands at most once.
    One,
    /// `[]`: every element of a repeated field.
    Every,
    /// `[key]`: one entry of a map.
    Entry(&'a str),
}

/// Deepest key: messages may contain themselves, keys end somewhere.
const SEGMENTS_MAX: usize = 16;

/// Takes a key apart. A map's key may hold dots, and ends at the first `]`.
pub(super) fn segments(spelled: &str) -> Result<Vec<Segment<'_>>, String> {
    let wrong = |why: &str| {
        format!(
            "`{spelled}`: {why}; a key looks like `status.battery`, `readings[].value` or `labels[site]`"
        )
    };
    let mut found = Vec::new();
    let mut rest = Some(spelled);
    while let Some(text) = rest {
        let end = text.find(['.', '[']).unwrap_or(text.len());
        let (field, behind) = text.split_at(end);
        if field.is_empty() {
            return Err(wrong("a field's name is missing"));
        }
        if found.len() == SEGMENTS_MAX {
            return Err(wrong("it is too deep"));
        }
        let (pick, behind) = match behind.strip_prefix('[') {
            None => (Pick::One, behind),
            Some(bracket) => match bracket.split_once(']') {
                None => return Err(wrong("a `]` is missing")),
                Some(("", behind)) => (Pick::Every, behind),
                Some((entry, behind)) => (Pick::Entry(entry), behind),
            },
        };
        found.push(Segment { field, pick });
        rest = behind.strip_prefix('.');
        if rest.is_none() && !behind.is_empty() {
            return Err(wrong("a `.` is missing behind `]`"));
        }
    }
    Ok(found)
}
