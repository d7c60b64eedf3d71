//! Random input never panics; a bounded run of what the fuzz target does without end.

use proptest::prelude::*;

use crate::fuzz_bytes;

/// Pieces that make random text look like a configuration.
const PIECES: &[&str] = &[
    "version: 0.1\n",
    "storage:",
    "  filesystem:",
    " inmemory",
    "http:",
    "\n",
    "  ",
    "    ",
    "- ",
    "addr: ",
    ":5000",
    "log:",
    "level: ",
    "debug",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a ",
    "*a",
    "<<: ",
    "'",
    "\"",
    "|",
    ">",
    "# ",
    "---\n",
    "...\n",
    "!!str ",
    "%YAML 1.1\n",
    "? ",
    ": ",
    "~",
    "0x",
    "1_000",
    "-9223372036854775808",
    "9e99",
    "1h",
    "\u{b5}s",
    "\u{0}",
    "REGISTRY_",
    "REGISTRY_HTTP_HEADERS_X=",
    "REGISTRY_STORAGE=",
    "_0",
    "_9999999",
    "HTTP_TLS_CLIENTCAS_0=",
    "middleware:",
    "options:",
    "headers:",
    "redis: {pool: {maxidle: 1}}",
    "proxy:",
    "proxy: {upstreams: [{url: 'https://h', prefix: ",
    "remoteurl: https://u@h\n",
    "\t",
    "\r\n",
    "\u{feff}",
    "é",
    "\u{2028}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        fuzz_bytes(&bytes);
    }

    #[test]
    fn random_pieces(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..48)) {
        fuzz_bytes(pieces.concat().as_bytes());
    }

    #[test]
    fn random_values_of_known_keys(
        name in "REGISTRY_(HTTP|LOG|STORAGE|REDIS|HEALTH|PROXY|VALIDATION)(_[A-Z0-9]{1,12}){0,3}",
        value in "\\PC{0,40}",
    ) {
        fuzz_bytes(format!("version: 0.1\nstorage: inmemory\n\0{name}={value}").as_bytes());
    }
}
