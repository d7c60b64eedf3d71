//! Tokens made at test time against the whole of [`TokenAuth`].

mod algorithms;
mod signer;
mod support;
