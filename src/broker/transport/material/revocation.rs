//! Certificate revocation lists (RFC 5280 section 5) as files hold them.
//!
//! An authority without a list is taken to have revoked nothing, and a list past its next update stays in force: an office
//! that is late must not shut out a city. Both are warned of.

use std::{collections::HashSet, path::Path};

use foldhash::fast::FixedState;
use rustls::{
    RootCertStore,
    pki_types::{CertificateRevocationListDer, pem::PemObject as _},
};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use super::{
    super::super::certificate::{Mark, unix},
    MaterialFault, unusable,
};
use crate::domain::UnixNanos;

/// The revocation lists for TLS, and their entries for live connections.
pub(super) fn revocations(
    files: &[(&Path, Vec<u8>)],
    now: UnixNanos,
    revoked: &mut HashSet<Mark, FixedState>,
    warnings: &mut Vec<String>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, MaterialFault> {
    let mut lists = Vec::new();
    for (path, bytes) in files {
        let found: Vec<CertificateRevocationListDer<'static>> = if bytes.starts_with(&[0x30]) {
            vec![bytes.clone().into()]
        } else {
            CertificateRevocationListDer::pem_slice_iter(bytes)
                .collect::<Result<_, _>>()
                .map_err(|error| unusable(path, format!("is no PEM: {error}")))?
        };
        if found.is_empty() {
            return Err(unusable(path, "holds no revocation list"));
        }
        for der in &found {
            let (_, list) = CertificateRevocationList::from_der(der)
                .map_err(|error| unusable(path, format!("is no revocation list: {error}")))?;
            let issuer = list.issuer().as_raw();
            let entries = list.iter_revoked_certificates();
            revoked.extend(entries.map(|entry| Mark::new(issuer, entry.raw_serial())));
            if list
                .next_update()
                .is_some_and(|next| unix(next.timestamp()) < now)
            {
                warnings.push(format!(
                    "{}: the list of {} is past its next update, and stays in force",
                    path.display(),
                    list.issuer()
                ));
            }
        }
        lists.extend(found);
    }
    Ok(lists)
}

/// Where there are lists, an authority without one is worth a word.
pub(super) fn warn_of_unlisted(
    roots: &RootCertStore,
    lists: &[CertificateRevocationListDer<'_>],
    path: &Path,
    warnings: &mut Vec<String>,
) {
    if lists.is_empty() {
        return;
    }
    let issuers: Vec<Vec<u8>> = lists
        .iter()
        .filter_map(|der| CertificateRevocationList::from_der(der).ok())
        .map(|(_, list)| list.issuer().as_raw().to_vec())
        .collect();
    let unlisted = roots
        .roots
        .iter()
        .filter(|root| {
            // An anchor's subject stands without the tag and length of its sequence.
            !issuers.iter().any(|issuer| issuer.ends_with(&root.subject))
        })
        .count();
    if unlisted > 0 {
        warnings.push(format!(
            "{}: {unlisted} of the authorities have no revocation list",
            path.display()
        ));
    }
}
