//! `middleware`: the options of those that are built.

use std::time::Duration;

use super::*;

const S3: &str = "version: 0.1\nstorage: {s3: {bucket: b, region: us-east-1}}\n";

fn cloudfront(options: &str) -> String {
    format!("{S3}middleware:\n  storage:\n    - name: cloudfront\n      options: {{{options}}}\n")
}

#[test]
fn cloudfront_is_read() {
    let text = cloudfront(
        "baseurl: cdn.example.com, privatekey: /certs/key.pem, keypairid: K1, duration: 5m, \
         ipfilteredby: awsregion, awsregion: 'us-east-1, eu-west-1', updatefrequency: 1h",
    );
    let [entry] = &clean(&text, &[]).middleware.storage[..] else { panic!("one entry") };
    let options = entry.cloudfront.as_ref().unwrap();
    assert_eq!(options.base_url, "cdn.example.com");
    assert_eq!(options.private_key.to_str(), Some("/certs/key.pem"));
    assert_eq!((&*options.key_pair_id, options.duration), ("K1", Duration::from_mins(5)));
    let networks = options.amazon_networks.as_ref().unwrap();
    assert_eq!(networks.regions, ["us-east-1", "eu-west-1"]);
    assert_eq!(networks.url, "https://ip-ranges.amazonaws.com/ip-ranges.json");
    assert_eq!(networks.interval, Duration::from_hours(1));
}

#[test]
fn who_is_sent_to_the_bucket_is_said() {
    let regions = |filter: &str| {
        let text = cloudfront(&format!("baseurl: b, privatekey: k, keypairid: i{filter}"));
        let config = clean(&text, &[]);
        let options = config.middleware.storage[0].cloudfront.clone().unwrap();
        options.amazon_networks.map(|networks| networks.regions)
    };
    assert_eq!(regions(""), None);
    assert_eq!(regions(", ipfilteredby: none"), None);
    assert_eq!(regions(", ipfilteredby: aws, awsregion: us-east-1"), Some(Vec::new()));
}

#[test]
fn what_a_middleware_can_not_do_without_is_asked_for() {
    assert_eq!(
        errors(&cloudfront("keypairid: K1, ipfilteredby: awsregion"), &[]),
        [
            "config.yml:5:7: middleware.storage.0.options.baseurl: must be set for `cloudfront`",
            "config.yml:5:7: middleware.storage.0.options.privatekey: must be set for `cloudfront`",
            "config.yml:6:46: middleware.storage.0.options.awsregion: must name regions, since `ipfilteredby` is awsregion",
        ]
    );
    let redirect = "middleware: {storage: [{name: redirect}, {name: redirect, disabled: true}]}";
    assert_eq!(
        errors(&format!("{S3}{redirect}\n"), &[]),
        ["config.yml:3:24: middleware.storage.0.options.baseurl: must be set for `redirect`"]
    );
}

#[test]
fn cloudfront_before_another_driver_is_warned_of() {
    let options = "options: {baseurl: b, privatekey: k, keypairid: i}";
    let text = with(&format!("middleware: {{storage: [{{name: cloudfront, {options}}}]}}"));
    let [warning] = &warnings(&text, &[])[..] else { panic!("one warning") };
    assert!(warning.ends_with("CloudFront is for `storage.s3`"), "{warning}");
}
