use super::*;

const CAPTURED: [(&str, bool); 8] = [
    (include_str!("../../../tests/fixtures/oci/rootless-crun.createRuntime.state.json"), true),
    (include_str!("../../../tests/fixtures/oci/rootless-runc.createRuntime.state.json"), true),
    (include_str!("../../../tests/fixtures/oci/rootful-crun.createRuntime.state.json"), true),
    (include_str!("../../../tests/fixtures/oci/rootful-runc.createRuntime.state.json"), true),
    (include_str!("../../../tests/fixtures/oci/rootless-crun.poststop.state.json"), false),
    (include_str!("../../../tests/fixtures/oci/rootless-runc.poststop.state.json"), false),
    (include_str!("../../../tests/fixtures/oci/rootful-crun.poststop.state.json"), false),
    (include_str!("../../../tests/fixtures/oci/rootful-runc.poststop.state.json"), false),
];

fn with(members: &str) -> String {
    format!(
        r#"{{"ociVersion":"1.0","id":"abc","status":"created","pid":7,"bundle":"/b",{members}}}"#
    )
}

#[test]
fn captured_states_of_both_runtimes_are_understood() {
    for (text, running) in CAPTURED {
        let state = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(state.id.unwrap().as_str().len(), 64);
        assert_eq!(state.pid.is_some(), running);
        assert_eq!(state.sidecar.unwrap().as_path().file_name().unwrap(), "x.json");
    }
}

#[test]
fn a_container_without_our_annotation_is_not_ours_whatever_its_state_holds() {
    for text in [
        r#"{}"#.to_owned(),
        r#"{"id":"../../x","annotations":null}"#.to_owned(),
        r#"{"annotations":{"other":7}}"#.to_owned(),
        with(r#""annotations":{"terok.sandbox.sidecar":""}"#),
    ] {
        assert!(parse(text.as_bytes()).unwrap().is_none(), "{text}");
    }
}

#[test]
fn an_annotation_that_is_not_a_string_is_named() {
    for (value, kind) in
        [("7", "a number"), ("{}", "an object"), ("[1]", "an array"), ("true", "a boolean")]
    {
        let text = with(&format!(r#""annotations":{{"terok.sandbox.sidecar":{value}}}"#));
        let message = parse(text.as_bytes()).unwrap_err().to_string();
        assert!(message.contains("terok.sandbox.sidecar") && message.contains(kind), "{message}");
    }
}

#[test]
fn other_annotations_may_be_of_any_type() {
    let text =
        with(r#""annotations":{"x":[1],"terok.sandbox.sidecar":"/s/sidecar/w.json"},"extra":{}"#);
    assert_eq!(parse(text.as_bytes()).unwrap().unwrap().pid, Some(7));
}

#[test]
fn a_container_id_with_path_characters_is_kept_apart_from_the_rest() {
    for id in ["../../etc/x", "-rf", ""] {
        let text = format!(
            r#"{{"ociVersion":"1","id":"{id}","status":"created","pid":7,"bundle":"/b",
                "annotations":{{"terok.sandbox.sidecar":"/s/sidecar/w.json"}}}}"#
        );
        let state = parse(text.as_bytes()).unwrap().unwrap();
        assert!(state.id.is_err() && state.sidecar.is_ok());
    }
}

#[test]
fn garbage_is_an_error_and_not_a_panic() {
    for text in ["", " ", "{", "[]", "7", "\u{0}", &"[".repeat(200_000), r#"{"annotations":7}"#] {
        assert!(parse(text.as_bytes()).is_err(), "{:.20}", text);
    }
}

#[test]
fn input_without_end_is_bounded() {
    let (reader, writer) = io::pipe().unwrap();
    let feeder = std::thread::spawn(move || {
        let mut writer = writer;
        while io::Write::write_all(&mut writer, &[b' '; 65536]).is_ok() {}
    });
    assert!(matches!(read_bounded(reader), Err(StateError::TooLarge)));
    feeder.join().unwrap();
}

#[test]
fn youkis_states_are_understood_its_own_older_kind_too() {
    for (text, running) in [
        (include_str!("../../../tests/fixtures/oci/youki.createRuntime.state.json"), true),
        (include_str!("../../../tests/fixtures/oci/youki.poststop.state.json"), false),
        (include_str!("../../../tests/fixtures/oci/youki-0.5.createRuntime.state.json"), true),
        (include_str!("../../../tests/fixtures/oci/youki-0.5.poststop.state.json"), false),
    ] {
        let state = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(state.id.unwrap().as_str(), "web");
        assert_eq!(state.pid, running.then_some(4711));
        assert_eq!(state.sidecar.unwrap().as_path().file_name().unwrap(), "x.json");
    }
}
