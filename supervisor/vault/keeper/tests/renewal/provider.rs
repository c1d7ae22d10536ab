//! A provider whose access tokens end when the test says so, and whose refresh tokens count once.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

pub(crate) struct Provider {
    port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    /// The number of the tokens that count.
    newest: usize,
    /// The newest access token has ended.
    ended: bool,
    asked: usize,
    reused: usize,
    /// Calls that began before this number of questions come to nothing.
    forgotten: usize,
}

impl Provider {
    /// With a token endpoint that takes so long to answer.
    pub(crate) fn start(delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream.unwrap(), &shared, delay));
            }
        });
        Self { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn end_login(&self) {
        self.state().ended = true;
    }

    pub(crate) fn renewed(&self) -> usize {
        self.state().newest
    }

    pub(crate) fn reused(&self) -> usize {
        self.state().reused
    }

    pub(crate) fn refresh_token(&self) -> String {
        format!("refresh-{}", self.state().newest)
    }

    pub(crate) fn wait_until_asked(&self) {
        let (state, changed) = &*self.state;
        let waited =
            changed.wait_timeout_while(state.lock().unwrap(), Duration::from_secs(20), |s| {
                s.asked == 0
            });
        assert!(!waited.unwrap().1.timed_out(), "nobody asked the token endpoint");
    }

    pub(crate) fn forget_calls_under_way(&self) {
        let mut state = self.state();
        state.forgotten = state.asked;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap()
    }
}

fn serve(stream: TcpStream, shared: &(Mutex<State>, Condvar), delay: Duration) {
    let mut stream = BufReader::new(stream);
    while let Some((head, body)) = read(&mut stream) {
        let (status, text) = if head.starts_with("POST /token") {
            let number = {
                let mut state = shared.0.lock().unwrap();
                state.asked += 1;
                shared.1.notify_all();
                state.asked
            };
            thread::sleep(delay);
            let mut state = shared.0.lock().unwrap();
            if number <= state.forgotten {
                return;
            }
            spend(&mut state, &body)
        } else {
            let state = shared.0.lock().unwrap();
            let expected = format!("authorization: bearer access-{}\r\n", state.newest);
            match head.to_lowercase().contains(&expected) && !state.ended {
                true => (200, "ok".to_owned()),
                false => (401, "ended".to_owned()),
            }
        };
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn spend(state: &mut State, body: &str) -> (u16, String) {
    let token = format!(r#""refresh_token":"refresh-{}""#, state.newest);
    if !body.contains(&token) {
        state.reused += 1;
        return (400, r#"{"error":"refresh_token_reused"}"#.to_owned());
    }
    state.newest += 1;
    state.ended = false;
    let n = state.newest;
    let said = format!(
        r#"{{"access_token":"access-{n}","refresh_token":"refresh-{n}","expires_in":86400}}"#
    );
    (200, said)
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        stream.read_line(&mut head).ok().filter(|read| *read > 0)?;
    }
    let length = head
        .to_lowercase()
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).unwrap()))
}
