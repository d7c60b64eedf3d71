//! Which addresses an upstream may lead to.
//!
//! An upstream says where its blobs and its tokens are, with redirects and realms, and wharf goes
//! there. So that it can't be used to reach what only the machine reaches (a service on loopback,
//! a neighbour's administration, the credentials of the cloud), these rules hold:
//!
//! - The hosts of the endpoints are configured, and are asked wherever they are.
//! - Other hosts are asked only at public addresses. Where an endpoint itself has addresses of one
//!   kind only, private ones or loopback, others of that kind are as near, and are asked too. A
//!   host that ever had a public address never counts as private, whatever it resolves to later.
//! - Addresses that mean this host, link-local ones (with the metadata services of clouds) and
//!   those that are nobody's are never asked for an upstream of another kind.
//!
//! Names are resolved by a resolver of this module, and what it says is what is connected to, so
//! there is no time between the check and the use. Behind an HTTP proxy it is the proxy that
//! resolves names; then only addresses in URLs are checked here, and the rest is the proxy's.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Who can be reached at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Public,
    Private,
    Loopback,
    LinkLocal,
    /// Unspecified, multicast, reserved: nothing is there, or more than one.
    Nobody,
}

impl Kind {
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Somewhere that an upstream may not lead to.
#[derive(Debug, Clone, thiserror::Error)]
#[error("it leads to {host}, which is not a public address")]
pub(crate) struct Forbidden {
    host: String,
}

/// What is known of where an endpoint is.
#[derive(Debug)]
pub(crate) struct Guard {
    /// The endpoint's host.
    host: String,
    /// The HTTP proxies of this process: they are configured too, but not to be asked directly.
    proxies: Vec<String>,
    /// The kinds of all addresses that it ever had.
    seen: AtomicU8,
}

impl Guard {
    pub(crate) fn new(endpoint: &Url, proxies: Vec<String>) -> Self {
        let host = bare_host(endpoint);
        let seen = host.parse().map_or(0, |address| kind(address).bit());
        Self { host, proxies, seen: AtomicU8::new(seen) }
    }

    /// Whether a URL leads to the host of the endpoint.
    pub(crate) fn is_home(&self, url: &Url) -> bool {
        bare_host(url) == self.host
    }

    /// Whether a URL of another host may be asked, by what can be seen from it. Names are looked
    /// at once more when they are resolved.
    pub(crate) fn check(&self, url: &Url) -> Result<(), Forbidden> {
        let host = bare_host(url);
        let name = host.trim_end_matches('.');
        let allowed = if let Ok(address) = host.parse() {
            self.allows(kind(address))
        } else if name == "localhost" || name.ends_with(".localhost") {
            self.allows(Kind::Loopback)
        } else {
            !self.proxies.iter().any(|proxy| proxy == name)
        };
        if allowed { Ok(()) } else { Err(Forbidden { host }) }
    }

    fn allows(&self, kind: Kind) -> bool {
        kind == Kind::Public
            || (kind != Kind::Nobody && self.seen.load(Ordering::Relaxed) == kind.bit())
    }

    fn is_proxy(&self, name: &str) -> bool {
        self.proxies.iter().any(|proxy| proxy == name)
    }
}

/// Resolves the host of an endpoint, and remembers where it is.
pub(crate) struct Home(pub(crate) Arc<Guard>);

impl Resolve for Home {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let found = lookup(name.as_str()).await?;
            if name.as_str() == guard.host {
                let kinds = found.iter().fold(0, |bits, at| bits | kind(at.ip()).bit());
                guard.seen.fetch_or(kinds, Ordering::Relaxed);
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Resolves the hosts that an endpoint leads to.
pub(crate) struct Away(pub(crate) Arc<Guard>);

impl Resolve for Away {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let mut found = lookup(name.as_str()).await?;
            if !guard.is_proxy(name.as_str()) {
                found.retain(|at| guard.allows(kind(at.ip())));
            }
            if found.is_empty() {
                return Err(Forbidden { host: name.as_str().to_owned() }.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

async fn lookup(name: &str) -> std::io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}

impl fmt::Debug for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Away")
    }
}

/// A URL's host, an IPv6 address without its brackets.
pub(crate) fn bare_host(url: &Url) -> String {
    url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase()
}

fn kind(address: IpAddr) -> Kind {
    match address.to_canonical() {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

fn kind_v4(address: Ipv4Addr) -> Kind {
    match address.octets() {
        [127, ..] => Kind::Loopback,
        // 100.100.100.200 is the metadata service of a cloud.
        [169, 254, ..] | [100, 100, 100, 200] => Kind::LinkLocal,
        [10, ..] | [192, 168, ..] | [198, 18 | 19, ..] | [192, 0, 0, _] => Kind::Private,
        [172, second, ..] if (16..32).contains(&second) => Kind::Private,
        [100, second, ..] if (64..128).contains(&second) => Kind::Private,
        // 0.0.0.0 reaches this host.
        [0 | 224..=255, ..] => Kind::Nobody,
        _ => Kind::Public,
    }
}

fn kind_v6(address: Ipv6Addr) -> Kind {
    let embedded = |high: u16, low: u16| {
        let bits = u32::from(high) << 16 | u32::from(low);
        kind_v4(Ipv4Addr::from_bits(bits))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Loopback,
        [0, 0, 0, 0, 0, 0, 0, 0] => Kind::Nobody,
        // IPv4 within IPv6: compatible addresses, NAT64, 6to4.
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            embedded(high, low)
        }
        [0x2002, high, low, ..] => embedded(high, low),
        [0x64, 0xff9b, 1, ..] => Kind::Private,
        // Metadata services of clouds that have an address of their own.
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254] => {
            Kind::LinkLocal
        }
        [first, ..] if first & 0xffc0 == 0xfe80 => Kind::LinkLocal,
        [first, ..] if first & 0xffc0 == 0xfec0 || first & 0xfe00 == 0xfc00 => Kind::Private,
        [first, ..] if first & 0xff00 == 0xff00 => Kind::Nobody,
        _ => Kind::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(endpoint: &str) -> Guard {
        Guard::new(&Url::parse(endpoint).unwrap(), vec!["squid.corp".to_owned()])
    }

    fn allows(guard: &Guard, url: &str) -> bool {
        guard.check(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn a_public_upstream_leads_to_public_addresses_only() {
        let guard = guard("https://1.2.3.4");
        for url in ["https://8.8.8.8/", "https://[2606:4700::1]/", "https://cdn.example.com/"] {
            assert!(allows(&guard, url), "{url}");
        }
        for url in [
            "http://127.0.0.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://0.0.0.0:5000/",
            "http://localhost:1/",
            "http://a.localhost./",
            "http://10.1.2.3/",
            "http://172.16.0.1/",
            "http://192.168.1.1/",
            "http://100.64.0.1/",
            "http://169.254.169.254/latest/meta-data/",
            "http://100.100.100.200/",
            "http://255.255.255.255/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::7f00:1]/",
            "http://[64:ff9b::a00:1]/",
            "http://[2002:7f00:1::1]/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "http://[fd12::1]/",
            "http://[ff02::1]/",
            "http://squid.corp:3128/",
        ] {
            assert!(!allows(&guard, url), "{url}");
        }
    }

    #[test]
    fn a_private_upstream_leads_to_private_addresses_but_not_to_this_machine() {
        let guard = guard("https://10.0.0.1");
        assert!(allows(&guard, "http://192.168.1.1/"));
        for url in ["http://127.0.0.1/", "http://169.254.169.254/", "http://0.0.0.0/"] {
            assert!(!allows(&guard, url), "{url}");
        }
        let guard = self::guard("http://127.0.0.1:5000");
        assert!(allows(&guard, "http://127.0.0.1:5001/"));
        assert!(!allows(&guard, "http://10.0.0.1/"));
    }

    #[tokio::test]
    async fn names_are_looked_at_when_they_are_resolved() {
        let named = |endpoint: &str| Arc::new(guard(endpoint));
        let name = || "localhost".parse::<Name>().unwrap();
        let public = named("https://1.2.3.4");
        let Err(error) = Away(Arc::clone(&public)).resolve(name()).await else {
            panic!("localhost was resolved for a public upstream")
        };
        assert!(error.downcast_ref::<Forbidden>().is_some(), "{error}");

        let local = named("http://localhost:5000");
        assert!(!allows(&local, "http://127.0.0.1/"), "nothing was resolved yet");
        let _ = Home(Arc::clone(&local)).resolve(name()).await.unwrap();
        assert!(allows(&local, "http://127.0.0.1/"));
        let _ = Away(Arc::clone(&local)).resolve(name()).await.unwrap();
        // Once public, never private again.
        local.seen.fetch_or(Kind::Public.bit(), Ordering::Relaxed);
        let _ = Home(Arc::clone(&local)).resolve(name()).await.unwrap();
        assert!(!allows(&local, "http://127.0.0.1/"));
    }
}
