//! `x5c`: who vouches for the certificate that a token brings along.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer,
    date_time_ymd,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::signer::Signer;
use super::support::{ask, claims, options_with_bundle, refused};
use crate::asking::Grant;
use crate::limits::TOKEN_CHAIN_CERTIFICATES_MAX;
use crate::token::TokenAuth;
use crate::token::algorithm::Algorithm;

/// A key with its certificate.
struct Identity {
    signer: Signer,
    params: CertificateParams,
    certificate: Certificate,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn expired(mut params: CertificateParams) -> CertificateParams {
    params.not_after = date_time_ymd(2020, 1, 1);
    params
}

impl Identity {
    fn self_signed(params: CertificateParams) -> Self {
        let signer = Signer::new(Algorithm::Es256);
        let certificate = params.self_signed(signer.pair()).unwrap();
        Self { signer, params, certificate }
    }

    fn issue(&self, params: CertificateParams, algorithm: Algorithm) -> Self {
        let signer = Signer::new(algorithm);
        let issuer = Issuer::from_params(&self.params, self.signer.pair());
        let certificate = params.signed_by(signer.pair(), &issuer).unwrap();
        Self { signer, params, certificate }
    }

    fn text(&self) -> String {
        STANDARD.encode(self.certificate.der())
    }

    /// A token signed by this one's key, with the chain of these.
    fn token(&self, algorithm: Algorithm, chain: &[&Self]) -> String {
        let x5c: Vec<_> = chain.iter().map(|identity| identity.text()).collect();
        self.signer.token(algorithm, json!({"typ": "JWT", "x5c": x5c}), &claims())
    }
}

fn trusting(identity: &Identity) -> (TempDir, TokenAuth) {
    let dir = TempDir::new().unwrap();
    let auth = TokenAuth::open(options_with_bundle(&dir, &identity.certificate.pem())).unwrap();
    (dir, auth)
}

#[tokio::test]
async fn whoever_the_bundle_vouches_for_signs_tokens() {
    let root = Identity::self_signed(authority("root"));
    let between = root.issue(authority("between"), Algorithm::Es384);
    let (_dir, auth) = trusting(&root);
    for algorithm in [Algorithm::Rs256, Algorithm::Ps512, Algorithm::Es512, Algorithm::EdDsa] {
        let leaf = root.issue(params("leaf"), algorithm);
        let answer = ask(&auth, &leaf.token(algorithm, &[&leaf])).await;
        assert_eq!(answer, Ok(Grant::to("alice")), "{algorithm:?}");
        // The root may be sent along.
        assert!(ask(&auth, &leaf.token(algorithm, &[&leaf, &root])).await.is_ok());

        let far = between.issue(params("far"), algorithm);
        assert!(ask(&auth, &far.token(algorithm, &[&far, &between])).await.is_ok());
        let refused = refused(&auth, &far.token(algorithm, &[&far])).await;
        assert_eq!(refused.kind, "key");
        assert!(refused.reason.starts_with("rootcertbundle does not vouch for x5c"), "{refused:?}");
    }
    // Any extended key usage will do.
    let mut server = params("server");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server = root.issue(server, Algorithm::Es256);
    assert!(ask(&auth, &server.token(Algorithm::Es256, &[&server])).await.is_ok());
}

#[tokio::test]
async fn a_certificate_of_the_bundle_vouches_for_itself() {
    for params in [params("no authority"), authority("an authority")] {
        let itself = Identity::self_signed(params);
        let (_dir, auth) = trusting(&itself);
        assert!(ask(&auth, &itself.token(Algorithm::Es256, &[&itself])).await.is_ok());
    }
    let old = Identity::self_signed(expired(params("old")));
    let (_dir, auth) = trusting(&old);
    let refused = refused(&auth, &old.token(Algorithm::Es256, &[&old])).await;
    assert_eq!(refused.kind, "key");
    assert!(refused.reason.contains("expired"), "{refused:?}");
}

#[tokio::test]
async fn nobody_else_does() {
    let root = Identity::self_signed(authority("root"));
    let (_dir, auth) = trusting(&root);
    // Another authority with the same name.
    let foreign = Identity::self_signed(authority("root"));
    let of_foreign = foreign.issue(params("leaf"), Algorithm::Es256);
    let old = root.issue(expired(params("leaf")), Algorithm::Es256);
    let mut early = params("leaf");
    early.not_before = date_time_ymd(4000, 1, 1);
    let early = root.issue(early, Algorithm::Es256);
    let end = root.issue(params("end"), Algorithm::Es256);
    let of_end = end.issue(params("leaf"), Algorithm::Es256);
    let old_between = root.issue(expired(authority("between")), Algorithm::Es256);
    let of_old = old_between.issue(params("leaf"), Algorithm::Es256);
    let itself = Identity::self_signed(params("root"));
    let cases: [(&Identity, &[&Identity]); 7] = [
        (&of_foreign, &[&of_foreign]),
        (&of_foreign, &[&of_foreign, &foreign]),
        (&old, &[&old]),
        (&early, &[&early]),
        (&of_end, &[&of_end, &end]),
        (&of_old, &[&of_old, &old_between]),
        (&itself, &[&itself]),
    ];
    for (index, (signer, chain)) in cases.into_iter().enumerate() {
        let refused = refused(&auth, &signer.token(Algorithm::Es256, chain)).await;
        assert_eq!(refused.kind, "key", "case {index}: {refused:?}");
    }
    // A good chain over somebody else's signature.
    let leaf = root.issue(params("leaf"), Algorithm::Es256);
    let token = foreign.token(Algorithm::Es256, &[&leaf]);
    assert_eq!(refused(&auth, &token).await.kind, "signature");
}

#[tokio::test]
async fn an_expired_root_vouches_for_nobody() {
    let root = Identity::self_signed(expired(authority("root")));
    let leaf = root.issue(params("leaf"), Algorithm::Es256);
    let (_dir, auth) = trusting(&root);
    assert_eq!(refused(&auth, &leaf.token(Algorithm::Es256, &[&leaf])).await.kind, "key");
}

#[tokio::test]
async fn what_is_no_chain() {
    let root = Identity::self_signed(authority("root"));
    let leaf = root.issue(params("leaf"), Algorithm::Es256);
    let (_dir, auth) = trusting(&root);
    let url_safe = leaf.text().replace('+', "-").replace('/', "_");
    let mut followed = leaf.certificate.der().to_vec();
    followed.push(0);
    let cases: [(Value, &str); 7] = [
        (json!([]), "key"),
        (json!([""]), "key"),
        (json!(["%"]), "key"),
        (json!([STANDARD.encode("certificate")]), "key"),
        (json!([STANDARD.encode(followed)]), "key"),
        (json!(vec![leaf.text(); TOKEN_CHAIN_CERTIFICATES_MAX + 1]), "key"),
        (json!(leaf.text()), "malformed"),
    ];
    for (x5c, kind) in cases {
        // A name that is trusted does not help: a chain that is there is what counts.
        let header = json!({"x5c": x5c, "kid": root.signer.thumbprint()});
        let token = root.signer.token(Algorithm::Es256, header, &claims());
        assert_eq!(refused(&auth, &token).await.kind, kind, "{x5c}");
    }
    if url_safe != leaf.text() {
        let token = leaf.signer.token(Algorithm::Es256, json!({"x5c": [url_safe]}), &claims());
        assert_eq!(refused(&auth, &token).await.kind, "key");
    }
}

#[tokio::test]
async fn a_key_in_the_header_may_have_a_chain_too() {
    let root = Identity::self_signed(authority("root"));
    let leaf = root.issue(params("leaf"), Algorithm::Es256);
    let foreign = Identity::self_signed(authority("foreign"));
    let (_dir, auth) = trusting(&root);
    for (identity, good) in [(&leaf, true), (&foreign, false)] {
        let mut jwk = identity.signer.jwk();
        jwk["x5c"] = json!([identity.text()]);
        jwk["kid"] = root.signer.thumbprint().into();
        let token = identity.signer.token(Algorithm::Es256, json!({"jwk": jwk}), &claims());
        assert_eq!(ask(&auth, &token).await.is_ok(), good);
    }
}
