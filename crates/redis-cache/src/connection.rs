//! The connection to Redis: to one server, to the master that sentinels name, or to a cluster. One
//! is shared by everybody, who need not wait for each other on it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_ok;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::sentinel::SentinelClient;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisFuture, RedisResult, Value};
use tokio::sync::Mutex;

use crate::commands;
use crate::error::{CallError, OpenError};
use crate::limits::{CONNECT_STEPS, RETRIES_MAX};
use crate::options::Options;

mod connector;
mod files;

use connector::Connector;

/// A connection, or a cluster's.
#[derive(Clone)]
pub(crate) enum Connection {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Node(node) => node.req_packed_command(command),
            Self::Cluster(cluster) => cluster.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Node(node) => node.req_packed_commands(commands, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Node(node) => node.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}

/// Calls on the shared connection, which is made when it is needed.
pub(crate) struct Link {
    maker: Arc<Maker>,
    shared: Arc<Mutex<Shared>>,
}

/// What connections are made from.
struct Maker {
    connector: Connector,
    options: Options,
}

#[derive(Default)]
struct Shared {
    connection: Option<Connection>,
    /// The number of the connection, so that who failed on an old one leaves a new one alone.
    number: u64,
}

impl Link {
    /// Connects to nobody yet.
    pub(crate) fn new(options: Options) -> Result<Self, OpenError> {
        let connector = Connector::new(&options)?;
        Ok(Self { maker: Arc::new(Maker { connector, options }), shared: Arc::default() })
    }

    fn options(&self) -> &Options {
        &self.maker.options
    }

    /// Has something done, again on a new connection when the old one turns out to be broken, and
    /// all of it in the time of one connection and one answer.
    pub(crate) async fn call<T, F: Future<Output = RedisResult<T>>>(
        &self,
        mut operation: impl FnMut(Connection) -> F,
    ) -> Result<T, CallError> {
        let deadline =
            self.options().connect_timeout.saturating_add(self.options().response_timeout);
        let attempts = async {
            let mut attempt = 0;
            loop {
                let error = match self.attempt(&mut operation).await {
                    Ok(done) => return Ok(done),
                    Err(error) => error,
                };
                if attempt >= self.options().retries.min(RETRIES_MAX) || !error.is_worth_another() {
                    return Err(error);
                }
                tokio::time::sleep(self.pause(attempt)).await;
                attempt += 1;
            }
        };
        tokio::time::timeout(deadline, attempts).await.unwrap_or(Err(CallError::TimedOut))
    }

    async fn attempt<T, F: Future<Output = RedisResult<T>>>(
        &self,
        operation: &mut impl FnMut(Connection) -> F,
    ) -> Result<T, CallError> {
        let (connection, number) = self.connection().await?;
        let answer = tokio::time::timeout(self.options().response_timeout, operation(connection));
        let error = match answer.await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => CallError::Redis(error),
            Err(_) => CallError::TimedOut,
        };
        if error.spoils_connection() {
            let mut shared = self.shared.lock().await;
            if shared.number == number {
                shared.connection = None;
            }
        }
        Err(error)
    }

    /// The connection and its number. A new one is made by a task of its own, which goes on when
    /// nobody waits any longer: others find it made.
    async fn connection(&self) -> Result<(Connection, u64), CallError> {
        let mut shared = Arc::clone(&self.shared).lock_owned().await;
        if let Some(connection) = &shared.connection {
            return Ok((connection.clone(), shared.number));
        }
        let maker = Arc::clone(&self.maker);
        let made = tokio::spawn(async move {
            let limit = maker.options.connect_timeout.saturating_mul(CONNECT_STEPS);
            let made = tokio::time::timeout(limit, maker.connect()).await;
            let connection = made.unwrap_or(Err(CallError::TimedOut))?;
            shared.number += 1;
            shared.connection = Some(connection.clone());
            Ok((connection, shared.number))
        });
        // It ends early only together with the runtime.
        made.await.unwrap_or(Err(CallError::TimedOut))
    }

    /// The pause after an attempt, at random so that servers don't come back together.
    fn pause(&self, attempt: u32) -> Duration {
        let Options { retry_pause_min: min, retry_pause_max: max, .. } = *self.options();
        min.saturating_mul(1 << attempt.min(RETRIES_MAX)).min(max).mul_f64(rand::random())
    }
}

impl Maker {
    async fn connect(&self) -> Result<Connection, CallError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.options.connect_timeout))
            .set_response_timeout(Some(self.options.response_timeout));
        let mut node = match &self.connector {
            Connector::Single(client) => {
                client.get_multiplexed_async_connection_with_config(&config).await?
            }
            Connector::Sentinels(clients) => master(clients, &config).await?,
            Connector::Cluster(client) => {
                return Ok(Connection::Cluster(client.get_async_connection().await?));
            }
        };
        if let Some(name) = &self.options.client_name {
            commands::introduce(&mut node, name).await?;
        }
        Ok(Connection::Node(node))
    }
}

/// A connection to the master that the fastest sentinel names: one that is gone must not be waited
/// for, since the master may have gone with it.
async fn master(
    sentinels: &[Mutex<SentinelClient>],
    config: &AsyncConnectionConfig,
) -> RedisResult<MultiplexedConnection> {
    let asked = sentinels.iter().map(|sentinel| {
        Box::pin(
            async move { sentinel.lock().await.get_async_connection_with_config(config).await },
        )
    });
    select_ok(asked).await.map(|(connection, _)| connection)
}
