//! Drivers that Distribution 3 removed. Their keys are known so that the refusal is about the
//! driver and not about its parameters.

use crate::schema::{self, Section};

pub(crate) static SWIFT: Section = Section::new(&[
    schema::text("authurl", "Removed."),
    schema::text("username", "Removed."),
    schema::secret("password", "Removed."),
    schema::text("region", "Removed."),
    schema::text("container", "Removed."),
    schema::text("tenant", "Removed."),
    schema::text("tenantid", "Removed."),
    schema::text("tenantdomain", "Removed."),
    schema::text("tenantdomainid", "Removed."),
    schema::text("domain", "Removed."),
    schema::text("domainid", "Removed."),
    schema::text("trustid", "Removed."),
    schema::boolean("insecureskipverify", "Removed."),
    schema::text("chunksize", "Removed."),
    schema::text("prefix", "Removed."),
    schema::text("rootdirectory", "Removed."),
    schema::secret("accesskey", "Removed."),
    schema::secret("secretkey", "Removed."),
    schema::text("authversion", "Removed."),
    schema::text("endpointtype", "Removed."),
    schema::boolean("tempurlcontainerkey", "Removed."),
    schema::texts("tempurlmethods", "Removed."),
]);

pub(crate) static OSS: Section = Section::new(&[
    schema::secret("accesskeyid", "Removed."),
    schema::secret("accesskeysecret", "Removed."),
    schema::text("region", "Removed."),
    schema::text("endpoint", "Removed."),
    schema::boolean("internal", "Removed."),
    schema::text("bucket", "Removed."),
    schema::boolean("encrypt", "Removed."),
    schema::text("encryptionkeyid", "Removed."),
    schema::boolean("secure", "Removed."),
    schema::text("chunksize", "Removed."),
    schema::text("rootdirectory", "Removed."),
]);
