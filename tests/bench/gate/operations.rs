//! What is measured: clones, a fetch of nothing, pushes.

use std::fs;
use std::path::PathBuf;

use crate::gate::World;
use crate::repository::{self, git};
use crate::servers::Server;

pub(crate) struct Operation<'a> {
    world: &'a World,
    kind: Kind,
    /// Where clones go, or what pushes come from.
    place: PathBuf,
    bytes: u64,
}

enum Kind {
    Clone { name: &'static str, options: &'static [&'static str], at_once: usize },
    FetchNothing,
    Push { name: &'static str },
}

const PUSHED: &str = "refs/heads/pushed";

impl<'a> Operation<'a> {
    /// Those whose name contains `only`.
    pub(crate) fn all(world: &'a World, only: &str) -> Vec<Self> {
        let place = world.root().join("place");
        let size = size_of_packs(world);
        let clone = |name, options, at_once, bytes| Self {
            world,
            kind: Kind::Clone { name, options, at_once },
            place: place.clone(),
            bytes,
        };
        let push = |name: &'static str, bytes: u64| {
            let tree = world.root().join(name);
            if name.contains(only) {
                repository::single(&tree, bytes as usize);
            }
            Self { world, kind: Kind::Push { name }, place: tree, bytes }
        };
        let fetched = world.root().join("fetched");
        let url = format!("file://{}", world.mirror().display());
        let mirrored = git(world.root(), &["clone", "-q", "--bare", &url]).arg(&fetched).status();
        assert!(mirrored.unwrap().success());
        let mut all = vec![
            clone("full clone", &[], 1, size),
            clone("shallow clone", &["--depth=1"], 1, size),
            clone("partial clone", &["--filter=blob:none"], 1, 0),
            Self { world, kind: Kind::FetchNothing, place: fetched, bytes: 0 },
            push("push-100KB", 100_000),
            push("push-3MB", 3_000_000),
            push("push-50MB", 50_000_000),
            push("push-500MB", 500_000_000),
            clone("8 clones at once", &[], 8, 8 * size),
        ];
        all.retain(|operation| operation.name().contains(only));
        all
    }

    pub(crate) fn name(&self) -> &'static str {
        match &self.kind {
            Kind::Clone { name, .. } | Kind::Push { name } => name,
            Kind::FetchNothing => "fetch of nothing",
        }
    }

    /// Bytes that pass through a server.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether fewer rounds do.
    pub(crate) fn is_heavy(&self) -> bool {
        self.bytes > 400_000_000
    }

    pub(crate) fn prepare(&self, server: &Server) {
        match &self.kind {
            Kind::Clone { .. } => fs::create_dir(&self.place).unwrap(),
            Kind::FetchNothing => {
                let set = git(&self.place, &["config", "remote.origin.url", &server.url]).status();
                assert!(set.unwrap().success());
            }
            Kind::Push { .. } => {}
        }
        // What an operation before this one wrote shall not be written during this one.
        nix::unistd::sync();
    }

    pub(crate) fn run(&self, server: &Server) {
        match &self.kind {
            Kind::Clone { options, at_once, .. } => {
                let clone = |n: usize| {
                    git(&self.place, &["clone", "-q", "--bare"])
                        .args(*options)
                        .args([&server.url, &n.to_string()])
                        .spawn()
                        .unwrap()
                };
                let clones: Vec<_> = (0..*at_once).map(clone).collect();
                for mut clone in clones {
                    assert!(clone.wait().unwrap().success(), "{}: {}", server.name, self.name());
                }
            }
            Kind::FetchNothing => {
                let fetched = git(&self.place, &["fetch", "-q", "origin", "main"]).status();
                assert!(fetched.unwrap().success());
            }
            Kind::Push { name } => {
                let refspec = format!("main:{PUSHED}");
                let pushed = git(&self.place, &["push", "-q", &server.url, &refspec]).status();
                assert!(pushed.unwrap().success(), "{}: {name}", server.name);
            }
        }
    }

    pub(crate) fn clean_up(&self) {
        match &self.kind {
            Kind::Clone { .. } => fs::remove_dir_all(&self.place).unwrap(),
            Kind::FetchNothing => {}
            Kind::Push { .. } => self.forget_push(),
        }
    }

    /// The next server has to store the same objects anew.
    fn forget_push(&self) {
        self.world.in_mirror(&["update-ref", "-d", PUSHED]);
        self.world.in_mirror(&["prune", "--expire=now"]);
    }
}

fn size_of_packs(world: &World) -> u64 {
    let packs = fs::read_dir(world.mirror().join("objects/pack")).unwrap().flatten();
    packs.map(|file| file.metadata().unwrap().len()).sum()
}
