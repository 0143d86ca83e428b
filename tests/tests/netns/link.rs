//! Is the link what a test takes it for?

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tests::netns::{Link, Shape};

const MIB: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends bytes from left to right, and counts what arrives, until the sender ends or is cut off.
fn send(link: &Link, bytes: usize) -> (JoinHandle<()>, JoinHandle<usize>) {
    let (say, listens) = mpsc::channel();
    let receiver = link.right().thread(move || {
        let listener = TcpListener::bind("0.0.0.0:7").unwrap();
        say.send(()).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let (mut buffer, mut count) = (vec![0; 1 << 16], 0);
        while let Ok(read) = stream.read(&mut buffer)
            && read > 0
        {
            count += read;
        }
        count
    });
    listens.recv_timeout(PATIENCE).unwrap();
    let address = link.right().address();
    let sender = link.left().thread(move || {
        let mut stream = TcpStream::connect((address, 7)).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        // Fails if the link is cut.
        let _ = stream.write_all(&vec![7; bytes]);
    });
    (sender, receiver)
}

#[test]
fn a_link_is_no_faster_than_its_rate_and_counts_what_crosses_it() {
    let Some(link) = Link::or_skip(Shape { rate: 100_000_000, loss: 0 }) else { return };
    let (before, begin) = (link.left().sent(), Instant::now());
    let (sender, receiver) = send(&link, 8 * MIB);
    assert_eq!(receiver.join().unwrap(), 8 * MIB);
    sender.join().unwrap();
    let (took, sent) = (begin.elapsed(), link.left().sent().since(before));
    // Bytes that cross are more than those that are sent, and the first 16 KiB go at once.
    assert!(took >= Duration::from_secs_f64(8.0 * (8 * MIB) as f64 / 100e6), "{took:?}");
    let payload = sent.payload() as f64 / (8 * MIB) as f64;
    assert!((0.999..1.001).contains(&payload), "{sent}: {payload}");
    assert!((sent.bytes as f64) < 1.06 * (8 * MIB) as f64, "{sent}");
    assert_eq!(link.right().lost(), 0);
}

#[test]
fn a_link_loses_packets_and_tcp_sends_them_again() {
    let Some(link) = Link::or_skip(Shape { rate: 100_000_000, loss: 200 }) else { return };
    let before = link.left().sent();
    let (sender, receiver) = send(&link, 2 * MIB);
    assert_eq!(receiver.join().unwrap(), 2 * MIB);
    sender.join().unwrap();
    // Of 1500 packets 30 are lost; that none is has a chance of one in 10 to the 13th.
    assert!(link.right().lost() > 0);
    let sent = link.left().sent().since(before);
    assert!(sent.again > 0, "{sent}");
}

#[test]
fn a_link_that_is_cut_carries_nothing_until_it_is_mended() {
    let Some(link) = Link::or_skip(Shape { rate: 100_000_000, loss: 0 }) else { return };
    let (sender, receiver) = send(&link, 16 * MIB);
    link.cut_after(4 * MIB as u64, PATIENCE);
    let sent = link.left().sent();
    let arrived = receiver.join().unwrap();
    sender.join().unwrap();
    assert!((3 * MIB..5 * MIB).contains(&arrived), "{arrived}");
    assert_eq!(link.left().sent().bytes, sent.bytes, "after the cut");
    link.mend();
    let (sender, receiver) = send(&link, MIB);
    assert!(receiver.join().unwrap() >= MIB);
    sender.join().unwrap();
}

#[test]
fn commands_run_on_their_host_and_nothing_is_left_of_it() {
    let Some(link) = Link::or_skip(Shape { rate: 100_000_000, loss: 0 }) else { return };
    let devices = |command: &mut std::process::Command| {
        String::from_utf8(command.args(["/proc/net/dev"]).output().unwrap().stdout).unwrap()
    };
    let names = [("left", link.left()), ("right", link.right())];
    for (own, host) in names {
        let found = devices(&mut host.command("cat"));
        for (name, _) in names {
            assert_eq!(found.contains(&format!("{name}:")), name == own, "{found}");
        }
    }
    let here = devices(&mut std::process::Command::new("cat"));
    assert!(!here.contains("left:") && !here.contains("right:"), "{here}");
    let output = link.left().command("sh").args(["-c", "readlink /proc/self/ns/net"]).output();
    let network = output.unwrap().stdout;
    let others = || {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let networks = all.filter_map(|entry| {
            let path = Path::new("/proc").join(entry.file_name()).join("ns/net");
            Some(format!("{}\n", std::fs::read_link(path).ok()?.to_str()?))
        });
        networks.filter(|found| found.as_bytes() == network).count()
    };
    assert_eq!(others(), 1);
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _link = link;
        panic!("a test that fails");
    }));
    assert!(failed.is_err());
    assert_eq!(others(), 0);
}
