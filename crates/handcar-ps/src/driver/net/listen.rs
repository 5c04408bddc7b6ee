//! Opening a port.

use crate::error::{Error, Result};
use std::net::{TcpListener, ToSocketAddrs};

/// Listens on `addr` (`127.0.0.1:0` picks a free port). Anything but a loopback address needs `insecure_listen`, and
/// warns: there is no authentication yet.
///
/// # Errors
/// [`Error::Listen`] with the address, if it is taken, no address, or not allowed.
pub fn listen(addr: &str, insecure_listen: bool) -> Result<TcpListener> {
    let refuse = |how: String| Error::Listen { addr: addr.into(), how };
    let found: Vec<_> = addr.to_socket_addrs().map_err(|e| refuse(e.to_string()))?.collect();
    if found.iter().any(|a| !a.ip().is_loopback()) {
        if !insecure_listen {
            return Err(refuse("expected a loopback address, or the option --insecure-listen".into()));
        }
        tracing::warn!(addr, "listening beyond this machine without authentication: anybody who reaches it can join");
    }
    TcpListener::bind(&found[..]).map_err(|e| refuse(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_named() {
        let first = listen("127.0.0.1:0", false).unwrap();
        let addr = first.local_addr().unwrap().to_string();
        let text = listen(&addr, false).unwrap_err().to_string();
        assert!(text.starts_with(&format!("listen: cannot listen on {addr}: ")) && text.contains("in use"), "{text}");
    }

    #[test]
    fn the_world_is_listened_to_only_on_demand() {
        let text = listen("0.0.0.0:0", false).unwrap_err().to_string();
        assert!(text.contains("--insecure-listen"), "{text}");
        assert!(listen("0.0.0.0:0", true).is_ok());
        assert!(listen("no such place", false).is_err());
    }
}
