//! The commands and answers of paths.c for a Rust release build: threads, trait objects, closures,
//! recursion, sorting with a callback, catch_unwind. K in base 6 is the path.

use std::collections::HashMap;
use std::io::{BufRead, Read, Result};
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};

const THREADS: u32 = 3;

static LISTENER: OnceLock<TcpListener> = OnceLock::new();
/// Every socket of a path, the last one last; none is ever closed.
static SOCKETS: Mutex<Option<HashMap<u32, Vec<TcpStream>>>> = Mutex::new(None);

struct Job {
    words: Vec<String>,
    path: u32,
}

trait Step {
    fn go(&self, job: &Job, left: u32) -> Result<u32>;
}

struct Plain(u32);
struct Recursive;
struct Sorted;
struct Boxed(Box<dyn Fn(&Job, u32) -> Result<u32> + Send + Sync>);
struct Caught;
struct Collected;

impl Step for Plain {
    #[inline(never)]
    fn go(&self, job: &Job, left: u32) -> Result<u32> {
        Ok(step(job, left)? + self.0)
    }
}

#[inline(never)]
fn down(depth: u32, last: &mut dyn FnMut() -> Result<u32>) -> Result<u32> {
    if depth == 0 { last() } else { Ok(down(depth - 1, last)? + 1) }
}

impl Step for Recursive {
    #[inline(never)]
    fn go(&self, job: &Job, left: u32) -> Result<u32> {
        down(job.path % 17, &mut || step(job, left).map(|n| n + 1))
    }
}

impl Step for Sorted {
    #[inline(never)]
    fn go(&self, job: &Job, left: u32) -> Result<u32> {
        let (mut pair, mut result) = ([2, 1], None);
        pair.sort_by(|a, b| {
            result.get_or_insert_with(|| step(job, left));
            a.cmp(b)
        });
        result.unwrap_or(Ok(0))
    }
}

impl Step for Boxed {
    #[inline(never)]
    fn go(&self, job: &Job, left: u32) -> Result<u32> {
        Ok((self.0)(job, left)? + 1)
    }
}

impl Step for Caught {
    #[inline(never)]
    fn go(&self, job: &Job, left: u32) -> Result<u32> {
        catch_unwind(AssertUnwindSafe(|| step(job, left))).unwrap_or(Ok(0))
    }
}

impl Step for Collected {
    #[inline(never)]
    fn go(&self, job: &Job, left: u32) -> Result<u32> {
        let all: Result<Vec<u32>> = (0..1).map(|n| step(job, left).map(|m| n + m)).collect();
        all.map(|all| all.iter().sum())
    }
}

fn steps() -> &'static [Box<dyn Step + Send + Sync>; 6] {
    static STEPS: OnceLock<[Box<dyn Step + Send + Sync>; 6]> = OnceLock::new();
    STEPS.get_or_init(|| {
        let offset = std::env::args().count() as u32;
        let closure = move |job: &Job, left: u32| Ok(step(job, left)? + offset);
        [
            Box::new(Plain(offset)),
            Box::new(Recursive),
            Box::new(Sorted),
            Box::new(Boxed(Box::new(closure))),
            Box::new(Caught),
            Box::new(Collected),
        ]
    })
}

#[inline(never)]
fn step(job: &Job, left: u32) -> Result<u32> {
    if left == 0 { leaf(job) } else { Ok(steps()[left as usize % 6].go(job, left / 6)? + 1) }
}

#[inline(never)]
fn leaf(job: &Job) -> Result<u32> {
    match &*job.words[0] {
        "listen" => listen(),
        "accept" => keep(job.path, LISTENER.get().expect("listens").accept()?.0),
        "connect" => {
            keep(job.path, TcpStream::connect(format!("{}:{}", job.words[2], job.words[3]))?)
        }
        _ => read_to_end(job.path),
    }
}

fn listen() -> Result<u32> {
    let listener = TcpListener::bind("10.77.0.1:0")?;
    let port = listener.local_addr()?.port();
    let _ = LISTENER.set(listener);
    println!("port={port}");
    Ok(0)
}

fn keep(path: u32, socket: TcpStream) -> Result<u32> {
    let (local, remote) = (socket.local_addr()?.port(), socket.peer_addr()?.port());
    SOCKETS.lock().expect("whole").get_or_insert_default().entry(path).or_default().push(socket);
    println!("opened={path} {local} {remote}");
    Ok(1)
}

fn read_to_end(path: u32) -> Result<u32> {
    let sockets = SOCKETS.lock().expect("whole");
    let last = sockets.as_ref().and_then(|all| all[&path].last()).expect("opened");
    let mut socket = last.try_clone()?;
    drop(sockets);
    let mut buffer = [0; 256];
    while socket.read(&mut buffer)? > 0 {}
    // The clone shares the socket, so that closing it closes no connection.
    println!("ended={path}");
    Ok(1)
}

fn work(jobs: Receiver<Job>) {
    for job in jobs {
        step(&job, job.path).expect("a path that works");
    }
}

fn main() {
    let threads: Vec<Sender<Job>> = (0..THREADS)
        .map(|number| {
            let (give, take) = channel();
            let name = format!("worker {number}");
            std::thread::Builder::new().name(name).spawn(|| work(take)).expect("a thread");
            give
        })
        .collect();
    println!("ready");
    let threads = Arc::new(threads);
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let path = words[1].parse().expect("a number");
        threads[(path % THREADS) as usize].send(Job { words, path }).expect("a thread");
    }
}
