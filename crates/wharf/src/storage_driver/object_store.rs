//! From the configuration to an object store.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use config::{Azure, Driver, Gcs, S3, Secret, Storage};
use objects::{
    Amazon, AzureCredentials, AzureOptions, Endpoint, GcsCredentials, GcsOptions, Keys, Objects,
    OpenOptions, S3Options, Transport,
};
use tracing::{error, warn};

/// How long a start waits for a store that does not answer.
const PROBE_LIMIT: Duration = Duration::from_secs(20);

/// How long it is left alone before it is asked again.
const PROBE_PAUSE: Duration = Duration::from_secs(10);

fn open_options(storage: &Storage, root: &str, part_bytes: u64) -> OpenOptions {
    OpenOptions {
        root_directory: root.to_owned(),
        part_bytes: usize::try_from(part_bytes).unwrap_or(usize::MAX),
        redirects: !storage.redirect_disabled,
        transport: Transport::default(),
    }
}

fn with_agent(mut open: OpenOptions, agent: Option<&String>) -> OpenOptions {
    if let Some(agent) = agent {
        open.transport.user_agent.clone_from(agent);
    }
    open
}

/// Opens a bucket of S3.
pub(super) fn s3(storage: &Storage, s3: &S3) -> anyhow::Result<Objects> {
    let amazon = Amazon {
        is_secure: s3.secure,
        is_dual_stack: s3.use_dual_stack,
        is_accelerated: s3.accelerate,
        is_fips: s3.use_fips_endpoint,
    };
    if s3.log_level != "off" {
        warn!(
            "storage.s3.loglevel has no effect: requests to the store are traced, see docs/observability.md"
        );
    }
    let revealed = |secret: &Option<Secret>| secret.as_ref().map(|s| s.reveal().to_owned());
    let keys = match (revealed(&s3.access_key), revealed(&s3.secret_key)) {
        (Some(access_key), Some(secret_key)) => {
            Some(Keys { access_key, secret_key, session_token: revealed(&s3.session_token) })
        }
        (None, None) => None,
        _ => {
            anyhow::bail!("storage.s3: `accesskey` and `secretkey` go together: set both, or none")
        }
    };
    let endpoint = s3.region_endpoint.as_deref();
    let options = S3Options {
        endpoint: Endpoint::new(&s3.region, endpoint, s3.force_path_style, amazon),
        redirect_endpoint: s3.redirect_endpoint.clone(),
        bucket: s3.bucket.clone(),
        keys,
        is_encrypted: s3.encrypt || s3.key_id.is_some(),
        kms_key_id: s3.key_id.clone(),
        storage_class: s3.storage_class.clone(),
        acl: s3.object_acl.clone(),
        copy_threshold_bytes: s3.copy_threshold_bytes,
        copy_part_bytes: s3.copy_chunk_size_bytes,
        copies_at_once: usize::try_from(s3.copy_concurrency_max).unwrap_or(usize::MAX),
    };
    let open = open_options(storage, &s3.root_directory, s3.chunk_size_bytes);
    let mut open = with_agent(open, s3.user_agent.as_ref());
    open.transport.skips_verification = s3.skip_verify;
    Ok(Objects::s3(options, open)?)
}

/// Opens a container of Azure.
pub(super) fn azure(storage: &Storage, azure: &Azure) -> anyhow::Result<Objects> {
    let open = open_options(storage, &azure.root_directory, AZURE_PART_BYTES);
    let transport = Transport {
        skips_verification: azure.skip_verify,
        retries: usize::try_from(azure.max_retries).unwrap_or(usize::MAX),
        retry_pause: azure.retry_delay,
        ..open.transport
    };
    let account = &azure.account_name;
    let options = AzureOptions {
        account: account.clone(),
        container: azure.container.clone(),
        service_url: match &azure.service_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("https://{account}.blob.{}", azure.realm),
        },
        credentials: azure_credentials(azure)?,
    };
    Ok(Objects::azure(options, OpenOptions { transport, ..open })?)
}

/// Azure takes 50,000 parts; there is no key for their size.
const AZURE_PART_BYTES: u64 = 8 << 20;

fn azure_credentials(azure: &Azure) -> anyhow::Result<AzureCredentials> {
    let key = || {
        let key = azure.account_key.as_ref().context("storage.azure.accountkey must be set")?;
        anyhow::Ok(AzureCredentials::SharedKey(key.reveal().to_owned()))
    };
    let Some(credentials) = &azure.credentials else { return key() };
    match credentials.kind.as_str() {
        "client_secret" => {
            let secret = credentials.secret.as_ref();
            let secret = secret.context("storage.azure.credentials.secret must be set")?;
            Ok(AzureCredentials::ClientSecret {
                client_id: credentials.client_id.clone(),
                tenant_id: credentials.tenant_id.clone(),
                secret: secret.reveal().to_owned(),
            })
        }
        "default_credentials" => Ok(AzureCredentials::Default),
        _ => key(),
    }
}

/// Opens a bucket of Google's.
pub(super) fn gcs(storage: &Storage, gcs: &Gcs) -> anyhow::Result<Objects> {
    let credentials = match &gcs.key_file {
        Some(file) => GcsCredentials::KeyFile(file.to_string_lossy().into_owned()),
        None if gcs.credentials.is_empty() => GcsCredentials::Default,
        None => {
            let fields = gcs.credentials.iter();
            let key: serde_json::Map<String, serde_json::Value> =
                fields.map(|(name, value)| (name.clone(), value.reveal().into())).collect();
            GcsCredentials::Key(serde_json::Value::Object(key).to_string())
        }
    };
    let options = GcsOptions {
        bucket: gcs.bucket.clone(),
        credentials,
        // The variable of Google's own libraries.
        emulator: std::env::var("STORAGE_EMULATOR_HOST").ok().filter(|host| !host.is_empty()),
    };
    let open = open_options(storage, &gcs.root_directory, gcs.chunk_size_bytes);
    let mut open = with_agent(open, gcs.user_agent.as_ref());
    open.transport.requests_at_once = usize::try_from(gcs.max_concurrency).ok();
    Ok(Objects::gcs(options, open)?)
}

/// Finds out what a store can do, at once or as soon as it can be reached.
///
/// # Errors
/// When it refuses what a registry has to do. One that can't be reached may come back: that is
/// logged, and until then the careful way is taken.
pub(super) async fn probe(
    objects: &Arc<Objects>,
    driver: &Driver,
    read_only: bool,
) -> anyhow::Result<()> {
    let name = driver.name();
    let probed = tokio::time::timeout(PROBE_LIMIT, objects.probe(read_only)).await;
    let reason = match probed {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(refused)) if !refused.is_passing() => {
            return Err(anyhow::anyhow!(refused))
                .with_context(|| format!("storage.{name} can't be used as it is configured"));
        }
        Ok(Err(refused)) => refused.to_string(),
        Err(_) => format!("it did not answer within {} s", PROBE_LIMIT.as_secs()),
    };
    error!(
        error = reason,
        "storage.{name}: the store can't be reached; look at the store, and at {}. Requests are \
         answered with 503 until it answers",
        where_to_look(driver)
    );
    let objects = Arc::clone(objects);
    tokio::spawn(async move { probe_until_it_answers(&objects, name, read_only).await });
    Ok(())
}

/// Which settings say where a store is. Without those that say who this server is to it, credentials
/// are asked of the cloud's metadata service, and that may be what can't be reached.
fn where_to_look(driver: &Driver) -> String {
    let (address, credentials) = match driver {
        Driver::S3(s3) => {
            let address = match s3.region_endpoint {
                Some(_) => "`storage.s3.regionendpoint`",
                None => "`storage.s3.region`",
            };
            let keys = "`storage.s3.accesskey` and `storage.s3.secretkey`";
            (address, s3.access_key.is_none().then_some(keys))
        }
        Driver::Azure(azure) => {
            let address = match azure.service_url {
                Some(_) => "`storage.azure.serviceurl`",
                None => "`storage.azure.accountname` and `storage.azure.realm`",
            };
            let kind = azure.credentials.as_ref().map(|credentials| &*credentials.kind);
            let key = "`storage.azure.accountkey`";
            (address, (kind == Some("default_credentials")).then_some(key))
        }
        Driver::Gcs(gcs) => {
            let has_none = gcs.key_file.is_none() && gcs.credentials.is_empty();
            ("the way to Google from here", has_none.then_some("`storage.gcs.keyfile`"))
        }
        _ => ("its address", None),
    };
    match credentials {
        Some(unset) => format!(
            "{address}, and set {unset} unless credentials are to come from the environment, or from \
             the cloud that this machine is in"
        ),
        None => address.to_owned(),
    }
}

async fn probe_until_it_answers(objects: &Objects, name: &str, read_only: bool) {
    loop {
        tokio::time::sleep(PROBE_PAUSE).await;
        match objects.probe(read_only).await {
            Ok(_) => return,
            Err(refused) if refused.is_passing() => {}
            Err(refused) => {
                error!(error = %refused, "storage.{name} can't be used as it is configured");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_cant_be_reached_is_told_of_by_the_settings_to_look_at() {
        let looked = |storage: &str| {
            let text = format!("version: 0.1\nstorage: {{{storage}}}\n");
            let source = config::Source::new("config.yml", text);
            let config = config::load(&source, &config::Environment::default()).unwrap().config;
            where_to_look(&config.storage.driver)
        };
        let keys = "accesskey: a, secretkey: s";
        let there = "bucket: b, region: us-east-1";
        assert_eq!(
            looked(&format!("s3: {{{there}, regionendpoint: 'http://s3', {keys}}}")),
            "`storage.s3.regionendpoint`"
        );
        assert_eq!(looked(&format!("s3: {{{there}, {keys}}}")), "`storage.s3.region`");
        let unset = looked(&format!("s3: {{{there}}}"));
        assert!(unset.contains("`storage.s3.accesskey` and `storage.s3.secretkey`"), "{unset}");
        let azure = "azure: {accountname: a, accountkey: a2V5, container: c";
        assert_eq!(
            looked(&format!("{azure}, serviceurl: 'http://azure'}}")),
            "`storage.azure.serviceurl`"
        );
        assert!(looked("gcs: {bucket: b}").contains("`storage.gcs.keyfile`"));
    }
}
