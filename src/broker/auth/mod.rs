//! Who a client is. Each method looks at what a CONNECT brings and accepts, rejects, or passes to the next method; if
//! none knows the credentials, the client is turned away. What a method knows it decides: wrong credentials are never
//! tried on the next one.
//!
//! | method | knows | accepts |
//! |---|---|---|
//! | hmac | `class/device` with 64 hex digits as the password | their HMAC under a key of the class or the gateway |
//! | certificate | a certificate whose names match a template | it, if the username is empty or the same identity |
//! | jwt | a password of the form of a JWS | a token that is signed, in force and names an identity |
//! | password | a name of the password file | the password of its line |
//! | anonymous | everything | it |
//!
//! Three of them answer at once, in microseconds. The password file's answer costs tens of milliseconds unless the
//! password is remembered: it is a [`SlowCheck`], which runs beside the workers and in bounded number.
//!
//! Invariants: comparisons of secrets take the same time wherever they differ; no answer says which part was wrong; who
//! is revoked is told so only after its credentials were right; nothing secret reaches a log or a debug text.

mod derived;
mod certificate;
pub mod jwt;
mod jwks;
mod password;
mod revocation;

use std::sync::Arc;

pub(crate) use derived::Derived;
pub use derived::token;
pub use password::hashed;
pub(crate) use password::{Lane, PasswordFile, SlowCheck};
pub(crate) use revocation::Revocations;

use self::jwt::Jwt;
use super::{access::metrics, certificate::PeerCertificate, principal::Principal};
use crate::{config::SubjectTemplate, domain::UnixNanos};

/// What a CONNECT brings to prove who it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Credentials<'a> {
    pub(crate) username: Option<&'a str>,
    pub(crate) password: Option<&'a [u8]>,
    /// The certificate of the TLS handshake, verified.
    pub(crate) certificate: Option<&'a PeerCertificate>,
    pub(crate) now: UnixNanos,
}

/// A client that has proved who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) principal: Principal,
    /// When its proof ends, if it does: the session must not live longer.
    pub(crate) until: Option<UnixNanos>,
}

/// Why a client is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// Its credentials are wrong (0x86).
    BadCredentials,
    /// It brought none that any method knows, or they are no longer in force (0x87).
    NotAuthorised,
    /// It is on the revocation list (0x8A).
    Banned,
    /// Too many passwords are being checked (0x89).
    Busy,
}

/// What authentication says to a CONNECT.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It may come in.
    Admitted(Admitted),
    /// It may not.
    Denied(Denied),
    /// The check has to be run first.
    Slow(SlowCheck),
}

/// What one method says.
#[derive(Debug)]
enum Word {
    /// The credentials are right.
    Accepted(Admitted),
    /// They are this method's and wrong, for this reason.
    Rejected(&'static str),
    /// They are not this method's.
    Passed,
    /// They are this method's, and checking takes long.
    Slow(SlowCheck),
    /// The name is unknown; if nobody else knows it, this check spends the time that a known one would take.
    Unknown(SlowCheck),
}

/// A method, set up.
#[derive(Debug)]
pub(crate) enum Method {
    /// Passwords derived from keys.
    Hmac(Derived),
    /// Certificates of the handshake.
    Certificate(Box<[SubjectTemplate]>),
    /// Tokens.
    Jwt(Box<Jwt>),
    /// The password file.
    Password(Box<PasswordFile>),
    /// No proof.
    Anonymous,
}

/// The methods in force, asked in order, and who is revoked.
#[derive(Debug)]
pub(crate) struct Authentication {
    methods: Vec<Method>,
    revocations: Arc<Revocations>,
}

impl Authentication {
    pub(crate) const fn new(methods: Vec<Method>, revocations: Arc<Revocations>) -> Self {
        Self {
            methods,
            revocations,
        }
    }

    /// Says who the client is, or that finding out takes long.
    pub(crate) fn ask(&self, credentials: &Credentials<'_>) -> Answer {
        let mut unknown = None;
        for method in &self.methods {
            let name = method.name();
            match method.ask(credentials) {
                Word::Accepted(admitted) => return self.admit(name, admitted, credentials),
                Word::Rejected(reason) => {
                    metrics::authenticated(name, reason);
                    return Answer::Denied(Denied::BadCredentials);
                }
                Word::Slow(check) => {
                    let revoked = check
                        .principal()
                        .is_some_and(|who| self.revoked(who, credentials.certificate));
                    return Answer::Slow(if revoked { check.banned() } else { check });
                }
                Word::Unknown(check) => unknown = Some(check),
                Word::Passed => {}
            }
        }
        if let Some(check) = unknown {
            return Answer::Slow(check);
        }
        metrics::authenticated("none", "not_recognised");
        Answer::Denied(match credentials.password {
            Some(_) => Denied::BadCredentials,
            None => Denied::NotAuthorised,
        })
    }

    fn admit(
        &self,
        method: &'static str,
        admitted: Admitted,
        credentials: &Credentials<'_>,
    ) -> Answer {
        if self.revoked(&admitted.principal, credentials.certificate) {
            metrics::authenticated(method, "revoked");
            return Answer::Denied(Denied::Banned);
        }
        metrics::authenticated(method, "accepted");
        Answer::Admitted(admitted)
    }

    /// Whether a client is on the revocation list, by its name, its class or its certificate.
    pub(crate) fn revoked(
        &self,
        principal: &Principal,
        certificate: Option<&PeerCertificate>,
    ) -> bool {
        self.revocations.lists(principal, certificate)
    }

    /// Whether everyone is let in.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.methods
            .iter()
            .any(|method| matches!(method, Method::Anonymous))
    }
}

impl Method {
    const fn name(&self) -> &'static str {
        match self {
            Self::Hmac(_) => "hmac",
            Self::Certificate(_) => "certificate",
            Self::Jwt(_) => "jwt",
            Self::Password(_) => "password",
            Self::Anonymous => "anonymous",
        }
    }

    fn ask(&self, credentials: &Credentials<'_>) -> Word {
        match self {
            Self::Hmac(derived) => match (credentials.username, credentials.password) {
                (Some(username), Some(password)) => derived.ask(username, password),
                _ => Word::Passed,
            },
            Self::Certificate(templates) => {
                let Some(certificate) = credentials.certificate else {
                    return Word::Passed;
                };
                match certificate::holder(templates, certificate) {
                    Ok(None) => Word::Passed,
                    Ok(Some(_)) if credentials.now >= certificate.not_after => {
                        Word::Rejected("expired")
                    }
                    Ok(Some(principal)) => {
                        let until = Some(certificate.not_after);
                        unless_other(principal, until, credentials.username)
                    }
                    Err(reason) => Word::Rejected(reason),
                }
            }
            Self::Jwt(jwt) => match credentials.password {
                Some(token) if jwt::looks_like_one(token) => {
                    match jwt.check(token, credentials.now) {
                        Ok(bearer) => {
                            unless_other(bearer.principal, bearer.until, credentials.username)
                        }
                        Err(fault) => Word::Rejected(fault.name()),
                    }
                }
                _ => Word::Passed,
            },
            Self::Password(file) => match (credentials.username, credentials.password) {
                (Some(username), Some(password)) => file.ask(username, password),
                _ => Word::Passed,
            },
            Self::Anonymous => accepted(Principal::Anonymous, None),
        }
    }
}

const fn accepted(principal: Principal, until: Option<UnixNanos>) -> Word {
    Word::Accepted(Admitted { principal, until })
}

/// Accepts, unless the client calls itself something else: a username may be absent, empty, or the name of who it is.
fn unless_other(principal: Principal, until: Option<UnixNanos>, username: Option<&str>) -> Word {
    match username {
        None | Some("") => accepted(principal, until),
        Some(given) if is_name_of(given, &principal) => accepted(principal, until),
        Some(_) => Word::Rejected("username"),
    }
}

fn is_name_of(given: &str, principal: &Principal) -> bool {
    match principal {
        Principal::Device(identity) => identity.as_str() == given,
        Principal::Application(name) => &**name == given,
        Principal::Anonymous => false,
    }
}

#[cfg(test)]
mod tests;
