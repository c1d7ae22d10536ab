//! Stock git against the gate of a whole container, through a port as it has inside.

use std::fs;

use terok_shared::service::Service;
use terok_tests::bridge;
use terok_tests::house::House;
use terok_tests::mirror::{Mirror, git, git_ok};
use terok_tests::sidecar::GATE_TOKEN;

const WRONG_TOKEN: &str = "terok-g-00000000000000000000000000000000";

/// Acts on a mirror and the URL of the gate before it for a token.
fn with_gate(act: impl FnOnce(&Mirror<'_>, &dyn Fn(&str) -> String)) {
    let house = House::new();
    let mirror = Mirror::new(&house);
    let web = house.container(&house.sidecar("web").with_gate(&house));
    web.start();
    let port = bridge::port(web.endpoint(Service::Gate));
    act(&mirror, &|token| format!("http://{token}:x@127.0.0.1:{port}/proj1.git"));
    assert!(!web.log().contains(GATE_TOKEN), "{}", web.log());
}

#[test]
fn what_is_pushed_through_the_gate_is_cloned_through_it() {
    with_gate(|mirror, url| {
        let tree = mirror.work_tree(&url(GATE_TOKEN));
        // More than git sends in one piece by default, so it comes in chunks.
        let noise: Vec<u8> = (0..3_000_000_u32)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes().into_iter().skip(3))
            .collect();
        fs::write(tree.join("noise"), noise).unwrap();
        git_ok(&tree, &["add", "noise"]);
        git_ok(&tree, &["commit", "-q", "-m", "noise"]);
        git_ok(&tree, &["push", "-q", "origin", "main"]);
        assert_eq!(mirror.tip("main"), git_ok(&tree, &["rev-parse", "HEAD"]));
        let clone = tree.with_file_name("clone");
        git_ok(&tree, &["clone", "-q", &url(GATE_TOKEN), clone.to_str().unwrap()]);
        assert_eq!(git_ok(&clone, &["rev-parse", "HEAD"]), mirror.tip("main"));
    });
}

#[test]
fn a_force_push_keeps_the_old_tip_where_containers_do_not_see_it() {
    with_gate(|mirror, url| {
        let tree = mirror.work_tree(&url(GATE_TOKEN));
        git_ok(&tree, &["push", "-q", "origin", "main"]);
        let old = mirror.tip("main");
        git_ok(&tree, &["commit", "-q", "--amend", "--allow-empty", "-m", "rewritten"]);
        git_ok(&tree, &["push", "-q", "--force", "origin", "main"]);
        assert_ne!(mirror.tip("main"), old);
        let refs = git_ok(&mirror.path(), &["for-each-ref", "refs/terok"]);
        assert!(refs.contains(&old) && refs.contains("refs/terok/backup/main/"), "{refs}");
        let seen = git_ok(&tree, &["ls-remote", "origin"]);
        assert!(!seen.contains("refs/terok"), "{seen}");
    });
}

#[test]
fn a_wrong_token_opens_nothing() {
    with_gate(|mirror, url| {
        let tree = mirror.work_tree(&url(WRONG_TOKEN));
        for arguments in [&["ls-remote", "origin"][..], &["push", "-q", "origin", "main"]] {
            let output = git(&tree, arguments);
            assert!(!output.status.success(), "{output:?}");
        }
        assert_eq!(git_ok(&mirror.path(), &["for-each-ref"]), "");
    });
}

#[test]
fn a_sidecar_without_a_gate_has_no_gate() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let tree = web.start_serving(&[Service::Keeper, Service::Broker, Service::Signer]);
    assert!(tree.child(Service::Gate).is_none());
    assert!(!house.runtime_dir().join("run/web/gate").exists());
}
