//! A request that can be sent once more: because the connection it took was closing, or because
//! the login it carried had ended.

use hyper::http::HeaderName;
use hyper::{HeaderMap, Method, Request};

use crate::forward::Failed;
use crate::inject::Injection;
use crate::upload::{BodyCopy, Upload};
use crate::upstream::Failure;

/// Makes any request safe to repeat (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request's head, and a copy of its body that fills while the first one is sent.
pub(crate) struct Again {
    head: Request<()>,
    body: Option<BodyCopy>,
    idempotent: bool,
}

impl Again {
    /// Of a request about to be sent. `None` when it must not be repeated for any reason: it has
    /// an effect each time, and its credential cannot be renewed.
    pub(crate) fn of(request: &mut Request<Upload>, renewable: bool) -> Option<Self> {
        let idempotent = is_idempotent(request.method(), request.headers());
        if !idempotent && !renewable {
            return None;
        }
        let body = request.body_mut().keep();
        let mut head = Request::new(());
        *head.method_mut() = request.method().clone();
        *head.uri_mut() = request.uri().clone();
        *head.headers_mut() = request.headers().clone();
        Some(Self { head, body, idempotent })
    }

    pub(crate) fn head(&self) -> &Request<()> {
        &self.head
    }

    /// The request once more, after a connection that had answered before died under it
    /// (RFC 9110 section 9.2.2).
    pub(crate) fn after(&self, failed: &Failed) -> Option<Request<Upload>> {
        let died = failed.failure == Failure::Disconnected && failed.on_used_connection;
        (died && self.idempotent).then(|| self.request()).flatten()
    }

    /// The request once more with another credential: the upstream refused the first one, so the
    /// request has had no effect.
    pub(crate) fn with(&self, injection: &Injection) -> Option<Request<Upload>> {
        let mut request = self.request()?;
        injection.replace(request.headers_mut());
        Some(request)
    }

    fn request(&self) -> Option<Request<Upload>> {
        let body = match &self.body {
            None => Upload::NOTHING,
            Some(copy) => copy.again()?,
        };
        Some(self.head.clone().map(|()| body))
    }
}

/// RFC 9110 section 9.2.2.
fn is_idempotent(method: &Method, headers: &HeaderMap) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE]
        .contains(method)
        || headers.contains_key(IDEMPOTENCY_KEY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, headers: &[&'static str]) -> Request<Upload> {
        let mut request = Request::new(Upload::NOTHING);
        *request.method_mut() = method;
        for name in headers {
            request.headers_mut().insert(*name, "x".parse().unwrap());
        }
        request
    }

    fn died(on_used_connection: bool) -> Failed {
        Failed { on_used_connection, ..Failed::new(Failure::Disconnected, String::new()) }
    }

    #[test]
    fn only_what_has_no_further_effect_is_repeated_after_a_death() {
        for (method, headers, repeated) in [
            (Method::GET, &[][..], true),
            (Method::PUT, &[], true),
            (Method::DELETE, &[], true),
            (Method::POST, &[], false),
            (Method::PATCH, &[], false),
            (Method::POST, &["idempotency-key"], true),
        ] {
            let again = Again::of(&mut request(method.clone(), headers), true).unwrap();
            assert_eq!(again.after(&died(true)).is_some(), repeated, "{method}");
            assert!(again.after(&died(false)).is_none());
        }
    }

    #[test]
    fn other_failures_are_not_repeated() {
        let again = Again::of(&mut request(Method::GET, &[]), false).unwrap();
        for failure in [Failure::Timeout, Failure::NotHttp, Failure::RequestBody] {
            let failed = Failed { on_used_connection: true, ..Failed::new(failure, String::new()) };
            assert!(again.after(&failed).is_none());
        }
    }

    #[test]
    fn a_post_with_a_key_for_a_credential_is_not_kept() {
        assert!(Again::of(&mut request(Method::POST, &[]), false).is_none());
    }
}
