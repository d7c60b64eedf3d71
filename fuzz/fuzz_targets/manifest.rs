//! Manifests, as they are pushed under each media type and as they are found in the storage.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::{DigestError, Manifest, ManifestKind, MediaType, sniff_media_type};

const PUSHED_AS: [MediaType; 4] = [
    MediaType::OciManifest,
    MediaType::OciIndex,
    MediaType::DockerManifest,
    MediaType::DockerManifestList,
];

fuzz_target!(|content: &[u8]| {
    let sniffed = sniff_media_type(content);
    let stored = Manifest::parse_stored(content);
    if let Ok(stored) = &stored {
        assert_eq!(stored.media_type.is_index(), matches!(stored.kind, ManifestKind::Index { .. }));
    }
    for media_type in PUSHED_AS {
        let Ok(pushed) = Manifest::parse(media_type, content) else { continue };
        check_pushed(&pushed, media_type);
        // Whatever was accepted as one type is served as that type for ever after.
        assert_eq!(sniffed, Some(media_type), "pushed as {media_type:?}");
        let stored = stored.as_ref().expect("what was accepted can be read again");
        assert_eq!(stored.subject_digest(), pushed.subject_digest());
        assert_eq!(stored.referrer_artifact_type(), pushed.referrer_artifact_type());
        assert_eq!(stored.references().count(), pushed.references().count());
    }
});

/// Every digest that an accepted manifest names is one, or of an algorithm that is not known here.
fn check_pushed(pushed: &Manifest, media_type: MediaType) {
    assert_eq!(pushed.media_type, media_type);
    assert_eq!(matches!(pushed.kind, ManifestKind::Index { .. }), media_type.is_index());
    for descriptor in pushed.references().chain(&pushed.subject) {
        match descriptor.parsed_digest() {
            Ok(digest) => assert_eq!(digest.to_string(), descriptor.digest),
            Err(DigestError::UnsupportedAlgorithm(name)) => {
                assert!(descriptor.digest.starts_with(&name));
            }
            Err(error) => panic!("accepted with the digest {:?}: {error}", descriptor.digest),
        }
    }
}
