//! What the documents show without a test that types it is at least well-formed, and names our
//! things as the programs do: manifests of a cluster, descriptors, tables of settings.

use std::path::{Path, PathBuf};

use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value};
use terok_shared::annotation::{self, SidecarPath};
use terok_shared::layout::StateRoot;
use terok_tests::document::{Block, Document};

use crate::{documents, workspace};

const CLUSTER: &str = "kubernetes.md";
/// Where root's state is; the documents of machines and nodes speak of root's.
const STATE: &str = "/var/lib/terok/sandbox";

pub(crate) fn blocks(language: &str) -> Vec<(Document, Block)> {
    let mut all = vec![];
    for document in documents() {
        for block in document.blocks().into_iter().filter(|block| block.language == language) {
            all.push((document.clone(), block));
        }
    }
    all
}

/// The YAML of the document about clusters, one value for each manifest.
fn manifests() -> Vec<Value> {
    let of_clusters = blocks("yaml").into_iter().filter(|(d, _)| d.name() == CLUSTER);
    of_clusters.flat_map(|(_, block)| yaml(&block.text).unwrap()).collect()
}

pub(crate) fn of_kind(kind: &str) -> Value {
    let manifest = manifests().into_iter().find(|manifest| manifest["kind"] == kind);
    manifest.unwrap_or_else(|| panic!("no manifest of a {kind}"))
}

/// The hook's descriptor for CRI-O.
fn descriptor() -> Value {
    let (_, block) = blocks("json").into_iter().find(|(d, _)| d.name() == CLUSTER).unwrap();
    serde_json::from_str(&block.text).unwrap()
}

#[test]
fn everything_shown_can_be_parsed() {
    let mut parsed = 0;
    for language in ["yaml", "json", "toml"] {
        for (document, block) in blocks(language) {
            let result = match language {
                "yaml" => yaml(&block.text).map(drop),
                "toml" => block.text.parse::<toml_edit::DocumentMut>().map_err(say).map(drop),
                // A member of an object is shown without the object.
                _ => serde_json::from_str::<Value>(&block.text)
                    .or_else(|_| serde_json::from_str(&format!("{{{}}}", block.text)))
                    .map_err(say)
                    .map(drop),
            };
            let why = result.err();
            assert_eq!(why, None, "{}:{}:\n{}", document.name(), block.line, block.text);
            parsed += 1;
        }
    }
    assert!(parsed > 10, "only {parsed} were found");
}

#[test]
fn a_manifest_with_a_mistake_is_found() {
    assert!(yaml("a: [b\n").is_err());
    assert_eq!(yaml("a: {b: [c, d]}\n---\ne: >-\n  f\n  g\n").unwrap()[1]["e"], "f g");
}

#[test]
fn every_manifest_has_what_a_cluster_asks_of_any() {
    let manifests = manifests();
    assert_eq!(manifests.len(), 4);
    for manifest in manifests {
        for key in ["/apiVersion", "/kind", "/metadata/name"] {
            assert!(manifest.pointer(key).is_some_and(Value::is_string), "{key}: {manifest}");
        }
    }
}

#[test]
fn the_pods_annotation_is_ours_and_names_a_sidecar() {
    for (document, block) in blocks("yaml") {
        for pod in yaml(&block.text).unwrap().into_iter().filter(|m| m["kind"] == "Pod") {
            let path = pod["metadata"]["annotations"][annotation::KEY].as_str();
            let path = path.unwrap_or_else(|| panic!("{}:{}", document.name(), block.line));
            assert!(SidecarPath::parse(path).is_ok(), "{path}");
        }
    }
    let pod = of_kind("Pod");
    assert_eq!(pod["spec"]["runtimeClassName"], of_kind("RuntimeClass")["metadata"]["name"]);
}

/// Its key is written at other places too: in an expression, a pattern, a list.
#[test]
fn the_annotation_is_written_alike_everywhere() {
    let policy = of_kind("ValidatingAdmissionPolicy");
    let sidecar = policy["spec"]["variables"][0]["expression"].as_str().unwrap();
    assert_eq!(sidecar.matches(&format!("'{}'", annotation::KEY)).count(), 2, "{sidecar}");
    let prefix = policy["spec"]["validations"][0]["expression"].as_str().unwrap();
    let sidecars = StateRoot::new(PathBuf::from(STATE)).sidecars();
    assert!(prefix.contains(&format!("'{}/", sidecars.display())), "{prefix}");
    let binding = of_kind("ValidatingAdmissionPolicyBinding");
    assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);

    let pattern = format!("^{}$", annotation::KEY.replace('.', "\\."));
    assert_eq!(descriptor()["when"]["annotations"][pattern], ".+");
}

#[test]
fn the_descriptors_program_and_arguments_are_the_hooks() {
    let descriptor = descriptor();
    let program = StateRoot::new(PathBuf::from(STATE)).programs().join("terok-hook");
    assert_eq!(descriptor["hook"]["path"].as_str().map(Path::new), Some(program.as_path()));
    let arguments = descriptor["hook"]["args"].as_array().unwrap();
    let words: Vec<&str> = arguments.iter().filter_map(Value::as_str).collect();
    assert_eq!(descriptor["stages"], Value::from(vec![words[1]]));
    let known = source("hook/src/stage.rs");
    for word in words.iter().skip(1).filter(|word| !word.starts_with('/')) {
        assert!(known.contains(&format!("\"{word}\"")), "terok-hook knows no {word}");
    }
}

#[test]
fn containerds_table_names_the_wrapper_and_its_file_what_the_wrapper_reads() {
    let (_, table) = blocks("toml").into_iter().find(|(d, _)| d.name() == CLUSTER).unwrap();
    let table = table.text.parse::<toml_edit::DocumentMut>().unwrap();
    let runtime = &table["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"];
    let runtime = &runtime[of_kind("RuntimeClass")["handler"].as_str().unwrap()];
    let program = StateRoot::new(PathBuf::from(STATE)).programs().join("terok-runtime");
    let named = runtime["options"]["BinaryName"].as_str().map(Path::new);
    assert_eq!(named, Some(program.as_path()));
    let passed = runtime["pod_annotations"].as_array().unwrap();
    assert_eq!(passed.get(0).and_then(|value| value.as_str()), Some(annotation::KEY));

    let known = source("hook/src/runtime/settings.rs");
    let settings = blocks("text").into_iter().find(|(_, b)| b.text.starts_with("real-runtime"));
    for line in settings.expect("the file is shown").1.text.lines() {
        let (key, _) = line.split_once(" = ").expect("a key and a value");
        assert!(known.contains(&format!("\"{key}\"")), "terok-runtime knows no {key}");
    }
}

#[test]
fn the_wrappers_options_in_the_documents_are_the_wrappers() {
    let known = source("hook/src/runtime/settings.rs");
    let mut named = 0;
    for document in documents() {
        for option in document.text.split("terok-").skip(1) {
            let Some((key, _)) = option.split_once('=') else { continue };
            if key.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
                named += 1;
                assert!(known.contains(&format!("\"{key}\"")), "{}: {key}", document.name());
            }
        }
    }
    assert!(named >= 5, "only {named} were found");
}

fn source(file: &str) -> String {
    std::fs::read_to_string(workspace().join(file)).unwrap()
}

fn say(why: impl ToString) -> String {
    why.to_string()
}

/// A collection that the parser is in the middle of.
enum Open {
    Sequence(Vec<Value>),
    Mapping(Map<String, Value>, Option<String>),
}

/// The documents of a YAML stream, each scalar as a string; aliases do not occur here.
fn yaml(text: &str) -> Result<Vec<Value>, String> {
    let (mut documents, mut open) = (vec![], Vec::<Open>::new());
    for event in Parser::new_from_str(text) {
        let value = match event.map_err(say)?.0 {
            Event::SequenceStart(..) => {
                open.push(Open::Sequence(vec![]));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Mapping(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::Sequence(items)) => Value::from(items),
                Some(Open::Mapping(members, _)) => Value::from(members),
                None => return Err("an end without a beginning".to_owned()),
            },
            Event::Scalar(text, ..) => Value::from(text.into_owned()),
            Event::Alias(_) => return Err("an alias".to_owned()),
            _ => continue,
        };
        match open.last_mut() {
            None => documents.push(value),
            Some(Open::Sequence(items)) => items.push(value),
            Some(Open::Mapping(members, key)) => match (key.take(), value) {
                (None, Value::String(text)) => *key = Some(text),
                (None, other) => return Err(format!("the key {other}")),
                (Some(key), value) => {
                    if members.insert(key.clone(), value).is_some() {
                        return Err(format!("the key {key} twice"));
                    }
                }
            },
        }
    }
    Ok(documents)
}
