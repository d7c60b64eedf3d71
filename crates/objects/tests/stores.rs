//! The driver conformance suite on real stores, which the environment names. `e2e/object-stores`
//! starts them and runs the module of each; without them there is nothing to test against, so that
//! this is not built unless it is asked for (`--features stores`).

#![expect(clippy::unwrap_used, reason = "these are tests: a panic is how they fail")]

use std::env;
use std::sync::Arc;

use objects::{
    Amazon, AzureCredentials, AzureOptions, Endpoint, GcsCredentials, GcsOptions, Keys, Objects,
    OpenOptions, S3Options, Transport,
};
use storage::Driver;

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} has to name a store; see e2e/object-stores"))
}

/// A root of its own for each case, and small parts.
fn open_options() -> OpenOptions {
    OpenOptions {
        root_directory: format!("/test-{}", uuid::Uuid::new_v4()),
        part_bytes: 5 << 20,
        redirects: true,
        transport: Transport::default(),
    }
}

fn s3() -> Objects {
    let endpoint = variable("WHARF_TEST_S3_ENDPOINT");
    let region = variable("WHARF_TEST_S3_REGION");
    let options = S3Options {
        endpoint: Endpoint::new(&region, Some(&endpoint), None, Amazon::default()),
        redirect_endpoint: None,
        bucket: variable("WHARF_TEST_S3_BUCKET"),
        keys: Some(Keys {
            access_key: variable("WHARF_TEST_S3_ACCESS_KEY"),
            secret_key: variable("WHARF_TEST_S3_SECRET_KEY"),
            session_token: None,
        }),
        is_encrypted: false,
        kms_key_id: None,
        storage_class: Some("STANDARD".into()),
        acl: "private".into(),
        // So that copies in parts are made.
        copy_threshold_bytes: 6 << 20,
        copy_part_bytes: 5 << 20,
        copies_at_once: 4,
    };
    Objects::s3(options, open_options()).unwrap()
}

fn azure() -> Objects {
    let options = AzureOptions {
        account: variable("WHARF_TEST_AZURE_ACCOUNT"),
        container: variable("WHARF_TEST_AZURE_CONTAINER"),
        service_url: variable("WHARF_TEST_AZURE_ENDPOINT"),
        credentials: AzureCredentials::SharedKey(variable("WHARF_TEST_AZURE_KEY")),
    };
    Objects::azure(options, open_options()).unwrap()
}

fn gcs() -> Objects {
    let options = GcsOptions {
        bucket: variable("WHARF_TEST_GCS_BUCKET"),
        credentials: GcsCredentials::Default,
        emulator: Some(variable("WHARF_TEST_GCS_ENDPOINT")),
    };
    Objects::gcs(options, open_options()).unwrap()
}

/// Finds out what the store can do before the case begins, as a server does.
async fn probed(objects: Objects) -> Arc<dyn Driver> {
    objects.probe(false).await.unwrap();
    Arc::new(objects)
}

mod s3_store {
    storage::conformance_tests!(every: (super::probed(super::s3()).await, ()));
}

mod azure_store {
    storage::conformance_tests!(every: (super::probed(super::azure()).await, ()));
}

mod gcs_store {
    storage::conformance_tests!(every: (super::probed(super::gcs()).await, ()));
}
