//! How long after its upstream a server-sent event's first byte arrives.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt};

use crate::contender::{Contender, Door};
use crate::ours::TOKEN;

const EVENTS: usize = 300;
const APART: Duration = Duration::from_millis(5);

/// From the upstream's write to the client's read.
pub(crate) struct Delay {
    pub(crate) contender: &'static str,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// `listener` is where the upstream gets its events from.
pub(crate) fn delays(contenders: &[Contender], listener: TcpListener) -> Vec<Delay> {
    let began = Instant::now();
    thread::spawn(move || {
        for stream in listener.incoming() {
            source(stream.unwrap(), began);
        }
    });
    contenders.iter().map(|contender| delay(contender, began)).collect()
}

/// Each event says when it was written.
fn source(stream: std::net::TcpStream, began: Instant) {
    stream.set_nodelay(true).unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    let mut stream = stream.into_inner();
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..EVENTS {
        thread::sleep(APART);
        let event = format!("data: {}\n\n", began.elapsed().as_nanos());
        if stream.write_all(event.as_bytes()).is_err() {
            return;
        }
    }
}

fn delay(contender: &Contender, began: Instant) -> Delay {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut took: Vec<f64> = runtime.block_on(async {
        let mut wire = contender.connect(Door::Unix).await.unwrap();
        let request = format!(
            "GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        );
        wire.write_all(request.as_bytes()).await.unwrap();
        let mut lines = tokio::io::BufReader::new(wire).lines();
        let mut took = Vec::new();
        while took.len() < EVENTS {
            let line = lines.next_line().await.unwrap().expect("more events");
            if let Some(written) = line.strip_prefix("data: ") {
                let written: u128 = written.trim().parse().unwrap();
                took.push((began.elapsed().as_nanos() - written) as f64 / 1000.0);
            }
        }
        took
    });
    took.sort_by(f64::total_cmp);
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
    Delay { contender: contender.name, p50_us: at(0.5), p99_us: at(0.99) }
}
