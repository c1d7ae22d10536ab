//! A service that tries one deed, for the tests of the barriers.
//!
//! In comes a slice that names the lane and the deed; out goes one line of JSON on standard output
//! that says how the deed went. Called as `barred dirty`, it first puts itself into the state that
//! a careless starter leaves behind, and then becomes `barred`.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::SigSet;
use nix::sys::stat::{Mode, umask};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::{execv, getpid};
use serde::{Deserialize, Serialize};
use terok_service::clients::{self, Connection, Drain};
use terok_service::{Failure, Inherited, Lane, Life, Sockets};
use terok_shared::handover::Common;
use terok_shared::service::Service;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("dirty") => match become_dirty() {
            Ok(never) => match never {},
            Err(why) => panic!("make a dirty start: {why}"),
        },
        _ => terok_service::run::<Barred>(),
    }
}

#[derive(Deserialize)]
struct Slice {
    #[serde(default)]
    read: Vec<PathBuf>,
    #[serde(default)]
    write: Vec<PathBuf>,
    #[serde(default)]
    execute: Vec<PathBuf>,
    #[serde(default)]
    dial: bool,
    /// Leaves it what this program needs to say how its deed went.
    #[serde(default)]
    few_calls: bool,
    deed: Deed,
}

/// What writing a line, freeing memory and ending take.
const FEW_CALLS: &[libc::c_long] = &[
    libc::SYS_write,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_sigaltstack,
    libc::SYS_exit_group,
    libc::SYS_ptrace,
];

#[derive(Deserialize)]
enum Deed {
    /// Says what it knows about itself.
    Report,
    Read(PathBuf),
    Write(PathBuf),
    /// Program and arguments; the outcome is its output.
    Execute(Vec<String>),
    DialTcp(SocketAddr),
    DialUnix(PathBuf),
    ListenTcp,
    /// Reads its own memory the way one reads another's.
    LookIntoMemory,
    /// Asks for the name of the system: a call that is nobody's barrier.
    NameTheSystem,
    /// Starts a thread before confinement.
    StartThread,
    /// Takes its time between opening and confinement.
    DawdleBeforeConfinement,
    /// Tells its pid and stays until killed.
    Stay,
    Serve {
        limit: usize,
    },
}

#[derive(Serialize)]
enum Outcome {
    Done(String),
    Refused(String),
    Report(Report),
}

/// A process after it was hardened, and what of it changed with confinement.
#[derive(Serialize)]
struct Report {
    /// /proc/self/status, before and after confinement.
    opened: String,
    confined: String,
    /// What each descriptor leads to.
    descriptors: Vec<PathBuf>,
    dumpable: bool,
    death_signal: Option<String>,
    core_limit: (u64, u64),
}

struct Barred {
    slice: Slice,
    inherited: Inherited,
    status: File,
    report: Report,
}

impl Life for Barred {
    const SERVICE: Service = Service::Signer;
    type Slice = Slice;

    fn open(slice: Slice, _: &Common, inherited: Inherited) -> Result<Self, Failure> {
        if matches!(slice.deed, Deed::StartThread) {
            thread::spawn(|| thread::sleep(Duration::from_secs(60)));
        }
        let report = Report {
            opened: fs::read_to_string("/proc/self/status")?,
            confined: String::new(),
            descriptors: descriptors()?,
            dumpable: prctl::get_dumpable()?,
            death_signal: prctl::get_pdeathsig()?.map(|signal| signal.to_string()),
            core_limit: getrlimit(Resource::RLIMIT_CORE)?,
        };
        Ok(Self { slice, inherited, status: File::open("/proc/self/status")?, report })
    }

    fn lane(&self) -> Lane {
        if matches!(self.slice.deed, Deed::DawdleBeforeConfinement) {
            thread::sleep(Duration::from_millis(300));
        }
        Lane {
            read: self.slice.read.clone(),
            write: self.slice.write.clone(),
            execute: self.slice.execute.clone(),
            sockets: if self.slice.dial { Sockets::Dial } else { Sockets::Inherited },
            calls: self.slice.few_calls.then_some(FEW_CALLS),
        }
    }

    fn serve(mut self) -> Result<(), Failure> {
        let outcome = match self.slice.deed {
            Deed::Serve { limit } => return answer_clients(self.inherited, limit),
            Deed::Report => {
                self.status.rewind()?;
                self.status.read_to_string(&mut self.report.confined)?;
                Outcome::Report(self.report)
            }
            Deed::Stay | Deed::DawdleBeforeConfinement => {
                say(&Outcome::Done(getpid().to_string()))?;
                thread::sleep(Duration::from_secs(60));
                return Ok(());
            }
            deed => match attempt(deed) {
                Ok(result) => Outcome::Done(result),
                Err(why) => Outcome::Refused(name(&why)),
            },
        };
        say(&outcome)
    }
}

fn attempt(deed: Deed) -> io::Result<String> {
    match deed {
        Deed::Read(path) => return fs::read_to_string(path),
        Deed::Write(path) => fs::write(path, "written")?,
        Deed::Execute(words) => {
            // Its own input serves: /dev/null is outside most lanes.
            let mut command = Command::new(&words[0]);
            let output = command.args(&words[1..]).stdin(Stdio::inherit()).output()?;
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Deed::DialTcp(address) => drop(TcpStream::connect(address)?),
        Deed::DialUnix(path) => drop(UnixStream::connect(path)?),
        Deed::ListenTcp => drop(TcpListener::bind("127.0.0.1:0")?),
        Deed::LookIntoMemory => {
            let (there, mut here) = ([7_u8; 1], [0_u8; 1]);
            let remote = RemoteIoVec { base: there.as_ptr() as usize, len: 1 };
            process_vm_readv(getpid(), &mut [io::IoSliceMut::new(&mut here)], &[remote])?;
        }
        Deed::NameTheSystem => drop(nix::sys::utsname::uname()?),
        _ => unreachable!("not a deed to attempt"),
    }
    Ok(String::new())
}

fn answer_clients(mut inherited: Inherited, limit: usize) -> Result<(), Failure> {
    let listener = inherited.listener()?;
    Ok(clients::block_on(clients::serve(listener, limit, answer))??)
}

/// `ping` is answered at once, `slow` twice with a pause between, `stubborn` never ends; whoever is
/// idle at the end hears `bye`.
async fn answer(connection: Connection, mut drain: Drain) {
    let mut connection = BufReader::new(connection);
    loop {
        let mut line = String::new();
        let read = tokio::select! {
            read = connection.read_line(&mut line) => read,
            () = drain.begun() => {
                let _ = connection.write_all(b"bye\n").await;
                return;
            }
        };
        if !matches!(read, Ok(1..)) {
            return;
        }
        let (reply, pause, end) = match line.trim_end() {
            "slow" => ("begun\n", 50, "done\n"),
            "stubborn" => ("begun\n", 60_000, "done\n"),
            "panic" => panic!("asked to"),
            _ => ("pong\n", 0, ""),
        };
        let _ = connection.write_all(reply.as_bytes()).await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let _ = connection.write_all(end.as_bytes()).await;
    }
}

fn descriptors() -> io::Result<Vec<PathBuf>> {
    fs::read_dir("/proc/self/fd")?.map(|entry| fs::read_link(entry?.path())).collect()
}

fn name(why: &io::Error) -> String {
    match why.raw_os_error() {
        Some(number) => format!("{:?}", nix::Error::from_raw(number)),
        None => why.to_string(),
    }
}

fn say(outcome: &Outcome) -> Result<(), Failure> {
    println!("{}", serde_json::to_string(outcome)?);
    Ok(())
}

/// Every signal blocked, core files allowed, nothing masked from new files, capabilities set to
/// survive; then the same program anew. (`Command` would reset the mask.)
fn become_dirty() -> Result<std::convert::Infallible, Failure> {
    SigSet::all().thread_block()?;
    umask(Mode::empty());
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
    setrlimit(Resource::RLIMIT_CORE, hard, hard)?;
    let permitted = caps::read(None, caps::CapSet::Permitted)?;
    caps::set(None, caps::CapSet::Inheritable, &permitted)?;
    caps::set(None, caps::CapSet::Ambient, &permitted)?;
    let program = CString::new(std::env::current_exe()?.into_os_string().into_encoded_bytes())?;
    Ok(execv(&program, &[&program])?)
}
