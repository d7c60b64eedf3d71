//! Storage middlewares have the options that they can't do without.

use crate::{diagnostic::Findings, tree::Node};

use super::{chosen, is_set, is_true};

/// Checks the enabled ones of `middleware.storage`.
pub(super) fn check(root: &Node, findings: &mut Findings) {
    let entries = root.at("middleware.storage").map_or(&[][..], Node::items);
    for (index, entry) in entries.iter().enumerate() {
        if is_true(entry.get("disabled")) {
            continue;
        }
        let name = entry.get("name").and_then(Node::as_text).unwrap_or_default();
        let required: &[&str] = match name {
            "redirect" => &["baseurl"],
            "cloudfront" => &["baseurl", "privatekey", "keypairid"],
            _ => continue,
        };
        let path = format!("middleware.storage.{index}.options");
        let options = entry.get("options");
        for option in required {
            if !options.is_some_and(|options| is_set(options, option)) {
                let message = format!("must be set for `{name}`");
                findings.error(&entry.origin, &format!("{path}.{option}"), message);
            }
        }
        if let (Some(options), "cloudfront") = (options, name) {
            cloudfront(root, options, &path, findings);
        }
    }
}

fn cloudfront(root: &Node, options: &Node, path: &str, findings: &mut Findings) {
    let of_s3 = root.get("storage").map(|storage| chosen(storage, &["s3", "s3aws"]));
    if of_s3.is_none_or(|drivers| drivers.is_empty()) {
        let message = "has no effect with this storage driver: CloudFront is for `storage.s3`";
        findings.warning(&options.origin, path, message);
    }
    if let Some(filter) = options.get("ipfilteredby")
        && filter.as_text() == Some("awsregion")
        && !is_set(options, "awsregion")
    {
        let message = "must name regions, since `ipfilteredby` is awsregion";
        findings.error(&filter.origin, &format!("{path}.awsregion"), message);
    }
}
