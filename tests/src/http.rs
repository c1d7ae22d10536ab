//! One HTTP/1.1 request on a connection of its own, and its whole answer.

use std::io::{self, Read, Write};

use terok_shared::endpoint::Endpoint;

use crate::stream::Stream;

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// As sent, with its lines in order.
    pub head: String,
    pub body: String,
}

/// GET with these further header lines.
pub fn get(endpoint: &Endpoint, path: &str, headers: &[&str]) -> io::Result<Response> {
    let mut stream = Stream::connect(endpoint)?;
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for header in headers {
        request += &format!("{header}\r\n");
    }
    stream.write_all(format!("{request}\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::other(format!("not an answer: {answer:?}")))
}

/// GET with this phantom token.
pub fn get_with(endpoint: &Endpoint, path: &str, token: &str) -> io::Result<Response> {
    get(endpoint, path, &[&format!("Authorization: Bearer {token}")])
}

fn parse(answer: &str) -> Option<Response> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some(Response { status, head: head.to_owned(), body: body.to_owned() })
}
