//! Where a request comes from, as far as that can be believed.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

use crate::exchange::Peer;
use crate::limits::LIST_ELEMENTS_MAX;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The address of the client; `None` for a process on this machine that came by a unix socket and
/// speaks for nobody.
///
/// That is the other end of the connection, unless it is one of `trusted` (`http.trustedproxies`)
/// or a unix socket, which only a proxy next to this server uses. What such a proxy says is
/// believed: from the right, the first address of `X-Forwarded-For` that is not itself trusted.
/// Everything to the left of it may have been written by the client. Only without that header,
/// `Forwarded` (RFC 7239) is read in the same way, and without either `X-Real-IP`: the common
/// proxies add to the first and hand on the second as they got it.
pub(crate) fn client_ip(peer: Peer, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let nearest = match peer {
        Peer::Tcp(address) => Some(address.ip().to_canonical()),
        Peer::Unix => None,
    };
    if nearest.is_some_and(|address| !is_trusted(address, trusted)) {
        return nearest;
    }
    let said: Vec<_> = if headers.contains_key(X_FORWARDED_FOR) {
        from_the_right(headers, &X_FORWARDED_FOR).map(address).collect()
    } else if headers.contains_key(header::FORWARDED) {
        from_the_right(headers, &header::FORWARDED).map(|e| for_of(e).and_then(address)).collect()
    } else {
        from_the_right(headers, &X_REAL_IP).take(1).map(address).collect()
    };
    let mut believed = nearest;
    for address in said {
        // `unknown`, an obfuscated name or nonsense: what lies beyond can't be told.
        let Some(address) = address else { break };
        believed = Some(address);
        if !is_trusted(address, trusted) {
            break;
        }
    }
    believed
}

/// What shares the allowances of an address: an IPv4 address alone, an IPv6 address with its /64,
/// as every client of that network can take any address in it.
pub(crate) fn allowance_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

/// Whether a proxy is one that may say where requests come from.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// The elements of a comma-separated header that may come several times, the last one first.
fn from_the_right<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'h str> + use<'h> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    lines
        .into_iter()
        .rev()
        // What is no text is one element that is no address.
        .flat_map(|line| line.to_str().unwrap_or("unknown").rsplit(','))
        .map(str::trim)
        .filter(|element| !element.is_empty())
        .take(LIST_ELEMENTS_MAX)
}

/// The `for` of an element of `Forwarded`.
fn for_of(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    })
}

/// An address, with or without a port; IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = match bare.parse() {
        Ok(address) => address,
        Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn tcp(text: &str) -> Peer {
        Peer::Tcp(SocketAddr::new(text.parse().unwrap(), 4711))
    }

    #[track_caller]
    fn assert_ip(peer: Peer, trusted: &[&str], headers: &[(&'static str, &str)], expected: &str) {
        let map: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let found = client_ip(peer, &map, &nets(trusted));
        let expected = (!expected.is_empty()).then(|| expected.parse().unwrap());
        assert_eq!(found, expected, "{peer:?} {headers:?}");
    }

    #[test]
    fn nobody_is_believed_unless_trusted() {
        let claims = [("x-forwarded-for", "9.9.9.9"), ("x-real-ip", "8.8.8.8")];
        assert_ip(tcp("1.2.3.4"), &[], &claims, "1.2.3.4");
        assert_ip(tcp("1.2.3.4"), &["10.0.0.0/8"], &claims, "1.2.3.4");
        assert_ip(tcp("::ffff:1.2.3.4"), &["10.0.0.0/8"], &claims, "1.2.3.4");
        assert_ip(Peer::Unix, &[], &[], "");
        assert_ip(Peer::Unix, &[], &claims, "9.9.9.9");
    }

    #[test]
    fn the_first_from_the_right_that_is_not_trusted() {
        let trusted = &["10.0.0.0/8", "fd00::/8"];
        for (headers, expected) in [
            (&[][..], "10.0.0.1"),
            (&[("x-forwarded-for", "1.1.1.1")], "1.1.1.1"),
            (&[("x-forwarded-for", "6.6.6.6, 1.1.1.1")], "1.1.1.1"),
            (&[("x-forwarded-for", "6.6.6.6, 1.1.1.1,10.0.0.2")], "1.1.1.1"),
            (&[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
            (&[("x-forwarded-for", "6.6.6.6, unknown, 10.0.0.2")], "10.0.0.2"),
            (&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.1.1.1:80")], "1.1.1.1"),
            (&[("x-forwarded-for", "[2001:db8::1]:80")], "2001:db8::1"),
            (&[("x-forwarded-for", "2001:db8::1")], "2001:db8::1"),
            (&[("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=6.6.6.6")], "1.1.1.1"),
            (&[("x-forwarded-for", ""), ("x-real-ip", "6.6.6.6")], "10.0.0.1"),
            (&[("forwarded", "for=6.6.6.6, For=\"[2001:db8::2]:1\";proto=https")], "2001:db8::2"),
            (&[("forwarded", "for=6.6.6.6, for=_hidden")], "10.0.0.1"),
            (&[("forwarded", "for=1.1.1.1;by=x, for=\"[fd00::1]\"")], "1.1.1.1"),
            (&[("x-real-ip", "1.1.1.1")], "1.1.1.1"),
        ] {
            assert_ip(tcp("10.0.0.1"), trusted, headers, expected);
        }
    }

    #[test]
    fn a_network_of_ipv6_has_one_allowance() {
        let key = |text: &str| allowance_key(text.parse().unwrap()).to_string();
        assert_eq!(key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(key("1.2.3.4"), "1.2.3.4");
        assert_eq!(key("::ffff:1.2.3.4"), "1.2.3.4");
    }

    #[test]
    fn an_endless_list_is_cut() {
        let long = vec!["10.0.0.7"; 10_000].join(",");
        let headers = [("x-forwarded-for", format!("1.1.1.1,{long}"))];
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        assert_ip(tcp("10.0.0.1"), &["10.0.0.0/8"], &headers, "10.0.0.7");
    }
}
