//! Amazon's own networks: who asks from there is nearer to the bucket than to CloudFront.

use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Deserialize;
use tracing::{info, warn};

use crate::limits::{NETWORKS_BYTES_MAX, NETWORKS_PAUSE, NETWORKS_TIMEOUT};

/// The networks that Amazon publishes, or those of some of its regions. Empty until they have been
/// read; after a failure those that were read last count.
#[derive(Debug)]
pub struct AmazonNetworks {
    url: String,
    /// In lower case; empty for all.
    regions: Vec<String>,
    interval: Duration,
    /// Without overlaps, in order.
    networks: RwLock<Vec<IpNet>>,
}

/// Why the networks could not be read.
#[derive(Debug, thiserror::Error)]
pub enum NetworksError {
    /// It can't be asked, or answers with an error.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    /// The URL is none.
    #[error("it is no URL: {0}")]
    Url(String),
    /// There is more than a list of networks can be.
    #[error("the answer is larger than {NETWORKS_BYTES_MAX} bytes")]
    TooLarge,
    /// The answer is something else.
    #[error("the answer is no list of networks: {0}")]
    Format(#[from] serde_json::Error),
}

/// Amazon's file (Amazon VPC User Guide, "AWS IP address ranges").
#[derive(Deserialize)]
struct Ranges {
    prefixes: Vec<Prefix>,
    #[serde(default)]
    ipv6_prefixes: Vec<Prefix6>,
}

#[derive(Deserialize)]
struct Prefix {
    ip_prefix: Ipv4Net,
    region: String,
}

#[derive(Deserialize)]
struct Prefix6 {
    ipv6_prefix: Ipv6Net,
    region: String,
}

impl AmazonNetworks {
    /// None yet. `url` is `iprangesurl`, `regions` is `awsregion` (empty for all of them), `interval`
    /// is `updatefrequency`.
    #[must_use]
    pub fn new(url: String, regions: &[String], interval: Duration) -> Self {
        let regions = regions.iter().map(|region| region.to_lowercase()).collect();
        Self { url, regions, interval, networks: RwLock::default() }
    }

    /// Whether an address is in one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        let after = networks.partition_point(|network| network.network() <= address);
        after.checked_sub(1).is_some_and(|last| networks[last].contains(&address))
    }

    /// Reads them now and again, for ever.
    pub async fn run(&self) {
        loop {
            let pause = match self.update().await {
                Ok(count) => {
                    info!(url = self.url, networks = count, "Amazon's networks are read");
                    self.interval
                }
                Err(error) => {
                    warn!(url = self.url, %error, "Amazon's networks can't be read");
                    self.interval.min(NETWORKS_PAUSE)
                }
            };
            // Nothing is asked without a pause, whatever the configuration says.
            tokio::time::sleep(pause.max(Duration::from_secs(1))).await;
        }
    }

    /// Reads them; gives how many there are.
    ///
    /// # Errors
    /// [`NetworksError`]; those that were known stay.
    pub async fn update(&self) -> Result<usize, NetworksError> {
        let url = reqwest::Url::parse(&self.url);
        let url = url.map_err(|error| NetworksError::Url(error.to_string()))?;
        let client = outbound::client(&url, |builder| builder.timeout(NETWORKS_TIMEOUT))?;
        let answer = client.get(url).send().await?.error_for_status()?;
        let body = outbound::body(answer, NETWORKS_BYTES_MAX).await?;
        let body = body.ok_or(NetworksError::TooLarge)?;
        let networks = self.selected(serde_json::from_slice(&body)?);
        let count = networks.len();
        *self.networks.write().unwrap_or_else(PoisonError::into_inner) = networks;
        Ok(count)
    }

    fn selected(&self, ranges: Ranges) -> Vec<IpNet> {
        let is_wanted =
            |region: &str| self.regions.is_empty() || self.regions.contains(&region.to_lowercase());
        let v4 = ranges.prefixes.into_iter().filter(|prefix| is_wanted(&prefix.region));
        let v6 = ranges.ipv6_prefixes.into_iter().filter(|prefix| is_wanted(&prefix.region));
        let all: Vec<IpNet> = v4
            .map(|prefix| prefix.ip_prefix.into())
            .chain(v6.map(|prefix| prefix.ipv6_prefix.into()))
            .collect();
        let mut networks = IpNet::aggregate(&all);
        networks.sort_by_key(IpNet::network);
        networks
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const RANGES: &str = r#"{"syncToken": "1", "createDate": "2026-01-01-00-00-00", "prefixes": [
        {"ip_prefix": "3.4.12.4/32", "region": "eu-west-1", "service": "AMAZON", "network_border_group": "eu-west-1"},
        {"ip_prefix": "52.94.0.0/16", "region": "us-east-1", "service": "AMAZON", "network_border_group": "us-east-1"},
        {"ip_prefix": "52.94.5.0/24", "region": "us-east-1", "service": "S3", "network_border_group": "us-east-1"}],
        "ipv6_prefixes": [{"ipv6_prefix": "2600:1f00::/24", "region": "us-east-1", "service": "EC2", "network_border_group": "us-east-1"}]}"#;

    /// Answers each request with the next of these.
    async fn server(answers: Vec<String>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ip-ranges.json", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        url
    }

    fn answer(status: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn contained(networks: &AmazonNetworks) -> Vec<&'static str> {
        let addresses = [
            "3.4.12.4",
            "3.4.12.5",
            "52.94.5.1",
            "::ffff:52.94.255.255",
            "52.95.0.0",
            "2600:1f12::1",
            "2601::",
        ];
        let is_in = |address: &&str| networks.contains(address.parse().unwrap());
        addresses.into_iter().filter(is_in).collect()
    }

    #[tokio::test]
    async fn addresses_are_found_and_a_failure_forgets_none() {
        let url = server(vec![
            answer("200 OK", RANGES),
            answer("503 Service Unavailable", ""),
            answer("200 OK", "<html>"),
        ])
        .await;
        let networks = AmazonNetworks::new(url, &[], Duration::from_secs(1));
        assert!(contained(&networks).is_empty(), "before anything was read");
        assert_eq!(networks.update().await.unwrap(), 3, "one lies within another");
        let all = ["3.4.12.4", "52.94.5.1", "::ffff:52.94.255.255", "2600:1f12::1"];
        assert_eq!(contained(&networks), all);
        assert!(matches!(networks.update().await, Err(NetworksError::Http(_))));
        assert!(matches!(networks.update().await, Err(NetworksError::Format(_))));
        assert_eq!(contained(&networks), all);
    }

    #[tokio::test]
    async fn regions_are_chosen() {
        let url = server(vec![answer("200 OK", RANGES)]).await;
        let networks = AmazonNetworks::new(url, &["EU-West-1".to_owned()], Duration::from_secs(1));
        networks.update().await.unwrap();
        assert_eq!(contained(&networks), ["3.4.12.4"]);
    }
}
