//! Manifests in the documents as a cluster would take them: held against the schemas that Kubernetes
//! publishes, an unknown key being a mistake, and the admission policy asked about pods.
//!
//! `TEROK_TEST_KUBERNETES` names the interpreter that `kubernetes.sh` makes; without it the tests say
//! that they are skipped.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use terok_shared::annotation;

use crate::manifests::{blocks, of_kind};
use crate::workspace;

/// The first release with every kind that is shown, and the last one that the schemas know.
const RELEASES: [&[&str]; 2] = [&["--kubernetes-version", "1.30"], &[]];
const SIDECARS: &str = "/var/lib/terok/sandbox/sidecar";

fn python() -> Option<PathBuf> {
    let python = std::env::var_os("TEROK_TEST_KUBERNETES").filter(|path| !path.is_empty());
    if python.is_none() {
        println!("skipped: TEROK_TEST_KUBERNETES is not set (tests/docs/kubernetes.sh)");
    }
    python.map(PathBuf::from)
}

/// Every manifest of the documents; one of their YAML blocks is a file of settings.
fn shown() -> Vec<String> {
    let texts = blocks("yaml").into_iter().map(|(_, block)| block.text);
    texts.filter(|text| text.starts_with("apiVersion: ")).collect()
}

/// What the schemas say to these manifests.
fn judged(python: &Path, release: &[&str], manifests: &[String]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let mut validate = Command::new(python.with_file_name("kubernetes-validate"));
    validate.arg("--strict").args(release);
    for (number, text) in manifests.iter().enumerate() {
        let file = directory.path().join(format!("{number}.yaml"));
        fs::write(&file, text).unwrap();
        validate.arg(file);
    }
    validate.output().unwrap()
}

#[test]
fn every_manifest_fits_the_schemas_of_kubernetes() {
    let Some(python) = python() else { return };
    let shown = shown();
    for release in RELEASES {
        let output = judged(&python, release, &shown);
        let said =
            String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{said}");
        // A kind without a schema is a warning.
        assert_eq!((said.matches(" passed ").count(), said.lines().count()), (5, 5), "{said}");
    }
}

#[test]
fn a_key_that_no_schema_has_is_found() {
    let Some(python) = python() else { return };
    let wrong = shown().join("---\n").replace("runtimeClassName:", "runtimeClass:");
    let output = judged(&python, RELEASES[0], &[wrong]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("'runtimeClass' was unexpected"), "{said}");
}

/// A pod as its author writes it, in a namespace.
fn request(namespace: &str, annotations: Value) -> Value {
    let metadata = json!({ "name": "agent", "annotations": annotations });
    json!({ "namespace": namespace, "object": { "kind": "Pod", "metadata": metadata } })
}

#[test]
fn the_policy_lets_one_namespace_use_sidecars_of_its_prefix() {
    let Some(python) = python() else { return };
    let names = |path: &str| json!({ annotation::KEY: format!("{SIDECARS}/{path}") });
    let unannotated = json!({ "namespace": "web", "object": { "metadata": { "name": "agent" } } });
    let admitted = [
        unannotated,
        request("web", json!({})),
        request("web", json!({ "some.other": "x" })),
        request("agents", json!({ "some.other": "x" })),
        request("agents", names("agent-7f3a9c.json")),
    ];
    let refused = [
        request("web", names("agent-7f3a9c.json")),
        request("agents", names("web.json")),
        request("agents", names("agent-7f3a9c/../web.json")),
        request("agents", json!({ annotation::KEY: "/tmp/agent-7f3a9c.json" })),
    ];
    let requests = [&admitted[..], &refused].concat();
    let policy = of_kind("ValidatingAdmissionPolicy");
    let asked = json!({ "policy": policy, "requests": requests }).to_string();
    let mut judge = Command::new(python)
        .arg(workspace().join("tests/docs/admission.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    judge.stdin.take().expect("it is a pipe").write_all(asked.as_bytes()).unwrap();
    let output = judge.wait_with_output().unwrap();
    assert!(output.status.success());
    let refusals: Vec<Option<String>> = serde_json::from_slice(&output.stdout).unwrap();
    let message = policy["spec"]["validations"][0]["message"].as_str();
    for (request, refusal) in requests.iter().zip(&refusals) {
        let expected = message.filter(|_| refused.contains(request));
        assert_eq!(refusal.as_deref(), expected, "{request}");
    }
    assert_eq!(refusals.len(), requests.len());
}
