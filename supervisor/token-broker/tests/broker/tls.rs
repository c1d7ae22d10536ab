//! Upstreams behind TLS: whom the broker believes, and HTTP/2 where it is offered.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::HeaderName;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::harness::{Broker, Client, REAL, TOKEN, routes_with};

struct TlsUpstream {
    port: u16,
    ca: String,
    seen: Receiver<Seen>,
}

struct Seen {
    version: Version,
    authorization: String,
    authority: Option<String>,
    body: Bytes,
}

/// A certificate for `names`, and the CA made on the spot that signed it.
fn settings(alpn: &[&str], names: &[&str]) -> (ServerConfig, String) {
    let mut authority = rcgen::CertificateParams::new(vec![]).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate =
        rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let mut settings = ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(
        vec![certificate.der().clone()],
        PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
    )
    .unwrap();
    settings.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    (settings, authority_certificate.pem())
}

/// Serves `names`.
fn upstream(alpn: &[&str], names: &[&str]) -> TlsUpstream {
    let (settings, ca) = settings(alpn, names);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, seen) = channel();
    let died = Arc::new(AtomicBool::new(false));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, tell) =
                    (TlsAcceptor::from(Arc::new(settings.clone())), tell.clone());
                let died = Arc::clone(&died);
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let io = TokioIo::new(stream);
                    let service =
                        service_fn(move |request| answer(request, tell.clone(), Arc::clone(&died)));
                    let _ = if h2 {
                        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                            .serve_connection(io, service)
                            .await
                    } else {
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(io, service)
                            .await
                    };
                });
            }
        });
    });
    TlsUpstream { port, ca, seen }
}

async fn answer(
    request: Request<Incoming>,
    tell: std::sync::mpsc::Sender<Seen>,
    died: Arc<AtomicBool>,
) -> Result<Response<Parts>, &'static str> {
    let (head, body) = request.into_parts();
    let authorization = head.headers["authorization"].to_str().unwrap().to_owned();
    let authority = head.uri.authority().map(ToString::to_string);
    let body = body.collect().await.unwrap().to_bytes();
    if head.uri.path() == "/dies-once" && !died.swap(true, Ordering::SeqCst) {
        return Err("no answer");
    }
    let piece = |text: &'static str| Frame::data(Bytes::from_static(text.as_bytes()));
    let sum = HeaderMap::from_iter([(HeaderName::from_static("x-sum"), "42".parse().unwrap())]);
    let (parts, gone): (Vec<Frame<Bytes>>, _) = match head.uri.path() {
        "/trailed" => (vec![piece("se"), piece("cured"), Frame::trailers(sum)], None),
        "/endless" => (vec![piece("tick")], Some(tell.clone())),
        _ => (vec![piece("secured")], None),
    };
    let _ = tell.send(Seen { version: head.version, authorization, authority, body });
    let response = Response::builder().header("trailer", "x-sum");
    Ok(response.body(Parts { left: parts.into(), gone }).unwrap())
}

/// A body in pieces. With somebody to tell when it is given up, it does not end.
struct Parts {
    left: VecDeque<Frame<Bytes>>,
    gone: Option<std::sync::mpsc::Sender<Seen>>,
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.left.pop_front() {
            None if self.gone.is_some() => Poll::Pending,
            next => Poll::Ready(next.map(Ok)),
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if let Some(gone) = &self.gone {
            let (authorization, body) = (String::new(), Bytes::from_static(b"given up"));
            let _ =
                gone.send(Seen { version: Version::HTTP_2, authorization, authority: None, body });
        }
    }
}

/// A broker whose route trusts the upstream's CA.
fn trusting(upstream: &TlsUpstream) -> Broker {
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), &upstream.ca).unwrap();
    let url = format!("https://localhost:{}", upstream.port);
    let file = format!(r#""ca_file": "{}","#, ca.path().display());
    Broker::start(&routes_with(&url, &file))
}

#[test]
fn a_routes_own_roots_are_trusted_and_http_2_is_used() {
    let upstream = upstream(&["h2", "http/1.1"], &["localhost"]);
    let broker = trusting(&upstream);
    let response = broker.connect().request("POST", "/a%2Fb", &[], b"body");
    assert_eq!((response.status, response.text()), (200, "secured"));
    let seen = upstream.seen.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(seen.version, Version::HTTP_2);
    assert_eq!(seen.authorization, format!("Bearer {REAL}"));
    assert_eq!(seen.authority.as_deref(), Some(&*format!("localhost:{}", upstream.port)));
    assert_eq!(seen.body, "body".as_bytes());
}

#[test]
fn a_get_that_died_on_a_used_connection_is_sent_once_more_and_a_post_is_not() {
    for alpn in ["http/1.1", "h2"] {
        for (method, status) in [("GET", 200), ("POST", 502)] {
            let upstream = upstream(&[alpn], &["localhost"]);
            let broker = trusting(&upstream);
            let mut client = broker.connect();
            assert_eq!(client.get("/").status, 200);
            let answered = client.request(method, "/dies-once", &[], b"").status;
            assert_eq!(answered, status, "{method} over {alpn}");
        }
    }
}

#[test]
fn chunked_uploads_reach_an_http_2_upstream() {
    let upstream = upstream(&["h2"], &["localhost"]);
    let broker = trusting(&upstream);
    let mut client = broker.connect();
    for method in ["POST", "GET"] {
        client.write(
            format!(
                "{method} / HTTP/1.1\r\nHost: h\r\nX-Api-Key: {}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                TOKEN
            )
            .as_bytes(),
        );
        assert_eq!(client.response(method).status, 200);
        let seen = upstream.seen.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(seen.body, "abc".as_bytes());
    }
}

fn ask(client: &mut Client, path: &str) {
    let head = format!("GET {path} HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n");
    client.write(format!("{head}X-Api-Key: {TOKEN}\r\n\r\n").as_bytes());
    assert_eq!(client.head().0, 200);
}

#[test]
fn trailers_of_an_http_2_upstream_pass() {
    let upstream = upstream(&["h2"], &["localhost"]);
    let broker = trusting(&upstream);
    let mut client = broker.connect();
    ask(&mut client, "/trailed");
    let mut body = Vec::new();
    loop {
        match client.chunk() {
            end if end.is_empty() => break,
            piece => body.extend(piece),
        }
    }
    assert_eq!(body, b"secured");
    assert_eq!(client.line(), "x-sum: 42");
}

#[test]
fn a_client_that_goes_away_cancels_its_http_2_stream_alone() {
    let upstream = upstream(&["h2"], &["localhost"]);
    let broker = trusting(&upstream);
    let (mut one, mut other) = (broker.connect(), broker.connect());
    ask(&mut one, "/endless");
    ask(&mut other, "/endless");
    assert_eq!((one.chunk(), other.chunk()), (b"tick".to_vec(), b"tick".to_vec()));
    drop(one);
    let told = || upstream.seen.recv_timeout(Duration::from_secs(5)).unwrap().body;
    assert_eq!((told(), told(), told()), (Bytes::new(), Bytes::new(), "given up".into()));
    assert!(upstream.seen.recv_timeout(Duration::from_millis(100)).is_err());
    assert_eq!(broker.get("/").text(), "secured");
    drop(other);
}

/// Frames of RFC 9113 by hand: 103, then 200 with a body, to each request.
async fn hint_and_answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    const SETTINGS: u8 = 4;
    const HEADERS: u8 = 1;
    let frame = |kind, flags, on: [u8; 4], body: &[u8]| {
        let length = u8::try_from(body.len()).unwrap();
        [&[0, 0, length, kind, flags], &on[..], body].concat()
    };
    stream.read_exact(&mut [0; 24]).await?;
    stream.write_all(&frame(SETTINGS, 0, [0; 4], &[])).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        stream.read_exact(&mut vec![0; length]).await?;
        let on = [head[5], head[6], head[7], head[8]];
        match (head[3], head[4]) {
            (SETTINGS, 0) => stream.write_all(&frame(SETTINGS, 1, [0; 4], &[])).await?,
            (HEADERS, _) => {
                // RFC 7541: `:status` is entry 8 of the static table, and 8 with 200.
                let hint = frame(HEADERS, 4, on, b"\x08\x03103");
                let answer = frame(HEADERS, 4, on, b"\x88");
                stream.write_all(&[hint, answer, frame(0, 1, on, b"secured")].concat()).await?;
            }
            _ => {}
        }
    }
}

#[test]
fn interim_responses_of_an_http_2_upstream_are_read_over() {
    let (settings, ca) = settings(&["h2"], &["localhost"]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let (port, (_, seen)) = (listener.local_addr().unwrap().port(), channel());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let stream = TlsAcceptor::from(Arc::new(settings)).accept(stream).await.unwrap();
            let _ = hint_and_answer(stream).await;
        });
    });
    let broker = trusting(&TlsUpstream { port, ca, seen });
    let mut client = broker.connect();
    for _ in 0..2 {
        let response = client.get("/");
        assert_eq!((response.status, response.text()), (200, "secured"));
    }
}

#[test]
fn an_upstream_of_http_1_is_spoken_to_in_it() {
    let upstream = upstream(&["http/1.1"], &["localhost"]);
    let broker = trusting(&upstream);
    assert_eq!(broker.get("/").status, 200);
    assert_eq!(upstream.seen.recv().unwrap().version, Version::HTTP_11);
}

#[test]
fn a_certificate_of_nobody_we_know_is_refused() {
    let upstream = upstream(&["h2"], &["localhost"]);
    let broker = Broker::start(&routes_with(&format!("https://localhost:{}", upstream.port), ""));
    let response = broker.get("/");
    assert_eq!(
        (response.status, response.text()),
        (502, "Upstream request failed: TLS verification")
    );
    assert_eq!(broker.audit(1)[0]["outcome"], "upstream_error:tls");
    assert!(upstream.seen.try_recv().is_err());
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let upstream = upstream(&["h2"], &["elsewhere.example"]);
    let broker = trusting(&upstream);
    assert_eq!(broker.get("/").text(), "Upstream request failed: TLS verification");
}

#[test]
fn an_upstream_without_tls_is_a_tls_failure() {
    let upstream = crate::harness::Upstream::answering("HTTP/1.1 400 Bad Request\r\n\r\n");
    let url = upstream.url().replace("http:", "https:");
    let broker = Broker::start(&routes_with(&url, ""));
    let response = broker.get("/");
    assert_eq!((response.status, response.text()), (502, "Upstream request failed: TLS"));
}

#[test]
fn a_later_route_may_bring_roots_beside_the_table() {
    let upstream = upstream(&["h2"], &["localhost"]);
    let broker = Broker::start("{}");
    std::fs::write(broker.path("own.pem"), &upstream.ca).unwrap();
    let file = format!(r#""ca_file": "{}","#, broker.path("own.pem").display());
    broker.replace(
        "routes.json",
        &routes_with(&format!("https://localhost:{}", upstream.port), &file),
    );
    crate::harness::eventually("the new table", || broker.get("/").status == 200);
}

#[test]
fn an_upgrade_is_asked_for_in_http_1() {
    let upstream = upstream(&["h2", "http/1.1"], &["localhost"]);
    let broker = trusting(&upstream);
    let headers = ["Connection: Upgrade", "Upgrade: websocket"];
    assert_eq!(broker.connect().request("GET", "/", &headers, b"").status, 200);
    assert_eq!(upstream.seen.recv().unwrap().version, Version::HTTP_11);
}

#[test]
fn an_upstream_that_never_shakes_hands_is_a_connect_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let broker = Broker::start(&routes_with(&url, ""));
    let response = broker.get("/");
    assert_eq!(
        (response.status, response.text()),
        (502, "Upstream request failed: connect timeout")
    );
    let line = &broker.audit(1)[0];
    assert_eq!(line["outcome"], "upstream_error:timeout");
    assert!((9_000..12_000).contains(&line["duration_ms"].as_u64().unwrap()), "{line}");
}
