//! Socket activation (`sd_listen_fds(3)`).

use listenfd::ListenFd;
use tokio::net::{TcpListener, UnixListener};

use super::socket::{Kind, ListenError};

/// The socket that was passed, if one was.
pub(super) fn listener() -> Result<Option<Kind>, ListenError> {
    take(&mut ListenFd::from_env())
}

fn take(passed: &mut ListenFd) -> Result<Option<Kind>, ListenError> {
    match passed.len() {
        0 => return Ok(None),
        1 => {}
        count => return Err(ListenError::TooMany(count)),
    }
    if let Ok(Some(listener)) = passed.take_tcp_listener(0) {
        listener.set_nonblocking(true).map_err(ListenError::Activation)?;
        let listener = TcpListener::from_std(listener).map_err(ListenError::Activation)?;
        return Ok(Some(Kind::Tcp(listener)));
    }
    let listener = passed.take_unix_listener(0).map_err(ListenError::Activation)?;
    let Some(listener) = listener else { return Ok(None) };
    listener.set_nonblocking(true).map_err(ListenError::Activation)?;
    Ok(Some(Kind::Unix(UnixListener::from_std(listener).map_err(ListenError::Activation)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passed() {
        assert!(matches!(take(&mut ListenFd::empty()), Ok(None)));
    }
}
