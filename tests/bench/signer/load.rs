//! Clients that sign as fast as they are answered, each on a thread of its own.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use terok_tests::agent::frame;

use crate::contender::Contender;

pub(crate) struct Load {
    request: Vec<u8>,
    pub(crate) threads: usize,
    /// One connection for all of a thread's requests, or a new one for each.
    pub(crate) kept: bool,
}

pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) p99: Duration,
    /// Of the agent's processes, for one signature.
    pub(crate) processor_time: Duration,
}

impl Load {
    /// Signatures over what `ssh-keygen -Y sign` would have signed; RSA with SHA-512.
    pub(crate) fn of(blob: &[u8], threads: usize, kept: bool) -> Self {
        Self { request: request(blob), threads, kept }
    }

    pub(crate) fn run(&self, contender: &Contender, length: Duration) -> Measured {
        let spent = contender.processor_time();
        let together = Barrier::new(self.threads);
        let client = || {
            together.wait();
            let began = Instant::now();
            let mut times = Vec::with_capacity(1 << 16);
            let mut kept = self.kept.then(|| contender.connect().unwrap());
            while began.elapsed() < length {
                let asked = Instant::now();
                match &mut kept {
                    Some(client) => client.sign(&self.request).unwrap(),
                    None => {
                        contender.connect().and_then(|mut new| new.sign(&self.request)).unwrap()
                    }
                }
                times.push(asked.elapsed());
            }
            (times, began.elapsed())
        };
        let runs: Vec<(Vec<Duration>, Duration)> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads).map(|_| scope.spawn(client)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let per_second =
            runs.iter().map(|(times, took)| times.len() as f64 / took.as_secs_f64()).sum();
        let mut times: Vec<Duration> = runs.into_iter().flat_map(|(times, _)| times).collect();
        times.sort_unstable();
        let spent = contender.processor_time() - spent;
        let processor_time = spent / u32::try_from(times.len()).unwrap();
        Measured { per_second, p99: times[times.len() * 99 / 100], processor_time }
    }
}

/// A framed SSH_AGENTC_SIGN_REQUEST for an SSHSIG (PROTOCOL.sshsig, section 2).
pub(crate) fn request(blob: &[u8]) -> Vec<u8> {
    const RSA_SHA2_512: u32 = 4;
    let mut data = b"SSHSIG".to_vec();
    for part in [&b"git"[..], b"", b"sha512", &[7; 64]] {
        data.extend(frame(part));
    }
    let mut payload = vec![13];
    payload.extend(frame(blob));
    payload.extend(frame(&data));
    payload.extend(RSA_SHA2_512.to_be_bytes());
    frame(&payload)
}
