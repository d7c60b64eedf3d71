//! Tokens made at test time against the whole of [`TokenAuth`](super::TokenAuth).

mod algorithms;
mod chains;
mod challenges;
mod claims;
mod files;
mod key_names;
mod logs;
mod malformed;
mod memory;
mod remote;
mod signer;
mod support;
