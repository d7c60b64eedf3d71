//! File descriptors: connections must not take those that files need.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

/// Kept for what there is a fixed number of: listeners, the debug listener's connections (64),
/// connections to webhooks and collectors, the runtime's own.
const RESERVED_MIN: u64 = 128;

/// And one of so many for files, of which a connection has one open while it pushes or pulls.
const RESERVED_FOR_FILES: u64 = 8;

/// Raises the limit on descriptors as far as this process may, as Go's runtime does it for
/// Distribution: the soft limit is 1024 in most places, for programs that use `select(2)`. Returns
/// how many there may be; `None` for any number.
pub(crate) fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        Ok(()) => {
            debug!(from = limit.current, to = limit.maximum, "raised the limit on descriptors");
            limit.maximum
        }
        Err(error) => {
            warn!(%error, limit = limit.current, "the limit on descriptors could not be raised");
            limit.current
        }
    }
}

/// How many connections there may be with so many descriptors: as many as were asked for, or as
/// leave files some.
pub(crate) fn connections(wanted: usize, descriptors: Option<u64>) -> usize {
    let Some(descriptors) = descriptors else { return wanted };
    let reserved = (RESERVED_MIN + descriptors / RESERVED_FOR_FILES).min(descriptors / 2);
    let room = usize::try_from(descriptors - reserved).unwrap_or(usize::MAX).max(1);
    if wanted > room {
        warn!(
            wanted,
            connections = room,
            descriptors,
            "there are too few file descriptors for http.limits.connections: fewer connections are \
             taken at a time, so that some are left for files; raise the hard limit (ulimit -Hn, \
             LimitNOFILE=)"
        );
    }
    wanted.min(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_files() {
        for (wanted, descriptors, expected) in [
            (16_384, None, 16_384),
            (16_384, Some(1 << 20), 16_384),
            (16_384, Some(65_536), 16_384),
            (16_384, Some(16_384), 14_208),
            (16_384, Some(1024), 768),
            (500, Some(1024), 500),
            (16_384, Some(100), 50),
            (16_384, Some(1), 1),
            (16_384, Some(0), 1),
        ] {
            assert_eq!(connections(wanted, descriptors), expected, "{wanted} {descriptors:?}");
        }
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let descriptors = raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!((limit.current, descriptors), (limit.maximum, limit.maximum));
    }
}
