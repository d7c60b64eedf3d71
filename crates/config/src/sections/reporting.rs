//! `reporting`: removed in Distribution 3; known so that it can be said that it has no effect.

use crate::schema::{self, Section};

pub(crate) static SECTION: Section = Section::new(&[
    schema::optional("bugsnag", &BUGSNAG, "Bugsnag."),
    schema::optional("newrelic", &NEWRELIC, "New Relic."),
]);

static BUGSNAG: Section = Section::new(&[
    schema::secret("apikey", "Has no effect."),
    schema::text("releasestage", "Has no effect."),
    schema::text("endpoint", "Has no effect."),
]);

static NEWRELIC: Section = Section::new(&[
    schema::secret("licensekey", "Has no effect."),
    schema::text("name", "Has no effect."),
    schema::boolean("verbose", "Has no effect."),
]);
