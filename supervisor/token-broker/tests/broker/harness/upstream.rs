//! An upstream that records what it is sent and answers the bytes a test wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub(crate) struct Upstream {
    port: u16,
    requests: Mutex<Receiver<Request>>,
}

/// A request as it arrived.
#[derive(Debug)]
pub(crate) struct Request {
    /// The first line.
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// A connection, after the head of a request was read.
pub(crate) struct Exchange<'a> {
    pub(crate) head: Request,
    pub(crate) stream: &'a mut BufReader<TcpStream>,
    seen: &'a Sender<Request>,
}

impl Upstream {
    /// Answers every request with these bytes.
    pub(crate) fn answering(response: &str) -> Self {
        let response = response.to_owned();
        Self::doing(move |mut exchange| {
            exchange.record_with_body();
            exchange.write(response.as_bytes());
        })
    }

    /// Answers `200`, `hello`.
    pub(crate) fn plain() -> Self {
        Self::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    }

    /// Hands every request, its body unread, to `act`.
    pub(crate) fn doing(act: impl Fn(Exchange<'_>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, requests) = channel();
        let act = Arc::new(act);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (act, seen) = (Arc::clone(&act), seen.clone());
                thread::spawn(move || {
                    let mut stream = BufReader::new(stream.unwrap());
                    while let Some(head) = read_head(&mut stream) {
                        act(Exchange { head, stream: &mut stream, seen: &seen });
                    }
                });
            }
        });
        Self { port, requests: Mutex::new(requests) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The next request seen.
    pub(crate) fn request(&self) -> Request {
        self.requests.lock().unwrap().recv_timeout(Duration::from_secs(10)).unwrap()
    }

    pub(crate) fn saw_nothing(&self) -> bool {
        self.requests.lock().unwrap().try_recv().is_err()
    }
}

impl Exchange<'_> {
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        // A proxy that closes early is a finding of the test's own.
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// Tells the test, body included.
    pub(crate) fn record_with_body(&mut self) {
        let body = self.body();
        let (line, headers) = (self.head.line.clone(), self.head.headers.clone());
        let _ = self.seen.send(Request { line, headers, body });
    }

    /// Tells the test without reading the body.
    pub(crate) fn record(&mut self) {
        let (line, headers) = (self.head.line.clone(), self.head.headers.clone());
        let _ = self.seen.send(Request { line, headers, body: Vec::new() });
    }

    pub(crate) fn body(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        if self.head.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                body.extend(chunk);
            }
        } else if let Some(length) = self.head.header("content-length") {
            body.resize(length.parse().unwrap(), 0);
            self.stream.read_exact(&mut body).unwrap();
        }
        body
    }

    /// The next chunk of the request's body, `None` after the last.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut size = String::new();
        self.stream.read_line(&mut size).unwrap();
        let mut chunk = vec![0; usize::from_str_radix(size.trim(), 16).unwrap()];
        self.stream.read_exact(&mut chunk).unwrap();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            if line == "\r\n" {
                return (!chunk.is_empty()).then_some(chunk);
            }
            self.head.headers.push(("trailer-line".into(), line.trim().to_owned()));
        }
    }
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    }

    pub(crate) fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }
}

fn read_head(stream: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut request = Request { line: line.trim_end().into(), headers: vec![], body: vec![] };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line == "\r\n" {
            return Some(request);
        }
        let (name, value) = line.split_once(':')?;
        request.headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
}
