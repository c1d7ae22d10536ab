//! A stand-in for a cluster's API server: says that there are nodes and secrets, and agrees to
//! whatever kubectl asks.

use serde_json::{Value, json};
use terok_tests::upstream::Upstream;

pub(crate) fn start() -> Upstream {
    Upstream::answering("Content-Type: application/json\r\n", |request| answer(request).to_string())
}

/// What the Kubernetes API says under a request's path, as far as kubectl looks at it.
fn answer(request: &str) -> Value {
    let target = request.split(' ').nth(1).unwrap_or_default();
    let resource = |name: &str, kind: &str, namespaced: bool| {
        json!({ "name": name, "singularName": "", "namespaced": namespaced, "kind": kind,
            "verbs": ["create", "get", "patch"] })
    };
    match target.split('?').next().unwrap_or_default() {
        "/version" => json!({ "major": "1", "minor": "32", "gitVersion": "v1.32.0" }),
        "/api" => json!({ "kind": "APIVersions", "versions": ["v1"] }),
        "/api/v1" => json!({ "kind": "APIResourceList", "groupVersion": "v1", "resources": [
            resource("nodes", "Node", false), resource("secrets", "Secret", true)] }),
        path if path.starts_with("/api/v1/nodes/") => {
            let name = path.rsplit('/').next();
            json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name } })
        }
        "/api/v1/namespaces/default/secrets" => {
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "agent-7f3a9c" } })
        }
        _ => json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [] }),
    }
}
