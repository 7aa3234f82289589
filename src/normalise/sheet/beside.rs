//! What stands beside a reading's value: members that the class does not know, attributes.

use super::{QuarantineReason, Reject, Sheet, member, twice};

impl Sheet<'_> {
    /// Counts a field of the value that the class does not know.
    pub(in crate::normalise) const fn count_unknown(&mut self) {
        self.out.unknown_members += 1;
    }

    /// Keeps a member that the class does not know.
    pub(in crate::normalise) fn put_unknown(
        &mut self,
        name: &str,
        raw: &str,
    ) -> Result<(), Reject> {
        self.out.unknown_members += 1;
        self.unknown.add(name.len() + raw.len()).map_err(|why| {
            Reject::new(
                QuarantineReason::TooLarge,
                format!(
                    "{}: members unknown to class {}: {why}",
                    member(name),
                    self.class.id()
                ),
            )
        })?;
        let attributes = &mut self.out.scratch.attributes;
        if attributes.put_member(name, raw, self.transport.count) {
            Ok(())
        } else {
            Err(twice(name))
        }
    }

    /// An attribute that a profile names. Bounded with the members that the class does not know.
    pub(in crate::normalise) fn put_attribute(
        &mut self,
        name: &str,
        value: &str,
    ) -> Result<(), Reject> {
        self.unknown
            .add(name.len() + value.len())
            .map_err(|why| Reject::new(QuarantineReason::TooLarge, format!("attributes: {why}")))?;
        self.out.scratch.attributes.put_transport(name, value);
        Ok(())
    }
}
