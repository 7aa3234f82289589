//! Who holds a certificate. The TLS handshake has verified it; here its names become an identity, by templates. A
//! certificate that names two is nobody's.

use crate::{
    broker::{certificate::PeerCertificate, principal::Principal},
    config::{Named, SubjectSource, SubjectTemplate},
    domain::Identity,
};

/// The holder by the first template that matches one of the certificate's names.
///
/// # Errors
/// The reason, by its name in metrics: a name matches and is no identity, or two names are different ones.
pub(super) fn holder(
    templates: &[SubjectTemplate],
    certificate: &PeerCertificate,
) -> Result<Option<Principal>, &'static str> {
    for template in templates {
        let found = match template.source() {
            SubjectSource::CommonName => one(template, certificate.common_name.iter()),
            SubjectSource::SanDns => one(template, certificate.san_dns.iter()),
            SubjectSource::SanUri => one(template, certificate.san_uri.iter()),
        };
        if let Some(principal) = found? {
            return Ok(Some(principal));
        }
    }
    Ok(None)
}

fn one<'a>(
    template: &SubjectTemplate,
    names: impl Iterator<Item = &'a Box<str>>,
) -> Result<Option<Principal>, &'static str> {
    let mut found = None;
    for named in names.filter_map(|name| template.read(name)) {
        let principal = match named {
            Named::Device { class, device } => Identity::parse(&format!("{class}/{device}"))
                .ok()
                .map(Principal::Device),
            Named::Application(name) => Principal::application(name),
        };
        let principal = principal.ok_or("no_identity")?;
        if found.as_ref().is_some_and(|other| *other != principal) {
            return Err("ambiguous");
        }
        found = Some(principal);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(common_name: &str, dns: &[&str], uri: &[&str]) -> PeerCertificate {
        PeerCertificate::of(&[1], common_name, dns, uri)
    }

    fn found(templates: &[&str], certificate: &PeerCertificate) -> Result<String, &'static str> {
        let templates: Vec<_> = templates
            .iter()
            .map(|text| SubjectTemplate::parse(text).unwrap())
            .collect();
        let found = holder(&templates, certificate)?;
        Ok(found.map_or_else(|| "nobody".to_owned(), |who| format!("{who:?}")))
    }

    #[test]
    fn the_first_template_that_matches_says_who_it_is() {
        let both = ["san-uri:urn:city:{class}:{device}", "cn:{application}"];
        let device = certificate("board", &[], &["urn:other", "urn:city:lamp:7"]);
        assert_eq!(found(&both, &device).unwrap(), r#"Device("lamp/7")"#);
        let application = certificate("board", &["board.city"], &[]);
        assert_eq!(
            found(&both, &application).unwrap(),
            r#"Application("board")"#
        );
        let neither = certificate("board", &[], &[]);
        assert_eq!(found(&both[..1], &neither).unwrap(), "nobody");
    }

    #[test]
    fn a_name_that_matches_and_is_no_identity_is_nobodys() {
        for name in [
            "lamp/+",
            "#/7",
            "$SYS/7",
            "lamp/",
            "/7",
            "lamp/7/8",
            "lamp/7\0",
            "lamp/a\nb",
        ] {
            let certificate = certificate(name, &[], &[]);
            let told = found(&["cn:{class}/{device}"], &certificate);
            assert_eq!(told, Err("no_identity"), "{name:?}");
        }
        for name in ["a/b", "+", "#", "a b", ""] {
            let told = found(&["cn:{application}"], &certificate(name, &[], &[]));
            assert_eq!(told, Err("no_identity"), "{name:?}");
        }
    }

    #[test]
    fn a_certificate_that_names_two_is_nobodys() {
        let template = ["san-dns:{device}.{class}.city"];
        let two = certificate("", &["7.lamp.city", "8.lamp.city"], &[]);
        assert_eq!(found(&template, &two), Err("ambiguous"));
        let twice = certificate("", &["7.lamp.city", "7.lamp.city"], &[]);
        assert_eq!(found(&template, &twice).unwrap(), r#"Device("lamp/7")"#);
    }
}
