//! The name of a session: whose it is, and which of its owner's clients.

use std::sync::Arc;

use super::principal::Principal;
use crate::domain::Identity;

/// Whose session it is: a device or an application may have several clients, an anonymous client stands for itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A device's.
    Device(Identity),
    /// An application's.
    Application(Arc<str>),
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
    pub(crate) fn new(principal: &Principal, client_id: &Arc<str>) -> Self {
        let subject = match principal {
            Principal::Device(identity) => Subject::Device(identity.clone()),
            Principal::Application(name) => Subject::Application(Arc::clone(name)),
            Principal::Anonymous => Subject::Client(Arc::clone(client_id)),
        };
        Self {
            subject,
            client_id: Arc::clone(client_id),
        }
    }
}
