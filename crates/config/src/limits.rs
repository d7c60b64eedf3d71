//! Every bound of this crate, in one place. A configuration is small; whatever is larger than
//! these is a mistake or an attack, and answers an error instead of eating memory.

/// Largest configuration file that is read, in bytes.
pub const FILE_SIZE_BYTES_MAX: usize = 1024 * 1024;

/// Largest value of one environment variable, in bytes (Linux allows 128 KiB a string).
pub const VARIABLE_SIZE_BYTES_MAX: usize = 128 * 1024;

/// Most `REGISTRY_*` variables that are looked at.
pub const VARIABLES_MAX: usize = 4096;

/// Deepest nesting of mappings and sequences, aliases included.
pub const DEPTH_MAX: usize = 64;

/// Most nodes of one document after aliases have been expanded: stops alias bombs.
pub const NODES_MAX: usize = 20_000;

/// Most bytes of scalar text of one document after aliases have been expanded.
pub const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most diagnostics of one severity that are kept; further errors are counted in a closing line.
pub const DIAGNOSTICS_MAX: usize = 200;

/// Longest piece of a bad value that is shown in an error, in characters.
pub const SHOWN_VALUE_CHARS_MAX: usize = 60;

/// Largest compiled size of one regular expression, in bytes.
pub const REGEX_SIZE_BYTES_MAX: usize = 1024 * 1024;

/// Longest pattern of repositories or tags, in bytes: that of the longest name.
pub const PATTERN_BYTES_MAX: usize = 255;

/// Longest name of a job, in bytes.
pub const JOB_NAME_BYTES_MAX: usize = 64;
