//! Tables of real-life containers.conf shapes, each edited, read back and restored.

use super::*;

const OURS: &str = "/home/op/.local/share/terok/sandbox/hooks";

fn ours() -> Vec<String> {
    vec![OURS.to_owned()]
}

fn seeded() -> Vec<String> {
    vec![BUILT_IN.to_owned(), OURS.to_owned()]
}

fn added(text: &str, dirs: &[String]) -> String {
    add(text, dirs).unwrap().0
}

#[test]
fn what_was_added_comes_out_byte_for_byte() {
    let texts = [
        "",
        "\n",
        "# only a comment",
        "[engine]",
        "[engine]\n",
        "[engine] # why\n# hooks_dir = []\nruntime = \"crun\"\n\n[network]\n",
        "[containers]\nenv = [\"A=1\"]",
        "[engine]\nhooks_dir = []\n",
        "[engine]\nhooks_dir = [ ]\n",
        "[engine]\nhooks_dir = [\"/a\"]\n",
        "[engine]\nhooks_dir = [\"/a\",] # one\n",
        "[engine]\nhooks_dir = [\"/a\", {append=true}]\n",
        "[engine]\nhooks_dir = [\n  \"/a\", # first, of course\n  \"/b\" # second\n]\nx = 1\n",
        "[engine]\nhooks_dir = [\n\t\"/a\",\n\t\"/b\", # second\n\t# none after\n]\n",
        "[engine]\r\nruntime = \"crun\"\r\n",
        "[engine.service_destinations.x]\nuri = \"ssh://x\"\n",
        "engine = { runtime = \"crun\" }\n",
        "engine.runtime = \"crun\"\n[network]\na = 1\n",
        "title = \"päth\"\n[engine]\nhooks_dir = [\"/ä\"]\n",
    ];
    for text in texts {
        let (after, change) = add(text, &seeded()).unwrap();
        assert!(read(&after).unwrap().unwrap().dirs.ends_with(&seeded()), "{after}");
        assert_eq!(take_back(&after, &change).unwrap().as_deref(), Some(text), "{after}");
    }
}

#[test]
fn only_the_list_changes_and_comments_stay_with_their_lines() {
    let text = "# top\n[engine]\n# dirs\nhooks_dir = [\n  \"/a\", # first\n]\n# end\n";
    assert_eq!(
        added(text, &ours()),
        format!(
            "# top\n[engine]\n# dirs\nhooks_dir = [\n  \"/a\", # first\n  \"{OURS}\",\n]\n# end\n"
        )
    );
}

#[test]
fn a_missing_trailing_comma_is_set_before_the_comment() {
    let text = "[engine]\nhooks_dir = [\n  \"/a\" # first\n]\n";
    assert_eq!(
        added(text, &ours()),
        format!("[engine]\nhooks_dir = [\n  \"/a\", # first\n  \"{OURS}\"\n]\n")
    );
}

#[test]
fn a_list_on_one_line_stays_on_one_line() {
    assert_eq!(
        added("[engine]\nhooks_dir=[\"/a\"]", &ours()),
        format!("[engine]\nhooks_dir=[\"/a\", \"{OURS}\"]")
    );
}

#[test]
fn windows_line_ends_are_kept() {
    let after = added("[engine]\r\nruntime = \"crun\"\r\n", &ours());
    assert_eq!(after, format!("[engine]\r\nhooks_dir = [\"{OURS}\"]\r\nruntime = \"crun\"\r\n"));
}

#[test]
fn a_new_table_goes_below_what_is_there() {
    assert_eq!(
        added("[containers]\ntz = \"local\"\n", &ours()),
        format!("[containers]\ntz = \"local\"\n\n[engine]\nhooks_dir = [\"{OURS}\"]\n")
    );
}

#[test]
fn edits_made_around_ours_survive_taking_it_back() {
    let (after, change) = add("[engine]\nhooks_dir = [\"/a\"]\n", &ours()).unwrap();
    let edited =
        format!("# mine\n{}", after.replace("\"]\n", "\", \"/later\"]\nruntime = \"crun\"\n"));
    let back = take_back(&edited, &change).unwrap().unwrap();
    assert_eq!(back, "# mine\n[engine]\nhooks_dir = [\"/a\", \"/later\"]\nruntime = \"crun\"\n");
}

#[test]
fn a_list_rewritten_since_loses_only_our_directory() {
    let (_, change) = add("", &seeded()).unwrap();
    let edited = format!("[engine]\nhooks_dir = [\n  \"{OURS}\",\n  \"/theirs\",\n]\n");
    let back = take_back(&edited, &change).unwrap().unwrap();
    assert_eq!(read(&back).unwrap().unwrap().dirs, ["/theirs"]);
}

#[test]
fn a_table_made_by_setup_stays_when_it_gained_other_keys() {
    let (after, change) = add("", &seeded()).unwrap();
    let edited = after.replace("hooks_dir = [", "hooks_dir=[") + "runtime = \"crun\"\n";
    let back = take_back(&edited, &change).unwrap().unwrap();
    assert_eq!(back, "[engine]\nruntime = \"crun\"\n");
}

#[test]
fn nothing_is_taken_back_where_nothing_of_ours_is_left() {
    let (_, change) = add("", &seeded()).unwrap();
    assert_eq!(take_back("[engine]\nhooks_dir = [\"/theirs\"]\n", &change), Ok(None));
    assert_eq!(take_back("", &change), Ok(None));
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_line() {
    let refused = add("[engine]\nruntime = crun\n", &ours()).unwrap_err();
    assert!(matches!(refused, Fault::Unparsable { line: 2, .. }), "{refused}");
    assert!(refused.to_string().starts_with("line 2: "), "{refused}");
}

#[test]
fn a_string_in_place_of_the_list_is_refused() {
    assert_eq!(read("[engine]\nhooks_dir = \"/a\"\n"), Err(Fault::NotAList));
    assert_eq!(read("[engine]\nhooks_dir = [1]\n"), Err(Fault::NotAList));
}

#[test]
fn later_lists_replace_earlier_ones_unless_they_append() {
    let layer = |text: &str| read(text).unwrap().unwrap();
    let plain = layer("[engine]\nhooks_dir = [\"/a\"]");
    let append = layer("[engine]\nhooks_dir = [\"/b\", {append=true}]");
    let last = layer("[engine]\nhooks_dir = [\"/c\"]");
    assert_eq!(effective([].into_iter()).dirs, [BUILT_IN]);
    assert_eq!(effective([&plain].into_iter()).dirs, ["/a"]);
    assert_eq!(effective([&plain, &last].into_iter()).dirs, ["/c"]);
    // The attribute lasts: podman keeps it for the lists that follow.
    assert_eq!(effective([&plain, &append, &last].into_iter()).dirs, ["/a", "/b", "/c"]);
}
