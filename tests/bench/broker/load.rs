//! The load: so many connections, each asking again as soon as it has its answer.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::contender::{Contender, Door, Wire};
use crate::ours::TOKEN;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Of the process under test, per request.
    pub(crate) cpu_us: f64,
}

/// One run of `lasts`.
pub(crate) fn run(
    contender: &Contender,
    door: Door,
    bytes: usize,
    connections: usize,
    lasts: Duration,
) -> Measured {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut wires = Vec::new();
        for _ in 0..connections {
            wires.push(contender.connect(door).await.unwrap());
        }
        let (began, cpu) = (Instant::now(), contender.process(door).cpu_ns());
        let mut clients = JoinSet::new();
        for wire in wires {
            clients.spawn(client(wire, bytes, began + lasts));
        }
        let mut took: Vec<u32> = clients.join_all().await.concat();
        let (lasted, cpu) = (began.elapsed(), contender.process(door).cpu_ns() - cpu);
        took.sort_unstable();
        let at = |part: f64| f64::from(took[((took.len() - 1) as f64 * part) as usize]) / 1000.0;
        Measured {
            per_second: took.len() as f64 / lasted.as_secs_f64(),
            p50_us: at(0.5),
            p99_us: at(0.99),
            cpu_us: cpu as f64 / 1000.0 / took.len() as f64,
        }
    })
}

/// How long each request took, in nanoseconds.
async fn client(mut wire: Box<dyn Wire>, bytes: usize, end: Instant) -> Vec<u32> {
    let request = format!(
        "GET /{bytes} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
         Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nUser-Agent: bench/1\r\n\r\n"
    );
    let mut buffer = vec![0; 64 * 1024];
    let mut took = Vec::new();
    loop {
        let asked = Instant::now();
        if asked >= end {
            return took;
        }
        wire.write_all(request.as_bytes()).await.unwrap();
        let mut have = 0;
        let mut left = loop {
            let read = wire.read(&mut buffer[have..]).await.unwrap();
            assert!(read > 0, "closed: {}", String::from_utf8_lossy(&buffer[..have]));
            have += read;
            let head = buffer[..have].windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(head) = head {
                assert!(
                    buffer.starts_with(b"HTTP/1.1 200"),
                    "{}",
                    String::from_utf8_lossy(&buffer[..head])
                );
                break bytes - (have - head - 4);
            }
        };
        while left > 0 {
            let read = wire.read(&mut buffer).await.unwrap();
            assert!(read > 0, "closed within a body");
            left -= read;
        }
        took.push(u32::try_from(asked.elapsed().as_nanos()).unwrap_or(u32::MAX));
    }
}

/// Each number's median of its own.
pub(crate) fn median(rounds: Vec<Measured>) -> Measured {
    let of = |number: fn(&Measured) -> f64| {
        let mut numbers: Vec<f64> = rounds.iter().map(number).collect();
        numbers.sort_by(f64::total_cmp);
        numbers[numbers.len() / 2]
    };
    Measured {
        per_second: of(|m| m.per_second),
        p50_us: of(|m| m.p50_us),
        p99_us: of(|m| m.p99_us),
        cpu_us: of(|m| m.cpu_us),
    }
}
