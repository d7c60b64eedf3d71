//! `storage.s3`, also written `s3aws`.

use crate::{
    reader::Reader,
    schema::{self, Section},
    secret::Secret,
};

const MIB: i64 = 1024 * 1024;
const CHUNK_SIZE_BYTES_MIN: i64 = 5 * MIB;
const CHUNK_SIZE_BYTES_MAX: i64 = 5 * 1024 * MIB;

const STORAGE_CLASSES: &[&str] = &[
    "NONE",
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "OUTPOSTS",
    "GLACIER_IR",
    "EXPRESS_ONEZONE",
];

fn storage_class(text: &str) -> Result<(), String> {
    let upper = text.to_ascii_uppercase();
    if text.is_empty() || STORAGE_CLASSES.contains(&upper.as_str()) {
        return Ok(());
    }
    Err(format!("unknown storage class; known are {}", STORAGE_CLASSES.join(", ")))
}

pub(crate) static SECTION: Section = Section::new(&[
    schema::secret("accesskey", "Access key; without it the environment's credentials are used."),
    schema::secret("secretkey", "Secret key."),
    schema::secret("sessiontoken", "Session token of temporary credentials."),
    schema::text("region", "Region; required unless `regionendpoint` is set."),
    schema::text("regionendpoint", "Endpoint of an S3-compatible store."),
    schema::text("redirectendpoint", "Public endpoint for presigned URLs."),
    schema::boolean(
        "forcepathstyle",
        "Bucket in the path instead of the host name; unset means: for endpoints that are not Amazon's.",
    ),
    schema::text("bucket", "The bucket; required."),
    schema::boolean("encrypt", "Server-side encryption.").default("false"),
    schema::text("keyid", "KMS key of the server-side encryption."),
    schema::boolean("secure", "HTTPS to the store.").default("true"),
    schema::boolean("skipverify", "Skips the check of the store's certificate.").default("false"),
    schema::boolean("v4auth", "Signature version 4.").default("true"),
    schema::bounded(
        "chunksize",
        CHUNK_SIZE_BYTES_MIN,
        CHUNK_SIZE_BYTES_MAX,
        "Bytes of one part of an upload.",
    )
    .default("10485760"),
    schema::count("multipartcopychunksize", "Bytes of one part of a copy.").default("33554432"),
    schema::count("multipartcopymaxconcurrency", "Parts copied at the same time.").default("100"),
    schema::count("multipartcopythresholdsize", "Bytes from which a copy is made in parts.")
        .default("33554432"),
    schema::text("rootdirectory", "Prefix of every key in the bucket."),
    schema::checked("storageclass", storage_class, "Storage class; `NONE` sends none.")
        .default("STANDARD"),
    schema::text("objectacl", "Canned ACL of the objects.").default("private"),
    schema::boolean("usedualstack", "IPv4 and IPv6 endpoints.").default("false"),
    schema::boolean("accelerate", "Transfer acceleration.").default("false"),
    schema::boolean("usefipsendpoint", "FIPS endpoints.").default("false"),
    schema::text("loglevel", "What the client logs.").default("off"),
    schema::text("useragent", "User agent towards the store."),
]);

/// `storage.s3`. Sizes are in bytes.
#[derive(Clone, Debug)]
pub struct S3 {
    /// Access key; none means the environment's credentials.
    pub access_key: Option<Secret>,
    /// Secret key.
    pub secret_key: Option<Secret>,
    /// Session token of temporary credentials.
    pub session_token: Option<Secret>,
    /// Region.
    pub region: String,
    /// Endpoint of an S3-compatible store.
    pub region_endpoint: Option<String>,
    /// Public endpoint for presigned URLs.
    pub redirect_endpoint: Option<String>,
    /// Bucket in the path instead of the host name; none means that it follows from the endpoint.
    pub force_path_style: Option<bool>,
    /// The bucket.
    pub bucket: String,
    /// Server-side encryption.
    pub encrypt: bool,
    /// KMS key.
    pub key_id: Option<String>,
    /// HTTPS to the store.
    pub secure: bool,
    /// Skips the check of the store's certificate.
    pub skip_verify: bool,
    /// Signature version 4.
    pub v4_auth: bool,
    /// One part of an upload.
    pub chunk_size_bytes: u64,
    /// One part of a copy.
    pub copy_chunk_size_bytes: u64,
    /// Parts copied at the same time.
    pub copy_concurrency_max: u64,
    /// From where on a copy is made in parts.
    pub copy_threshold_bytes: u64,
    /// Prefix of every key.
    pub root_directory: String,
    /// Storage class in upper case; none means that no header is sent.
    pub storage_class: Option<String>,
    /// Canned ACL.
    pub object_acl: String,
    /// IPv4 and IPv6 endpoints.
    pub use_dual_stack: bool,
    /// Transfer acceleration.
    pub accelerate: bool,
    /// FIPS endpoints.
    pub use_fips_endpoint: bool,
    /// What the client logs.
    pub log_level: String,
    /// User agent.
    pub user_agent: Option<String>,
}

pub(crate) fn read(parameters: Reader<'_>) -> S3 {
    S3 {
        access_key: parameters.secret("accesskey"),
        secret_key: parameters.secret("secretkey"),
        session_token: parameters.secret("sessiontoken"),
        region: parameters.text("region"),
        region_endpoint: parameters.set_text("regionendpoint"),
        redirect_endpoint: parameters.set_text("redirectendpoint"),
        force_path_style: parameters.set_boolean("forcepathstyle"),
        bucket: parameters.text("bucket"),
        encrypt: parameters.boolean("encrypt"),
        key_id: parameters.set_text("keyid"),
        secure: parameters.boolean("secure"),
        skip_verify: parameters.boolean("skipverify"),
        v4_auth: parameters.boolean("v4auth"),
        chunk_size_bytes: parameters.count("chunksize"),
        copy_chunk_size_bytes: parameters.count("multipartcopychunksize"),
        copy_concurrency_max: parameters.count("multipartcopymaxconcurrency"),
        copy_threshold_bytes: parameters.count("multipartcopythresholdsize"),
        root_directory: parameters.text("rootdirectory"),
        storage_class: parameters
            .set_text("storageclass")
            .map(|class| class.to_ascii_uppercase())
            .filter(|class| class != "NONE"),
        object_acl: parameters.text("objectacl"),
        use_dual_stack: parameters.boolean("usedualstack"),
        accelerate: parameters.boolean("accelerate"),
        use_fips_endpoint: parameters.boolean("usefipsendpoint"),
        log_level: parameters.text("loglevel"),
        user_agent: parameters.set_text("useragent"),
    }
}
