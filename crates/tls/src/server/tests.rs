//! The server's behaviour by real handshakes, and what it says about its files.

mod clients;
mod files;
mod reload;
mod unusual_clients;
mod versions;
