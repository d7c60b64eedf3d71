//! From the options to a client: of one server, of sentinels, of a cluster.

use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisError, RedisResult, TlsCertificates, TlsMode,
};
use tokio::sync::Mutex;

use super::files;
use crate::error::{OpenError, describe};
use crate::limits::RETRIES_MAX;
use crate::options::{Options, Password};

/// Whom to connect to.
pub(super) enum Connector {
    Single(Box<Client>),
    /// One client for each sentinel.
    Sentinels(Vec<Mutex<SentinelClient>>),
    Cluster(Box<ClusterClient>),
}

impl Connector {
    /// Connects to nobody yet.
    pub(super) fn new(options: &Options) -> Result<Self, OpenError> {
        let certificates = options.tls.as_ref().map(files::read).transpose()?;
        let mut addresses = Vec::new();
        for (index, text) in options.addresses.iter().enumerate() {
            let address = parse_address(text, certificates.is_some());
            addresses.push(address.ok_or(OpenError::Address { index })?);
        }
        let refused = |error: RedisError| OpenError::Client { reason: describe(&error) };
        if let Some(master) = &options.master_name {
            if addresses.is_empty() {
                return Err(OpenError::NoAddress);
            }
            let clients = addresses.into_iter().map(|address| {
                sentinel(options, address, master, certificates.clone()).map(Mutex::new)
            });
            let clients = clients.collect::<RedisResult<_>>().map_err(refused)?;
            return Ok(Self::Sentinels(clients));
        }
        match addresses.len() {
            0 => Err(OpenError::NoAddress),
            1 => {
                let address = addresses.remove(0);
                let client = single(options, address, certificates).map_err(refused)?;
                Ok(Self::Single(Box::new(client)))
            }
            _ => {
                let client = cluster(options, addresses, certificates).map_err(refused)?;
                Ok(Self::Cluster(Box::new(client)))
            }
        }
    }
}

fn parse_address(text: &str, is_tls: bool) -> Option<ConnectionAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains([':', '/', '@']) => return None,
        None => host,
    };
    // As in Go: no host is this machine.
    let host = if host.is_empty() { "localhost" } else { host }.to_owned();
    Some(match is_tls {
        true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        false => ConnectionAddr::Tcp(host, port),
    })
}

const fn protocol(options: &Options) -> ProtocolVersion {
    if options.is_resp3 { ProtocolVersion::RESP3 } else { ProtocolVersion::RESP2 }
}

/// An address with everything that is said at the beginning of a connection.
fn with_credentials(options: &Options, address: ConnectionAddr) -> RedisResult<ConnectionInfo> {
    let mut settings = RedisConnectionInfo::default()
        .set_db(options.database)
        .set_protocol(protocol(options))
        .set_lib_name("wharf", env!("CARGO_PKG_VERSION"));
    if let Some(user) = &options.username {
        settings = settings.set_username(user);
    }
    if let Some(password) = &options.password {
        settings = settings.set_password(password.reveal());
    }
    Ok(address.into_connection_info()?.set_redis_settings(settings))
}

fn single(
    options: &Options,
    address: ConnectionAddr,
    certificates: Option<TlsCertificates>,
) -> RedisResult<Client> {
    let info = with_credentials(options, address)?;
    match certificates {
        Some(certificates) => Client::build_with_tls(info, certificates),
        None => Client::open(info),
    }
}

fn cluster(
    options: &Options,
    addresses: Vec<ConnectionAddr>,
    certificates: Option<TlsCertificates>,
) -> RedisResult<ClusterClient> {
    let nodes: RedisResult<Vec<ConnectionInfo>> =
        addresses.into_iter().map(|address| with_credentials(options, address)).collect();
    let mut builder = ClusterClientBuilder::new(nodes?)
        .connection_timeout(options.connect_timeout)
        .response_timeout(options.response_timeout)
        .retries(options.retries.min(RETRIES_MAX));
    if let Some(certificates) = certificates {
        builder = builder.certs(certificates);
    }
    builder.build()
}

fn sentinel(
    options: &Options,
    address: ConnectionAddr,
    master: &str,
    certificates: Option<TlsCertificates>,
) -> RedisResult<SentinelClient> {
    let mut builder = SentinelClientBuilder::new([address], master, SentinelServerType::Master)?
        .set_client_to_redis_db(options.database)
        .set_client_to_redis_protocol(protocol(options));
    if let Some(user) = &options.username {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = options.password.as_ref().map(Password::reveal) {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(user) = &options.sentinel_username {
        builder = builder.set_client_to_sentinel_username(user);
    }
    if let Some(password) = options.sentinel_password.as_ref().map(Password::reveal) {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if let Some(certificates) = certificates {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("redis:6379", Some(("redis", 6379))),
            ("10.0.0.1:1", Some(("10.0.0.1", 1))),
            ("[::1]:6379", Some(("::1", 6379))),
            (":6379", Some(("localhost", 6379))),
            ("redis", None),
            ("redis:", None),
            ("redis:99999", None),
            ("::1:6379", None),
            ("[::1:6379", None),
            ("redis://user:hidden@redis:6379", None),
        ] {
            let expected = expected.map(|(host, port)| ConnectionAddr::Tcp(host.to_owned(), port));
            assert_eq!(parse_address(text, false), expected, "{text}");
        }
        let options = Options::new(vec!["r:1".into(), "redis://user:hidden@redis:6379".into()]);
        let error = Connector::new(&options).err().unwrap().to_string();
        assert!(error.contains("entry 1") && !error.contains("hidden"), "{error}");
        assert!(matches!(Connector::new(&Options::new(vec![])), Err(OpenError::NoAddress)));
    }
}
