//! What rules let through, and every trick we know to slip past them.

use super::*;

fn allow(paths: &[&str]) -> Allow {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    Allow::new(&[Permission { methods: None, paths: Some(paths) }])
}

fn gets(allow: &Allow, path: &str) -> bool {
    allow.permits(&Method::GET, path, &HeaderMap::new())
}

#[test]
fn prefixes_are_of_whole_segments() {
    let allow = allow(&["/v1/messages", "/x/"]);
    for (path, allowed) in [
        ("/v1/messages", true),
        ("/v1/messages/", true),
        ("/v1/messages/count_tokens", true),
        ("/v1/messages2", false),
        ("/v1", false),
        ("/x", true),
        ("/x/y", true),
        ("/V1/messages", false),
    ] {
        assert_eq!(gets(&allow, path), allowed, "{path}");
    }
}

#[test]
fn globs_stay_in_their_segment_unless_doubled() {
    for (pattern, path, allowed) in [
        ("/repos/*/*/pulls", "/repos/a/b/pulls", true),
        ("/repos/*/*/pulls", "/repos/a/b/c/pulls", false),
        ("/repos/*/pulls", "/repos/a/b/pulls", false),
        ("/repos/**/pulls", "/repos/a/b/pulls", true),
        ("/repos/**/pulls", "/repos/a/b/issues", false),
        ("/v*/x", "/v12/x", true),
        ("/**", "/", true),
        ("/a*b*c", "/aXbYbZc", true),
        ("/**/b*/c", "/x/b/y/b1/c", true),
        ("/a*", "/b", false),
        ("/*", "/a/b", false),
        ("/a/*", "/a/", true),
    ] {
        assert_eq!(gets(&allow(&[pattern]), path), allowed, "{pattern} {path}");
    }
}

#[test]
fn a_path_that_reads_as_another_does_not_slip_past() {
    let allow = allow(&["/v1/messages/**"]);
    for path in [
        "/v1/messages/../admin",
        "/v1/messages/%2e%2e/admin",
        "/v1/messages/%2E%2E%2Fadmin",
        "/v1/messages/..%2fadmin",
        "/v1/messages/%252e%252e/admin",
        "/v1/messages/..%5cadmin",
        "/v1/messages/..;/admin",
        "/v1/messages/..;x=y/admin",
        "/v1/messages/%2e%2e%3b/admin",
        "/v1/messages/x/../../admin",
        "/v1/messages/%00/../../admin",
        "/v1/messages/%00",
        "/v1/messages/%zz",
        "/v1/messages/%2",
        "/v1/messages/%ff",
        "/v1/messages/%25252525252e",
        "/v1/./admin",
        "//v1/messages/x",
        "/admin/%2e%2e/v1/messages/x",
    ] {
        assert!(!gets(&allow, path), "{path}");
    }
    for path in ["/v1/messages/a%20b", "/v1/messages/a%2Fb", "/v1/messages/x;y=z", "/v1/messages/"]
    {
        assert!(gets(&allow, path), "{path}");
    }
}

#[test]
fn an_encoded_slash_is_a_slash_to_one_star() {
    assert!(!gets(&allow(&["/projects/*"]), "/projects/group%2Fname"));
    assert!(gets(&allow(&["/projects/**"]), "/projects/group%2Fname"));
}

#[test]
fn encoded_patterns_match_what_they_say() {
    let allow = allow(&["/a%20b/*"]);
    assert!(gets(&allow, "/a%20b/c"));
    assert!(!gets(&allow, "/%61%20b/c"), "as it was sent, it is another path");
}

#[test]
fn methods_are_held_against_the_list_and_overrides_with_them() {
    let allow = Allow::new(&[
        Permission { methods: Some(vec!["GET".into()]), paths: None },
        Permission { methods: Some(vec!["POST".into()]), paths: Some(vec!["/in".into()]) },
    ]);
    let permits = |method: Method, path: &str, replaced: Option<&str>| {
        let mut headers = HeaderMap::new();
        if let Some(replaced) = replaced {
            headers.insert("x-http-method-override", replaced.parse().unwrap());
        }
        allow.permits(&method, path, &headers)
    };
    assert!(permits(Method::GET, "/any", None));
    assert!(permits(Method::POST, "/in", None));
    assert!(!permits(Method::POST, "/any", None));
    assert!(!permits(Method::HEAD, "/any", None));
    assert!(!permits(Method::POST, "/in", Some("DELETE")));
    assert!(permits(Method::POST, "/in", Some("get")));
}

#[test]
fn an_empty_list_allows_nothing() {
    assert!(!gets(&Allow::new(&[]), "/"));
}

#[test]
fn a_hostile_pattern_ends_in_time() {
    let pattern = format!("/{}b", "a*".repeat(100));
    let path = format!("/{}", "a".repeat(4000));
    assert!(!gets(&allow(&[&pattern]), &path));
}
