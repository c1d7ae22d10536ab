//! `routes.json`, kept current: read at the start and again when the file has changed.
//!
//! In: the file. Out: the route of a provider. A table that cannot be used leaves the one before
//! in force, with a line in the log.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::libc;
use terok_shared::routes::{self, MAX_BYTES, RouteTable, RoutesError};

use crate::limit::Limiter;
use crate::route::Route;
use crate::upstream::{RootsError, Upstreams};

/// How old the knowledge that the file is unchanged may be.
const FRESH: Duration = Duration::from_millis(50);

type Routes = HashMap<String, Rc<Route>>;

pub(crate) struct Table {
    path: PathBuf,
    upstreams: Upstreams,
    state: RefCell<State>,
}

struct State {
    looked: Instant,
    seen: Option<Stamp>,
    routes: Routes,
}

/// What tells one version of the file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

#[derive(Debug)]
pub(crate) enum TableError {
    Read { path: PathBuf, why: io::Error },
    Routes(RoutesError),
    Roots { route: String, why: RootsError },
    Target { route: String },
}

impl Table {
    /// Reads the table; one that is not there yet is an empty one.
    pub(crate) fn open(path: PathBuf, upstreams: Upstreams) -> Result<Self, TableError> {
        let seen = Stamp::of(&path);
        let routes = match read(&path, &upstreams, &Routes::new()) {
            Err(TableError::Read { why, .. }) if why.kind() == io::ErrorKind::NotFound => {
                log::warn!("no routes at {}: every request will get 404", path.display());
                Routes::new()
            }
            routes => routes?,
        };
        let state = State { looked: Instant::now(), seen, routes };
        Ok(Self { path, upstreams, state: RefCell::new(state) })
    }

    /// What must stay readable for changes to be seen: the file's directory and, behind a
    /// symbolic link, the directory of the file it leads to; the routes' `ca_file`s.
    pub(crate) fn watched(&self) -> Vec<PathBuf> {
        let real = self.path.canonicalize().ok();
        let files = [Some(self.path.clone()), real];
        let parent = |file: PathBuf| file.parent().map(Path::to_owned);
        let directories = files.into_iter().flatten().filter_map(parent);
        let state = self.state.borrow();
        let roots = state.routes.values().filter_map(|route| route.rules.ca_file.clone());
        directories.chain(roots).collect()
    }

    /// The route of `provider`, as of at most `FRESH` ago.
    pub(crate) fn route(&self, provider: &str, now: Instant) -> Option<Rc<Route>> {
        let mut state = self.state.borrow_mut();
        if now.saturating_duration_since(state.looked) >= FRESH {
            state.looked = now;
            self.look_again(&mut state);
        }
        state.routes.get(provider).map(Rc::clone)
    }

    /// The providers whose logins can be renewed.
    pub(crate) fn renewable(&self) -> Vec<String> {
        let state = self.state.borrow();
        let renewable =
            state.routes.iter().filter(|(_, route)| route.rules.oauth_refresh.is_some());
        renewable.map(|(provider, _)| provider.clone()).collect()
    }

    /// Closes connections to upstreams that are not needed now.
    pub(crate) fn sweep(&self) {
        self.state.borrow().routes.values().for_each(|route| route.sweep());
    }

    fn look_again(&self, state: &mut State) {
        let stamp = Stamp::of(&self.path);
        if stamp == state.seen {
            return;
        }
        state.seen = stamp;
        match read(&self.path, &self.upstreams, &state.routes) {
            Ok(routes) => {
                log::info!("routes read again: {} in force", routes.len());
                state.routes = routes;
            }
            Err(why) => log::error!("{why}\nthe routes read before stay in force"),
        }
    }
}

fn read(path: &Path, upstreams: &Upstreams, before: &Routes) -> Result<Routes, TableError> {
    let failed = |why| TableError::Read { path: path.to_owned(), why };
    let mut json = Vec::new();
    let file = open_regular(path).map_err(failed)?;
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut json).map_err(failed)?;
    let table = RouteTable::parse(path, &json).map_err(TableError::Routes)?;
    let wired = table.into_iter().map(|(provider, rules)| {
        let limiter = limiter(before, &provider, &rules);
        let clients = upstreams
            .clients(rules.ca_file.as_deref())
            .map_err(|why| TableError::Roots { route: provider.clone(), why })?;
        let route = Route::new(rules, clients, limiter)
            .map_err(|_| TableError::Target { route: provider.clone() })?;
        Ok((provider, Rc::new(route)))
    });
    wired.collect()
}

/// What counts for a route goes on counting when the table is read again, unless its ceilings are
/// others now.
fn limiter(before: &Routes, provider: &str, rules: &routes::Route) -> Rc<Limiter> {
    match before.get(provider) {
        Some(route) if *route.limiter.limit() == rules.rules.limit => Rc::clone(&route.limiter),
        _ => Rc::new(Limiter::new(rules.rules.limit)),
    }
}

/// Opens a file that is one: opening a pipe would wait for its other end.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(file)
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let of = |meta: Metadata| Self {
            device: meta.dev(),
            inode: meta.ino(),
            bytes: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        };
        std::fs::metadata(path).ok().map(of)
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, why } => write!(f, "read routes {}: {why}", path.display()),
            Self::Routes(why) => why.fmt(f),
            Self::Roots { route, why } => write!(f, "route `{route}`: field `ca_file`: {why}"),
            Self::Target { route } => {
                write!(f, "route `{route}`: field `upstream`: no URL that can be called")
            }
        }
    }
}

impl std::error::Error for TableError {}
