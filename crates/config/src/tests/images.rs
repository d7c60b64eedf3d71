//! The configurations of Distribution's official images.

use std::time::Duration;

use crate::*;

const IMAGE_2: &str = "\
version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
";

const IMAGE_3: &str = "\
version: 0.1
log:
  level: debug
  fields:
    service: registry
    environment: development
storage:
  delete:
    enabled: true
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
  tag:
    concurrencylimit: 5
http:
  addr: :5000
  debug:
    addr: :5001
    prometheus:
      enabled: true
      path: /metrics
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
";

fn loaded(text: &str) -> Loaded {
    load(&Source::new("config.yml", text), &Environment::default()).unwrap()
}

#[test]
fn image_2_loads_without_a_word() {
    let Loaded { config, warnings, notes } = loaded(IMAGE_2);
    assert_eq!((warnings, notes), (vec![], vec![]));
    assert_eq!(config.unsupported(), vec![]);
    assert_eq!(config.http.listen, Listen::Tcp { host: None, port: 5000 });
    let nosniff = ("X-Content-Type-Options".to_owned(), vec!["nosniff".to_owned()]);
    assert_eq!(config.http.headers, [nosniff]);
    assert_eq!(config.http.debug, None);
    assert!(!config.storage.deletion.manifests);
    assert_eq!(config.storage.descriptor_cache, Some(DescriptorCache::InMemory));
    let Driver::Filesystem(filesystem) = &config.storage.driver else { panic!() };
    assert_eq!(filesystem.root_directory.to_str(), Some("/var/lib/registry"));
    let check = StorageDriverCheck { interval: Duration::from_secs(10), threshold: 3 };
    assert_eq!(config.health.storage_driver, Some(check));
    let service = ("service".to_owned(), FieldValue::Text("registry".to_owned()));
    assert_eq!(config.log.fields, [service]);
    assert_eq!(config.log.level, LogLevel::Info);
}

#[test]
fn image_3_loads_without_a_word() {
    let Loaded { config, warnings, notes } = loaded(IMAGE_3);
    assert_eq!((warnings, notes), (vec![], vec![]));
    assert_eq!(config.unsupported(), vec![]);
    assert!(config.storage.deletion.manifests);
    assert_eq!(config.storage.tag_concurrency_limit, 5);
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(config.http.debug, Some(Listen::Tcp { host: None, port: 5001 }));
    assert_eq!(config.http.prometheus_path.as_deref(), Some("/metrics"));
}

#[test]
fn zero_config_is_fit_for_use() {
    let config = Config::zero_config();
    assert_eq!(config.unsupported(), vec![]);
    assert_eq!(config.http.listen, Listen::Tcp { host: None, port: 5000 });
    assert!(config.storage.deletion.manifests);
    assert_eq!(config.storage.descriptor_cache, Some(DescriptorCache::InMemory));
    let Driver::Filesystem(filesystem) = &config.storage.driver else { panic!() };
    assert_eq!(filesystem.root_directory.to_str(), Some("./wharf-data"));
    assert!(config.health.storage_driver.is_some());
    assert!(config.http.http2 && !config.http.h2c && config.validation.enabled);
    // The same way in as a file has, with variables on top.
    let environment = Environment::from_iter([("REGISTRY_HTTP_ADDR", "localhost:6000")]);
    let loaded = load(&Source::zero_config(), &environment).unwrap();
    let local = Listen::Tcp { host: Some("localhost".to_owned()), port: 6000 };
    assert_eq!(loaded.config.http.listen, local);
    assert_eq!(loaded.warnings, vec![]);
}
