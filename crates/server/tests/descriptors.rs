//! A server that has run out of file descriptors. In a process of its own, as it takes them all.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a failed step of a test is a failed test"
)]

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use registry::Registry;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use server::{App, ListenAddress, Listener, ServerOptions};
use storage::memory::Memory;

const CLIENTS: usize = 40;

fn open_descriptors() -> u64 {
    std::fs::read_dir("/proc/self/fd").unwrap().count() as u64
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

fn ask(mut socket: &TcpStream) -> String {
    let request = b"GET /v2/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    socket.write_all(request).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

/// The processor time of this process, by a file that was opened while that was possible.
fn busy(mut file: &File) -> Duration {
    let mut stat = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut stat).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 =
        fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

#[test]
fn connections_wait_until_there_are_descriptors_again() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let listener = {
        let address = ListenAddress::tcp("127.0.0.1:0").unwrap();
        runtime.block_on(Listener::bind(&address)).unwrap()
    };
    let address = listener.local_address().unwrap();
    // They wait in the backlog: nobody accepts yet.
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| connect(address)).collect();
    let stat = File::open("/proc/self/stat").unwrap();
    let before = getrlimit(Resource::Nofile);
    let few = Rlimit { current: Some(open_descriptors() + 5), maximum: before.maximum };
    setrlimit(Resource::Nofile, few).unwrap();

    let options = ServerOptions { idle_timeout: Duration::from_secs(60), ..Default::default() };
    let registry = Registry::new(Arc::new(Memory::new()), registry::Options::default());
    let app = Arc::new(App::new(Arc::new(registry), options));
    runtime.spawn(server::serve(listener, app, std::future::pending()));

    // It has taken some, can take no more, and does not wear itself out with trying.
    std::thread::sleep(Duration::from_millis(300));
    let before_wait = busy(&stat);
    std::thread::sleep(Duration::from_secs(1));
    let spent = busy(&stat) - before_wait;
    assert!(spent < Duration::from_millis(300), "{spent:?} of processor time in one second");
    assert!(
        File::open("/proc/self/stat").is_err(),
        "there are descriptors left, so this tests nothing"
    );

    // The first have their connections, and their end makes room for the last.
    for client in clients.drain(..) {
        let answer = ask(&client);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    setrlimit(Resource::Nofile, before).unwrap();
    assert!(ask(&connect(address)).starts_with("HTTP/1.1 200 "));
}
