//! An upstream on the loopback that keeps what it is sent and answers every request.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

pub const ANSWER: &str = "hello from upstream";

pub struct Upstream {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self::start()
    }
}

impl Upstream {
    /// Answers every request alike.
    pub fn start() -> Self {
        Self::answering("", |_| ANSWER.to_owned())
    }

    /// Answers a request, of which `answer` sees head and body, with these lines in the head. Serves
    /// until the test's process ends.
    pub fn answering(headers: &'static str, answer: fn(&str) -> String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let keep = Arc::clone(&keep);
                thread::spawn(move || serve(client, &keep, headers, answer));
            }
        });
        Self { port, seen }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A route table with the vault's two usable providers leading here.
    pub fn routes(&self) -> Value {
        json!({
            "fake": { "upstream": self.url() },
            "fakekey": { "upstream": self.url(), "auth_header": "x-api-key", "auth_prefix": "" },
        })
    }

    /// Heads and bodies of all requests so far.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(client: TcpStream, seen: &Mutex<Vec<String>>, headers: &str, answer: fn(&str) -> String) {
    let mut client = BufReader::new(client);
    while let Some(request) = read(&mut client) {
        let body = answer(&request);
        seen.lock().unwrap().push(request);
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        if client.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(client: &mut impl BufRead) -> Option<String> {
    let (mut request, mut length) = (String::new(), 0);
    while !request.ends_with("\r\n\r\n") {
        let start = request.len();
        client.read_line(&mut request).ok().filter(|read| *read > 0)?;
        let line = request[start..].to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body).ok()?;
    Some(request + &String::from_utf8_lossy(&body))
}
