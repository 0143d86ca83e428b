//! TCP, which neither encrypts nor knows who is there: on this machine only, unless a person
//! insists (§13.1).

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use super::dest::authority;
use super::{Connection, Error, within};

/// Connects to whoever listens at `host` and `port`, trying one address after another.
///
/// # Errors
/// If that is not on this machine and nobody insists, or if nobody answers in time.
pub fn connect(
    host: &str,
    port: u16,
    insecure: bool,
    patience: Duration,
) -> Result<Connection, Error> {
    let place = format!("tcp://{}", authority(host, port));
    let mut last = Error::NoAddress(place.clone());
    for address in addresses(host, port, &place, insecure, patience)? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(socket) => return Connection::tcp(socket).map_err(Error::system(&place)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                last = Error::NoAnswer { place: place.clone(), patience };
            }
            Err(error) => last = Error::system(&place)(error),
        }
    }
    Err(last)
}

/// Listens at `host` and `port`, and says where that is.
///
/// # Errors
/// If that is not on this machine and nobody insists, or if it is taken.
pub fn listen(
    host: &str,
    port: u16,
    insecure: bool,
    patience: Duration,
) -> Result<(TcpListener, String), Error> {
    let place = format!("tcp://{}", authority(host, port));
    let addresses = addresses(host, port, &place, insecure, patience)?;
    let listener = TcpListener::bind(addresses.as_slice()).map_err(Error::system(&place))?;
    let at = listener.local_addr().map_err(Error::system(&place))?;
    Ok((listener, format!("tcp://{at}")))
}

/// All addresses of a host. None of them may lead off this machine, unless a person insists.
fn addresses(
    host: &str,
    port: u16,
    place: &str,
    insecure: bool,
    patience: Duration,
) -> Result<Vec<SocketAddr>, Error> {
    let name = host.to_owned();
    let found = within(patience, place, move || {
        Ok((name.as_str(), port).to_socket_addrs()?.collect::<Vec<_>>())
    })?;
    let stays = |address: &SocketAddr| address.ip().to_canonical().is_loopback();
    match found.iter().find(|address| !stays(address)) {
        Some(address) if !insecure => Err(Error::OffLoopback(format!("{place} ({address})"))),
        _ if found.is_empty() => Err(Error::NoAddress(place.to_owned())),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn nothing_leaves_this_machine_unless_a_person_insists() {
        // Addresses for documentation: nobody is there.
        for host in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "0.0.0.0", "::"] {
            let refused = connect(host, 9, false, MINUTE).unwrap_err();
            assert!(matches!(refused, Error::OffLoopback(_)), "{host}: {refused}");
            let refused = listen(host, 0, false, MINUTE).unwrap_err();
            assert!(matches!(refused, Error::OffLoopback(_)), "{host}: {refused}");
        }
        assert!(addresses("192.0.2.1", 9, "x", true, MINUTE).is_ok());
    }

    #[test]
    fn loopback_is_reached_in_both_families() {
        for host in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            // A machine may have only one of them.
            let Ok((listener, place)) = listen(host, 0, false, MINUTE) else { continue };
            let port = listener.local_addr().unwrap().port();
            assert!(place.ends_with(&format!(":{port}")), "{place}");
            connect(host, port, false, MINUTE).unwrap();
        }
    }

    #[test]
    fn a_port_that_nobody_listens_on_is_an_error_with_its_name() {
        let (listener, _) = listen("127.0.0.1", 0, false, MINUTE).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = connect("127.0.0.1", port, false, MINUTE).unwrap_err().to_string();
        assert!(error.starts_with(&format!("tcp://127.0.0.1:{port}: ")), "{error}");
    }
}
