//! Making and writing certificates.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use time::OffsetDateTime;

use super::kept::{self, Authority};
use super::{AuthorityError, Files, Host, Issued, Request};
use crate::durable;

/// How long an authority is good, in days: about ten years.
const AUTHORITY_DAYS: u32 = 3653;

/// The longest lifetime that can be asked for, in days.
const DAYS_MAX: u32 = 36_500;

/// Clocks at home are often a little behind.
const BACKDATED: SignedDuration = SignedDuration::from_hours(1);

pub(super) fn issue(request: &Request, now: Timestamp) -> Result<Issued, AuthorityError> {
    if request.hosts.is_empty() {
        return Err(AuthorityError::NoHosts);
    }
    if request.days == 0 || request.days > DAYS_MAX {
        return Err(AuthorityError::Days(request.days));
    }
    let files = Files::of(&request.directory);
    let kept = kept::authority(&files, now)?;
    // Everything that may be in the way is looked at before anything is written.
    let renewed = kept::is_renewal(&files, kept.as_ref())?;
    std::fs::create_dir_all(&request.directory)
        .map_err(|source| AuthorityError::Write { path: request.directory.clone(), source })?;
    let reused_authority = kept.is_some();
    let authority = match kept {
        Some(authority) => authority,
        None => make_authority(&files, now)?,
    };
    let authority_until = authority.until;
    let until = make_certificate(request, &files, authority, renewed, now)?;
    Ok(Issued { files, reused_authority, authority_until, renewed, until })
}

fn make_authority(files: &Files, now: Timestamp) -> Result<Authority, AuthorityError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    // Two authorities with the same name and different keys confuse clients that know both.
    let mark: String =
        key.public_key_raw().iter().rev().take(4).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name.push(DnType::CommonName, format!("wharf local authority {mark}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let until = set_lifetime(&mut params, AUTHORITY_DAYS, now, None)?;
    let certificate = params.self_signed(&key)?;
    write(&files.authority_key, &key.serialize_pem(), durable::PRIVATE, durable::create)?;
    write(&files.authority, &certificate.pem(), durable::PUBLIC, durable::create)?;
    Ok(Authority { certificate: certificate.into(), key, until })
}

fn make_certificate(
    request: &Request,
    files: &Files,
    authority: Authority,
    renewed: bool,
    now: Timestamp,
) -> Result<Timestamp, AuthorityError> {
    let key = KeyPair::generate()?;
    let mut params =
        CertificateParams::new(request.hosts.iter().map(Host::to_string).collect::<Vec<_>>())?;
    params.distinguished_name = DistinguishedName::new();
    // RFC 5280's upper bound of a common name; clients go by the alternative names.
    if let Some(name) = request.hosts.iter().map(Host::to_string).find(|name| name.len() <= 64) {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let until = set_lifetime(&mut params, request.days, now, Some(authority.until))?;
    let authority_pem = pem_of(&files.authority)?;
    let issuer = Issuer::from_ca_cert_der(&authority.certificate, authority.key)?;
    let certificate = params.signed_by(&key, &issuer)?;
    let put = if renewed { durable::replace } else { durable::create };
    write(&files.key, &key.serialize_pem(), durable::PRIVATE, put)?;
    let chain = format!("{}{authority_pem}", certificate.pem());
    write(&files.certificate, &chain, durable::PUBLIC, put)?;
    Ok(until)
}

/// The lifetime in whole days: some clients refuse a certificate of more than 825 of them.
fn set_lifetime(
    params: &mut CertificateParams,
    days: u32,
    now: Timestamp,
    until_at_most: Option<Timestamp>,
) -> Result<Timestamp, AuthorityError> {
    let no_lifetime = |_| AuthorityError::Days(days);
    let from = now.checked_sub(BACKDATED).map_err(no_lifetime)?;
    // The last second counts too (RFC 5280, section 4.1.2.5).
    let lifetime = SignedDuration::from_hours(24 * i64::from(days)) - SignedDuration::from_secs(1);
    let until = from.checked_add(lifetime).map_err(no_lifetime)?;
    let until = until_at_most.map_or(until, |bound| until.min(bound));
    let time = |time: Timestamp| {
        OffsetDateTime::from_unix_timestamp(time.as_second())
            .map_err(|_| AuthorityError::Days(days))
    };
    params.not_before = time(from)?;
    params.not_after = time(until)?;
    Timestamp::from_second(until.as_second()).map_err(no_lifetime)
}

fn pem_of(path: &Path) -> Result<String, AuthorityError> {
    let content = crate::pem::read("authority's certificate", path)?;
    Ok(String::from_utf8_lossy(&content).into_owned())
}

fn write(
    path: &Path,
    content: &str,
    mode: u32,
    put: fn(&Path, &[u8], u32) -> std::io::Result<()>,
) -> Result<(), AuthorityError> {
    put(path, content.as_bytes(), mode)
        .map_err(|source| AuthorityError::Write { path: path.to_owned(), source })
}
