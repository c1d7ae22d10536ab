//! `terokctl status`: every container with its services, at a glance.
//!
//! Files and the kernel are asked, no container engine, so it is cheap enough for `--watch`.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use terok_shared::layout;
use terok_shared::status::{ServiceState, ServiceStatus};

use super::clock;
use super::known::{self, Known, State};
use super::paint::{Colour, Paint};
use super::requests::{Audit, Requests};
use crate::Failure;
use crate::cli::observe::StatusArgs;
use crate::directories::Directories;
use crate::output::{print, print_json, printable, remark};

/// Columns of a terminal nobody has widened.
const WIDTH: usize = 80;
const NAME_WIDTH: usize = 22;
const PAUSE: Duration = Duration::from_secs(1);

/// One container, as `--json` tells it.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    name: String,
    id: Option<String>,
    state: &'static str,
    /// Of the supervisor, while it lives.
    pid: Option<i32>,
    age_s: Option<u64>,
    /// Since the supervisor started; a lower bound when `requests_or_more`.
    requests: Option<usize>,
    requests_or_more: bool,
    services: Vec<ServiceStatus>,
    /// What is wrong beside the services.
    problem: Option<String>,
}

pub(crate) fn run(directories: &Directories, args: &StatusArgs) -> Result<(), Failure> {
    if args.watch {
        return watch(directories, args);
    }
    let told = tell(directories, args.name.as_deref())?;
    if args.json {
        return Ok(print_json(&told)?);
    }
    if told.is_empty() {
        remark("no containers; `terokctl run NAME -- IMAGE` starts one");
        return Ok(());
    }
    Ok(print(&table(&told, Paint::of_stdout()))?)
}

/// Draws the table again every second, until Ctrl-C.
fn watch(directories: &Directories, args: &StatusArgs) -> Result<(), Failure> {
    if !io::stdout().is_terminal() {
        return Err("watch: standard output is no terminal\nhint: without --watch, or with --json, it is printed once".into());
    }
    // ECMA-48: erase the page, then always from the top, each line's rest and what is below erased.
    print("\x1b[2J")?;
    loop {
        let told = tell(directories, args.name.as_deref())?;
        let lines = table(&told, Paint::of_stdout()).replace('\n', "\x1b[K\n");
        print(&format!("\x1b[H{lines}\x1b[J"))?;
        thread::sleep(PAUSE);
    }
}

fn tell(directories: &Directories, name: Option<&str>) -> Result<Vec<Told>, Failure> {
    let known = match name {
        None => known::all(&directories.state)?,
        Some(name) => match known::one(&directories.state, name)? {
            Some(known) => vec![known],
            None => return Err(unknown(directories, name).into()),
        },
    };
    let mut audits = HashMap::new();
    Ok(known.iter().map(|known| told(known, &mut audits)).collect())
}

/// The sentence for a name that nothing is known of.
pub(super) fn unknown(directories: &Directories, name: &str) -> String {
    format!(
        "find container {name}: no sidecar, supervisor or log in {}\n\
         hint: `terokctl status` lists what is known",
        directories.state.path().display()
    )
}

fn told(known: &Known, audits: &mut HashMap<PathBuf, Option<Audit>>) -> Told {
    let run = known.current();
    let living = run.and_then(|run| run.living);
    let age = living.and_then(|living| clock::age(living.supervisor));
    let requests = age.and_then(|age| requests(known, age, audits));
    // What a supervisor that died said last is not so any more.
    let status = run.filter(|_| living.is_some()).and_then(|run| run.status.clone());
    Told {
        name: known.name.clone(),
        id: run.map(|run| run.id.to_string()),
        state: word(known.state()),
        pid: living.map(|living| living.supervisor.pid()),
        age_s: age.map(|age| age.as_secs()),
        requests: requests.map(|requests| requests.count),
        requests_or_more: requests.is_some_and(|requests| requests.or_more),
        services: status.map(|status| status.services).unwrap_or_default(),
        problem: problem(known),
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Serving => "serving",
        State::Unsupervised => "unsupervised",
        State::Stopped => "stopped",
        State::Unusable => "unusable",
    }
}

fn problem(known: &Known) -> Option<String> {
    match (&known.sidecar, known.state()) {
        (_, State::Unsupervised) => {
            Some(format!("its supervisor died; `terokctl respawn {}` brings it back", known.name))
        }
        (Some(Err(why)), _) => Some(why.lines().next().unwrap_or_default().to_owned()),
        _ if known.failed().next().is_some() => {
            Some(format!("`terokctl respawn {}` tries again", known.name))
        }
        _ => None,
    }
}

/// Counted for sidecars that say whose tokens they honour: those of others are not told apart.
fn requests(
    known: &Known,
    age: Duration,
    audits: &mut HashMap<PathBuf, Option<Audit>>,
) -> Option<Requests> {
    let sidecar = known.sidecar()?;
    let subject = sidecar.token_subject.as_deref()?;
    let path = layout::audit_beside(&sidecar.db_path);
    let audit = audits.entry(path).or_insert_with_key(|path| Audit::read(path).ok());
    Some(audit.as_ref()?.count(subject, clock::since(age)))
}

/// A line per container, and below it what is wrong; no line longer than `WIDTH`, unless one word
/// is.
fn table(told: &[Told], paint: Paint) -> String {
    let names = told.iter().map(|told| told.name.chars().count()).max().unwrap_or_default();
    let width = names.clamp("NAME".len(), NAME_WIDTH);
    let head = format!("{:<width$}  {:<12}  {:>4}  {:>6}  ", "NAME", "ID", "AGE", "REQS");
    let mut text = format!("{head}SERVICES\n");
    for told in told {
        text.push_str(&line(told, width, paint));
        for service in told.services.iter().filter(|service| service.last_error.is_some()) {
            text.push_str(&remark_line(&trouble(service), paint));
        }
        if let Some(problem) = &told.problem {
            text.push_str(&remark_line(problem, paint));
        }
    }
    text
}

fn line(told: &Told, width: usize, paint: Paint) -> String {
    let name = shortened(&printable(&told.name));
    let id = told.id.as_deref().map_or("-", |id| &id[..id.len().min(12)]);
    let age = told.age_s.map_or("-".to_owned(), |s| clock::words(Duration::from_secs(s)));
    let requests = match told.requests {
        Some(count) => Requests { count, or_more: told.requests_or_more }.to_string(),
        None => "-".to_owned(),
    };
    let start = format!("{name:<width$}  {id:<12}  {age:>4}  {requests:>6}  ");
    let indent = start.chars().count();
    let words = services(told, paint);
    // Wrapped by what is seen, which colour is not.
    let (mut text, mut column) = (start, indent);
    for (n, (seen, word)) in words.iter().enumerate() {
        if n > 0 && column + 1 + seen > WIDTH {
            text.push_str(&format!("\n{:indent$}", ""));
            column = indent;
        } else if n > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += seen;
    }
    format!("{}\n", text.trim_end())
}

/// Words for the last column, each with its width.
fn services(told: &Told, paint: Paint) -> Vec<(usize, String)> {
    let coloured = |word: String, colour| (word.chars().count(), paint.with(colour, &word));
    match told.state {
        "serving" => told
            .services
            .iter()
            .map(|service| match service.state {
                ServiceState::Running => coloured(service.service.clone(), Colour::Good),
                ServiceState::Dormant => {
                    coloured(format!("{}:dormant", service.service), Colour::Faint)
                }
                ServiceState::Starting => {
                    coloured(format!("{}:starting", service.service), Colour::Doubtful)
                }
                ServiceState::Restarting => {
                    coloured(format!("{}:restarting", service.service), Colour::Doubtful)
                }
                ServiceState::Failed => {
                    coloured(format!("{}:failed", service.service), Colour::Bad)
                }
                ServiceState::GivenUp => {
                    coloured(format!("{}:given-up", service.service), Colour::Bad)
                }
            })
            .collect(),
        "stopped" => vec![coloured("stopped".to_owned(), Colour::Faint)],
        other => vec![coloured(other.to_owned(), Colour::Bad)],
    }
}

fn trouble(service: &ServiceStatus) -> String {
    let times = match service.restarts {
        0 => "not restarted".to_owned(),
        1 => "restarted once".to_owned(),
        n => format!("restarted {n} times"),
    };
    let why = service.last_error.as_deref().unwrap_or_default();
    format!("{}: {times}, last: {}", service.service, why.lines().next().unwrap_or_default())
}

/// A name that would push the columns aside; `--json` has it whole.
fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_WIDTH {
        return name.to_owned();
    }
    name.chars().take(NAME_WIDTH - 1).chain(['…']).collect()
}

/// Indented, and broken between words where it is longer than a line.
fn remark_line(text: &str, paint: Paint) -> String {
    let mut lines = vec![String::from(" ")];
    for word in printable(text).split(' ') {
        let length = |line: &String| line.chars().count();
        let last = lines.last_mut().expect("there is a first");
        if length(last) + 1 + word.chars().count() > WIDTH && length(last) > 4 {
            lines.push(format!("    {word}"));
        } else {
            last.push_str(&format!(" {word}"));
        }
    }
    lines.iter().map(|line| format!("{}\n", paint.with(Colour::Doubtful, line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, state: ServiceState) -> ServiceStatus {
        let pid = (state == ServiceState::Running).then_some(7);
        ServiceStatus {
            service: name.to_owned(),
            state,
            pid,
            started: None,
            restarts: 0,
            last_error: None,
        }
    }

    fn serving(name: &str, services: Vec<ServiceStatus>) -> Told {
        Told {
            name: name.to_owned(),
            id: Some("0123456789abcdef".to_owned()),
            state: "serving",
            pid: Some(42),
            age_s: Some(7300),
            requests: Some(12),
            requests_or_more: false,
            services,
            problem: None,
        }
    }

    #[test]
    fn the_table_fits_eighty_columns_whatever_the_services_do() {
        let all = ["keeper", "broker", "signer", "gate"];
        let states = [ServiceState::Running, ServiceState::Restarting, ServiceState::GivenUp];
        for state in states {
            let services = all.iter().map(|name| service(name, state)).collect();
            let mut told = serving("a-name-of-many-more-than-22-characters", services);
            told.problem = Some("a sentence that is longer than one line ".repeat(4));
            let text = table(&[told], Paint::none());
            for line in text.lines() {
                assert!(line.chars().count() <= WIDTH, "{line}");
            }
            assert!(all.iter().all(|name| text.contains(name)), "{text}");
        }
    }

    #[test]
    fn a_screen_looks_like_this() {
        let mut broken = service("signer", ServiceState::Restarting);
        broken.restarts = 3;
        broken.last_error = Some("killed by signal 9".to_owned());
        let web = serving("web", vec![service("keeper", ServiceState::Running), broken]);
        let idle = Told {
            id: None,
            state: "stopped",
            age_s: None,
            requests: None,
            services: vec![],
            ..serving("idle", vec![])
        };
        let lost = Told {
            state: "unsupervised",
            age_s: None,
            requests: None,
            problem: Some("its supervisor died; `terokctl respawn lost` brings it back".into()),
            ..serving("lost", vec![])
        };
        let screen = "\
NAME  ID             AGE    REQS  SERVICES
web   0123456789ab    2h      12  keeper signer:restarting
  signer: restarted 3 times, last: killed by signal 9
idle  -                -       -  stopped
lost  0123456789ab     -       -  unsupervised
  its supervisor died; `terokctl respawn lost` brings it back
";
        assert_eq!(table(&[web, idle, lost], Paint::none()), screen);
    }
}
