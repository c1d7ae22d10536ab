//! How long after its upstream a server-sent event's first byte arrives, and after its client the
//! piece of an upload.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

use crate::contender::{Contender, Door};
use crate::ours::TOKEN;

const EVENTS: usize = 300;
const APART: Duration = Duration::from_millis(5);

/// From one end's write to the other's read.
pub(crate) struct Delay {
    pub(crate) contender: &'static str,
    pub(crate) down: Spread,
    pub(crate) up: Spread,
}

/// In microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Spread {
    fn of(mut took: Vec<f64>) -> Self {
        took.sort_by(f64::total_cmp);
        let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
        Self { p50: at(0.5), p99: at(0.99) }
    }
}

/// `listener` is the far end that the upstream passes requests for events and uploads on to.
pub(crate) fn delays(contenders: &[Contender], listener: TcpListener) -> Vec<Delay> {
    let began = Instant::now();
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            far_end(stream.unwrap(), began, &tell);
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let measured = contenders.iter().map(|contender| {
        let down = Spread::of(runtime.block_on(down(contender, began)));
        runtime.block_on(up(contender, began));
        let up = Spread::of(told.recv().unwrap());
        Delay { contender: contender.name, down, up }
    });
    measured.collect()
}

fn far_end(stream: TcpStream, began: Instant, tell: &Sender<Vec<f64>>) {
    stream.set_nodelay(true).unwrap();
    let mut stream = BufReader::new(stream);
    let mut method = String::new();
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if method.is_empty() {
            method.clone_from(&line);
        }
    }
    if method.starts_with("POST") {
        tell.send(arrivals(&mut stream, began)).unwrap();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let _ = stream.into_inner().write_all(answer);
    } else {
        send_events(stream.into_inner(), began);
    }
}

/// Each event says when it was written.
fn send_events(mut stream: TcpStream, began: Instant) {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..EVENTS {
        thread::sleep(APART);
        let event = format!("data: {}\n\n", began.elapsed().as_nanos());
        if stream.write_all(event.as_bytes()).is_err() {
            return;
        }
    }
}

/// How long each piece of an upload was on its way.
fn arrivals(stream: &mut impl BufRead, began: Instant) -> Vec<f64> {
    let mut took = Vec::new();
    let mut line = String::new();
    while took.len() < EVENTS {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "closed within an upload");
        if let Some(written) = line.strip_prefix("data: ") {
            took.push(since(written, began));
        }
    }
    took
}

fn since(written: &str, began: Instant) -> f64 {
    let written: u128 = written.trim().parse().unwrap();
    (began.elapsed().as_nanos() - written) as f64 / 1000.0
}

async fn down(contender: &Contender, began: Instant) -> Vec<f64> {
    let mut wire = contender.connect(Door::Unix).await.unwrap();
    let request =
        format!("GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    wire.write_all(request.as_bytes()).await.unwrap();
    let mut lines = tokio::io::BufReader::new(wire).lines();
    let mut took = Vec::new();
    while took.len() < EVENTS {
        let line = lines.next_line().await.unwrap().expect("more events");
        if let Some(written) = line.strip_prefix("data: ") {
            took.push(since(written, began));
        }
    }
    took
}

async fn up(contender: &Contender, began: Instant) {
    let mut wire = contender.connect(Door::Unix).await.unwrap();
    let request = format!(
        "POST /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    wire.write_all(request.as_bytes()).await.unwrap();
    for _ in 0..EVENTS {
        tokio::time::sleep(APART).await;
        let piece = format!("data: {}\n", began.elapsed().as_nanos());
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        wire.write_all(chunk.as_bytes()).await.unwrap();
    }
    wire.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    wire.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}
