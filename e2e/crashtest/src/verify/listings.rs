//! Tags, referrers and the catalog: everything that is there and nothing that is not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use oci::Digest;
use serde_json::Value;

use super::Verification;
use crate::http::{Body, Client};
use crate::ledger::{Content, Holdings};

/// More than a volume ever gets repositories, and no more than a page may have.
const CATALOG_PAGE: usize = 1000;

impl Verification<'_> {
    /// Checks the lists of these repositories, and the catalog.
    pub(super) fn listings(&self, repositories: &BTreeSet<Arc<str>>) {
        let mut client = Client::new(self.address);
        for repository in repositories {
            let holdings = self.ledger.holdings(repository);
            let outcome = self
                .tags(&mut client, repository, &holdings)
                .and_then(|()| self.referrers(&mut client, repository, &holdings));
            if let Err(text) = outcome {
                self.violation(text);
            }
        }
        if let Err(text) = self.catalog(&mut client) {
            self.violation(text);
        }
    }

    fn get(&self, client: &mut Client, target: &str) -> Result<(u16, Value), String> {
        let response = client
            .send("GET", target, &[], Body::None)
            .map_err(|error| format!("GET {target}: {error}"))?;
        match serde_json::from_slice(&response.body) {
            Ok(json) => Ok((response.status, json)),
            Err(_) => Err(format!("GET {target} answered no JSON: {}", response.excerpt())),
        }
    }

    fn tags(
        &self,
        client: &mut Client,
        repository: &str,
        holdings: &Holdings,
    ) -> Result<(), String> {
        let target = format!("/v2/{repository}/tags/list");
        let (status, json) = self.get(client, &target)?;
        let wanted: BTreeSet<&str> = holdings.tags.keys().map(String::as_str).collect();
        match status {
            200 => {}
            404 if holdings.manifests.is_empty() => return Ok(()),
            _ => return Err(format!("GET {target} answered {status} {json}")),
        }
        let listed: BTreeSet<&str> = strings(&json["tags"]).collect();
        same(&target, &listed, &wanted)
    }

    /// Every manifest with a subject is listed for it while it is there, and not when it is not.
    fn referrers(
        &self,
        client: &mut Client,
        repository: &str,
        holdings: &Holdings,
    ) -> Result<(), String> {
        let mut wanted: BTreeMap<Digest, BTreeSet<String>> = BTreeMap::new();
        for (manifests, there) in [(&holdings.manifests, true), (&holdings.absent_manifests, false)]
        {
            for digest in manifests {
                let Some(content) = self.ledger.content(digest) else { continue };
                let Content::Manifest(manifest) = &*content else { continue };
                let Some(subject) = manifest.subject else { continue };
                let list = wanted.entry(subject).or_default();
                if there {
                    list.insert(digest.to_string());
                }
            }
        }
        for (subject, wanted) in &wanted {
            let target = format!("/v2/{repository}/referrers/{subject}");
            let (status, json) = self.get(client, &target)?;
            if status != 200 {
                return Err(format!("GET {target} answered {status} {json}"));
            }
            let list = json["manifests"].as_array().map_or(&[][..], |list| list);
            let listed = list.iter().filter_map(|m| m["digest"].as_str()).collect();
            same(&target, &listed, &wanted.iter().map(String::as_str).collect())?;
        }
        Ok(())
    }

    fn catalog(&self, client: &mut Client) -> Result<(), String> {
        let target = format!("/v2/_catalog?n={CATALOG_PAGE}");
        let (status, json) = self.get(client, &target)?;
        if status != 200 {
            return Err(format!("GET {target} answered {status} {json}"));
        }
        let listed: BTreeSet<&str> = strings(&json["repositories"]).collect();
        let known = self.ledger.repositories();
        let full = known.iter().filter(|r| !self.ledger.holdings(r).manifests.is_empty());
        let wanted: BTreeSet<&str> = full.map(|r| &**r).collect();
        same(&target, &listed, &wanted)
    }
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn same(target: &str, listed: &BTreeSet<&str>, wanted: &BTreeSet<&str>) -> Result<(), String> {
    let missing: Vec<_> = wanted.difference(listed).collect();
    let surplus: Vec<_> = listed.difference(wanted).collect();
    if missing.is_empty() && surplus.is_empty() {
        Ok(())
    } else {
        Err(format!("GET {target}: missing {missing:?}, not expected {surplus:?}"))
    }
}
