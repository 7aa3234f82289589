//! The name of a session: whose it is, and which of its owner's clients.

use std::sync::Arc;

use crate::domain::Identity;

/// Whose session it is: a device may have several clients, an anonymous client stands for itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A device's.
    Device(Identity),
    /// An anonymous client's.
    Client(Arc<str>),
}

/// A session's key.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) subject: Subject,
    pub(crate) client_id: Arc<str>,
}

impl Key {
    pub(crate) fn new(identity: Option<&Identity>, client_id: &Arc<str>) -> Self {
        let subject = identity.map_or_else(
            || Subject::Client(Arc::clone(client_id)),
            |identity| Subject::Device(identity.clone()),
        );
        Self {
            subject,
            client_id: Arc::clone(client_id),
        }
    }
}
