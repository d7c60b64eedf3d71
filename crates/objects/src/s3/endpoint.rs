//! Where a bucket is.

/// Which of Amazon's own endpoints, or which other one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `region`.
    pub region: String,
    /// `regionendpoint`, with its scheme; none is Amazon's.
    url: Option<String>,
    /// The bucket is in the path and not in the host name.
    pub(crate) is_path_style: bool,
    amazon: Amazon,
}

/// What kind of Amazon's endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amazon {
    /// `secure`.
    pub is_secure: bool,
    /// `usedualstack`.
    pub is_dual_stack: bool,
    /// `accelerate`.
    pub is_accelerated: bool,
    /// `usefipsendpoint`.
    pub is_fips: bool,
}

/// The region that is signed for where a store has none.
const REGION_DEFAULT: &str = "us-east-1";

impl Endpoint {
    /// From `region`, `regionendpoint` and `forcepathstyle`. An endpoint that is not Amazon's is
    /// asked by path unless that was said otherwise: few of them have a host name for each bucket.
    #[must_use]
    pub fn new(
        region: &str,
        region_endpoint: Option<&str>,
        force_path_style: Option<bool>,
        amazon: Amazon,
    ) -> Self {
        let region = if region.is_empty() { REGION_DEFAULT } else { region };
        let url = region_endpoint.map(|endpoint| with_scheme(endpoint, amazon.is_secure));
        let is_foreign = url.as_deref().is_some_and(|url| !is_amazon(url));
        let is_path_style = force_path_style.unwrap_or(is_foreign) && !amazon.is_accelerated;
        Self { region: region.to_owned(), url, is_path_style, amazon }
    }

    /// The same bucket at another address.
    pub(crate) fn at(&self, address: &str) -> Self {
        Self { url: Some(with_scheme(address, self.amazon.is_secure)), ..self.clone() }
    }

    /// The address for the library: with the bucket in the host name, if it goes there.
    pub(crate) fn url(&self, bucket: &str) -> String {
        let url = self.url.clone().unwrap_or_else(|| self.amazon_url());
        if self.is_path_style {
            return url;
        }
        match url.split_once("://") {
            Some((scheme, host)) => format!("{scheme}://{bucket}.{host}"),
            None => url,
        }
    }

    fn amazon_url(&self) -> String {
        let Amazon { is_secure, is_dual_stack, is_accelerated, is_fips } = self.amazon;
        let scheme = if is_secure { "https" } else { "http" };
        let stack = if is_dual_stack { ".dualstack" } else { "" };
        let domain =
            if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        if is_accelerated {
            return format!("{scheme}://s3-accelerate{stack}.{domain}");
        }
        let service = if is_fips { "s3-fips" } else { "s3" };
        format!("{scheme}://{service}{stack}.{}.{domain}", self.region)
    }
}

fn with_scheme(endpoint: &str, is_secure: bool) -> String {
    let endpoint = endpoint.trim_end_matches('/');
    if endpoint.contains("://") {
        return endpoint.to_owned();
    }
    let scheme = if is_secure { "https" } else { "http" };
    format!("{scheme}://{endpoint}")
}

fn is_amazon(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, host)| host);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECURE: Amazon =
        Amazon { is_secure: true, is_dual_stack: false, is_accelerated: false, is_fips: false };

    #[test]
    fn addresses() {
        let dual = Amazon { is_dual_stack: true, ..SECURE };
        let fast = Amazon { is_accelerated: true, ..SECURE };
        let fips = Amazon { is_fips: true, ..SECURE };
        let plain = Amazon { is_secure: false, ..SECURE };
        let west = Some("s3.us-west-2.amazonaws.com");
        for (region, endpoint, style, amazon, expected) in [
            ("eu-west-1", None, None, SECURE, "https://b.s3.eu-west-1.amazonaws.com"),
            ("eu-west-1", None, Some(true), SECURE, "https://s3.eu-west-1.amazonaws.com"),
            ("cn-north-1", None, None, SECURE, "https://b.s3.cn-north-1.amazonaws.com.cn"),
            ("eu-west-1", None, None, dual, "https://b.s3.dualstack.eu-west-1.amazonaws.com"),
            ("eu-west-1", None, Some(true), fast, "https://b.s3-accelerate.amazonaws.com"),
            ("us-east-1", None, None, fips, "https://b.s3-fips.us-east-1.amazonaws.com"),
            ("garage", Some("127.0.0.1:3900"), None, plain, "http://127.0.0.1:3900"),
            ("", Some("http://minio:9000/"), None, SECURE, "http://minio:9000"),
            ("", Some("s3.example.org"), Some(false), SECURE, "https://b.s3.example.org"),
            ("x", west, None, SECURE, "https://b.s3.us-west-2.amazonaws.com"),
        ] {
            assert_eq!(Endpoint::new(region, endpoint, style, amazon).url("b"), expected);
        }
        let inner = Endpoint::new("r", Some("http://inner"), None, SECURE);
        assert_eq!(inner.at("https://outer").url("b"), "https://outer");
        assert_eq!(Endpoint::new("", None, None, SECURE).region, "us-east-1");
    }
}
