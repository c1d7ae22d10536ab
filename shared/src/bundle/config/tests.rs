use serde_json::{Value, json};

use super::*;

const SIDECAR: &str = "/s/sidecar/w.json";

fn config(value: &Value) -> Config {
    Config::parse(value.to_string().as_bytes()).unwrap()
}

fn value(config: &Config) -> Value {
    serde_json::from_slice(&config.text()).unwrap()
}

fn hooks() -> Hooks<'static> {
    Hooks { program: Path::new("/p/terok-hook"), arguments: &[] }
}

#[test]
fn the_annotation_makes_a_container_ours() {
    let ours = config(&json!({"annotations": {"terok.sandbox.sidecar": SIDECAR, "x": "y"}}));
    assert_eq!(ours.sidecar(Variable::Ignored).unwrap().as_deref(), Some(SIDECAR));
    for foreign in [
        json!({}),
        json!({"annotations": null}),
        json!({"annotations": {"x": 7}, "process": {"env": null}}),
        json!({"annotations": {"terok.sandbox.sidecar": ""}}),
        json!({"annotations": {"terok.sandbox.sidecar": null}}),
    ] {
        assert_eq!(config(&foreign).sidecar(Variable::Accepted).unwrap(), None, "{foreign}");
    }
}

#[test]
fn the_variable_counts_where_it_is_accepted_and_the_annotation_wins() {
    let env =
        ["PATH=/bin", "TEROK_SANDBOX_SIDECAR=/old", "TEROK_SANDBOX_SIDECAR=/s/sidecar/w.json"];
    let by_variable = json!({"process": {"env": env}});
    assert_eq!(config(&by_variable).sidecar(Variable::Accepted).unwrap().as_deref(), Some(SIDECAR));
    assert_eq!(config(&by_variable).sidecar(Variable::Ignored).unwrap(), None);
    let both =
        json!({"process": {"env": env}, "annotations": {"terok.sandbox.sidecar": "/a/sidecar/b"}});
    let named = config(&both).sidecar(Variable::Accepted).unwrap();
    assert_eq!(named.as_deref(), Some("/a/sidecar/b"));
}

#[test]
fn a_variable_of_a_similar_name_is_the_containers_own() {
    let mut foreign = config(&json!({"process": {"env": ["TEROK_SANDBOX_SIDECAR_X=/s", "A=b"]}}));
    assert_eq!(foreign.sidecar(Variable::Accepted).unwrap(), None);
    assert!(!foreign.remove_variable().unwrap());
}

#[test]
fn every_value_of_the_variable_is_taken_out_and_the_others_keep_their_order() {
    let env = ["B=1", "TEROK_SANDBOX_SIDECAR=/x", "A=2", "TEROK_SANDBOX_SIDECAR=", "C=3"];
    let mut config = config(&json!({"process": {"env": env, "cwd": "/"}}));
    assert!(config.remove_variable().unwrap());
    assert_eq!(value(&config)["process"], json!({"env": ["B=1", "A=2", "C=3"], "cwd": "/"}));
}

#[test]
fn hooks_come_last_in_their_stages_and_others_stay() {
    let theirs = json!({"path": "/n", "args": ["n", "x"], "env": ["A=b"], "timeout": 7});
    let mut config = config(&json!({"hooks": {"createRuntime": [theirs], "prestart": [theirs]}}));
    let arguments = ["--state-root".to_owned(), "/s".to_owned()];
    let hooks = Hooks { program: Path::new("/p/terok-hook"), arguments: &arguments };
    assert!(config.add_hooks(&hooks).unwrap());
    let ours = |stage| json!({"path": "/p/terok-hook", "args": ["/p/terok-hook", stage, "--state-root", "/s"]});
    assert_eq!(
        value(&config)["hooks"],
        json!({
            "createRuntime": [theirs, ours("createRuntime")],
            "poststop": [ours("poststop")],
            "prestart": [theirs],
        })
    );
}

#[test]
fn adding_twice_changes_nothing() {
    let mut config = config(&json!({"hooks": null}));
    assert!(config.add_hooks(&hooks()).unwrap());
    let once = config.text();
    let elsewhere = Hooks { program: Path::new("/other/terok-hook"), arguments: &[] };
    assert!(!config.add_hooks(&elsewhere).unwrap());
    assert_eq!(config.text(), once);
}

#[test]
fn annotating_twice_changes_nothing() {
    let mut config = config(&json!({"annotations": {"x": "y"}}));
    assert!(config.annotate(SIDECAR).unwrap());
    assert!(!config.annotate(SIDECAR).unwrap());
    assert!(config.annotate("/t/sidecar/w.json").unwrap());
    assert_eq!(value(&config)["annotations"]["x"], "y");
}

#[test]
fn what_is_not_ours_keeps_its_very_text() {
    let linux =
        r#"{"resources":{"memory":{"limit":9223372036854775809123},"x":1.0e2}, "é":"\u00e9\/"}"#;
    let text = format!(r#"{{"ociVersion":"1.0.2","linux":{linux},"zzz":[1, 2 ,3]}}"#);
    let mut config = Config::parse(text.as_bytes()).unwrap();
    config.annotate(SIDECAR).unwrap();
    config.add_hooks(&hooks()).unwrap();
    let text = String::from_utf8(config.text()).unwrap();
    assert!(text.contains(linux) && text.contains("[1, 2 ,3]"), "{text}");
}

#[test]
fn members_of_another_kind_are_named_and_never_quoted() {
    for (text, name) in [
        (json!({"annotations": ["s3cret"]}), "annotations"),
        (json!({"annotations": {"terok.sandbox.sidecar": {"s3cret": 1}}}), "terok.sandbox.sidecar"),
        (json!({"process": "s3cret"}), "process"),
        (json!({"process": {"env": "s3cret"}}), "env"),
    ] {
        let message = config(&text).sidecar(Variable::Accepted).unwrap_err().to_string();
        assert!(message.contains(name) && !message.contains("s3cret"), "{message}");
    }
    let mut hooks_of_another_kind = config(&json!({"hooks": {"poststop": {}}}));
    assert!(hooks_of_another_kind.add_hooks(&hooks()).is_err());
}

#[test]
fn garbage_is_an_error_and_not_a_panic() {
    for text in ["", "[]", "7", "{", "{\"a\":\u{7}}", &"{\"a\":".repeat(200_000)] {
        assert!(Config::parse(text.as_bytes()).is_err(), "{:.20}", text);
    }
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    if let Ok(deep) = Config::parse(deep.as_bytes()) {
        assert_eq!(deep.sidecar(Variable::Accepted).unwrap(), None);
    }
}
