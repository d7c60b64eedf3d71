//! From the path of a request to what it names.
#![no_main]

use std::fmt::Write as _;

use libfuzzer_sys::fuzz_target;
use oci::RepositoryName;
use server::fuzzing::Route;

fuzz_target!(|path: &str| {
    let routed = Route::parse(path, "");
    if path.starts_with('/') {
        assert_eq!(Route::parse(&format!("/registry{path}"), "/registry"), routed, "{path:?}");
    }
    let Ok(route) = routed else { return };
    assert!(!route.handler().is_empty() && !route.methods().is_empty());
    if let Some(name) = route.repository() {
        assert_eq!(RepositoryName::parse(name.as_str()).as_ref(), Ok(name));
    }
    check_last(&route);
    let canonical = canonical(&route);
    assert_eq!(Route::parse(&canonical, "").as_ref(), Ok(&route), "{path:?} as {canonical:?}");
});

/// Where the last part of the path was accepted, it is what the path said.
fn check_last(route: &Route) {
    match route {
        Route::Manifest { text, reference: Ok(reference), .. } => {
            assert_eq!(reference.to_string(), *text);
        }
        Route::Blob { text, digest: Ok(digest), .. }
        | Route::Referrers { text, digest: Ok(digest), .. } => {
            assert_eq!(digest.to_string(), *text);
        }
        Route::Upload { text, id: Some(id), .. } => assert_eq!(id.as_str(), text),
        _ => {}
    }
}

/// The plain form of the path that leads to the same place.
fn canonical(route: &Route) -> String {
    match route {
        Route::Base => "/v2/".into(),
        Route::Token => "/v2/_token".into(),
        Route::Catalog => "/v2/_catalog".into(),
        Route::Repository { name } => format!("/v2/{name}/_wharf/repository"),
        Route::Tags { name } => format!("/v2/{name}/tags/list"),
        Route::Manifest { name, text, .. } => format!("/v2/{name}/manifests/{}", encoded(text)),
        Route::Blob { name, text, .. } => format!("/v2/{name}/blobs/{}", encoded(text)),
        Route::Uploads { name } => format!("/v2/{name}/blobs/uploads/"),
        Route::Upload { name, text, .. } => format!("/v2/{name}/blobs/uploads/{}", encoded(text)),
        Route::Referrers { name, text, .. } => format!("/v2/{name}/referrers/{}", encoded(text)),
    }
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
