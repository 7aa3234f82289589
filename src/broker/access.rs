//! Who may come in and what they may do, as one set that is replaced as a whole.

use super::{auth::Authentication, rights::Rights};

/// Authentication and rights in force.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) authentication: Authentication,
    pub(crate) rights: Rights,
}
