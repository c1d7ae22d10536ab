//! What a client and git's CGI program say at the head: the first line of the input is a request's
//! target, the second its `Authorization`, the rest the head of an answer.
#![no_main]

#[allow(dead_code, reason = "the gate uses more")]
#[path = "../../supervisor/git-gate/src"]
mod gate {
    pub mod auth;
    pub mod cgi;
    pub mod route;
}
use gate::{auth, cgi, route};

use auth::Verdict;
use hyper::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;
use terok_shared::secret::Secret;

const TOKEN: &str = "terok-g-00112233445566778899aabbccddeeff";

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(3, |&byte| byte == b'\n');
    let target = lines.next().unwrap_or_default();
    let authorization = lines.next().unwrap_or_default();
    let head = lines.next().unwrap_or_default();

    let token = Secret::from(TOKEN.to_owned());
    if auth::judge(Some(authorization), &token) == Verdict::Granted {
        // Nothing shorter can hold the token in base64.
        assert!(authorization.len() > TOKEN.len() * 4 / 3);
    }
    if let Ok(target) = std::str::from_utf8(target) {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        for method in [Method::GET, Method::POST] {
            let Ok(found) = route::route(&method, path, query) else { continue };
            let (below, _) = found.resource.path_and_query();
            assert_eq!(format!("/{}/{below}", found.repository.directory()), path);
            let made = cgi::variables(&method, &found.repository, found.resource, &HeaderMap::new());
            let made = made.expect("no header asks for anything");
            assert!(made.iter().all(|(_, value)| !value.contains(['\0', '\n'])));
        }
    }
    if let Some(end) = cgi::head_end(head) {
        assert!(end <= head.len() && head[end - 1] == b'\n');
        if let Ok(parsed) = cgi::parse_head(&head[..end]) {
            assert!(!parsed.headers.contains_key("connection"));
            assert!(!parsed.headers.contains_key("transfer-encoding"));
        }
    }
});
