//! Where the registry listens, and what it says about that.

use std::net::SocketAddr;
use std::sync::Arc;

use config::{Config, Listen};
use server::{ListenAddress, Listener};
use tracing::info;

use crate::commands::{data_location, say};

/// A listener that speaks TLS where that is configured: on the socket that systemd passed, or the one that `http.addr` names.
///
/// # Errors
/// When the address can't be used, or systemd passed what can't be.
pub(crate) async fn listener(
    config: &Config,
    tls: Option<Arc<tls::Server>>,
) -> anyhow::Result<Listener> {
    let listener = plain(config).await?;
    Ok(match tls {
        Some(tls) => listener.with_tls(tls),
        None => listener,
    })
}

async fn plain(config: &Config) -> anyhow::Result<Listener> {
    if let Some(inherited) = Listener::from_systemd()? {
        info!("listening on the socket that systemd passed; http.addr is not used");
        return Ok(inherited);
    }
    Ok(Listener::bind(&address(&config.http.listen)?).await?)
}

/// The address of a listener.
///
/// # Errors
/// When it is none.
pub(crate) fn address(listen: &Listen) -> anyhow::Result<ListenAddress> {
    Ok(match listen {
        Listen::Unix(path) => ListenAddress::Unix(path.clone()),
        Listen::Tcp { host, port } => {
            let host = host.as_deref().unwrap_or_default();
            let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            ListenAddress::tcp(&format!("{host}:{port}"))?
        }
    })
}

/// Says where the registry listens and where its data lies.
pub(crate) fn announce(config: &Config, listener: &Listener, is_configured: bool) {
    let data = data_location(config);
    info!(
        address = %listener,
        data = %data,
        version = env!("CARGO_PKG_VERSION"),
        "listening on {listener}"
    );
    // Standard output is the access log's; only somebody who tries wharf out is told what to do.
    if let (false, Ok(address)) = (is_configured, listener.local_address()) {
        say(&greeting(address, &data, &config.http.prefix));
    }
}

fn greeting(address: SocketAddr, data: &str, prefix: &str) -> String {
    let host = if address.ip().is_unspecified() || address.ip().is_loopback() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    };
    format!(
        "wharf {version} listens on {address}\n\
         data: {data}\n\
         try:  docker tag alpine {host}{prefix}/alpine && docker push {host}{prefix}/alpine\n",
        version = env!("CARGO_PKG_VERSION"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_is_told_where_and_what_to_try() {
        for (address, host) in [
            ("[::]:5000", "localhost:5000"),
            ("0.0.0.0:5000", "localhost:5000"),
            ("127.0.0.1:5001", "localhost:5001"),
            ("192.0.2.7:5000", "192.0.2.7:5000"),
        ] {
            let text = greeting(address.parse().unwrap(), "/srv/wharf-data", "");
            let lines: Vec<_> = text.lines().collect();
            assert!(lines[0].ends_with(&format!("listens on {address}")), "{text}");
            assert_eq!(lines[1], "data: /srv/wharf-data");
            assert!(lines[2].ends_with(&format!("docker push {host}/alpine")), "{text}");
        }
    }
}
