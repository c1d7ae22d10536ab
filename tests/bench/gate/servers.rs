//! Four ways to one bare repository.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::gate::{PROJECT, World, eventually};
use crate::repository;

pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    children: Vec<Child>,
}

impl Server {
    /// In this order: file, daemon, nginx, gate.
    pub(crate) fn start_all(world: &World) -> Vec<Self> {
        vec![
            Self {
                name: "file://",
                url: format!("file://{}", world.mirror().display()),
                children: vec![],
            },
            daemon(world),
            nginx(world),
            Self { name: "gate", url: world.url(), children: vec![] },
        ]
    }

    pub(crate) fn is_gate(&self) -> bool {
        self.name == "gate"
    }
}

fn daemon(world: &World) -> Server {
    let port = free_port();
    let base = world.base();
    let child = repository::git(world.root(), &["daemon", "--reuseaddr", "--export-all"])
        .arg(format!("--base-path={}", base.display()))
        .args(["--enable=receive-pack", "--listen=127.0.0.1", &format!("--port={port}")])
        .arg(&base)
        .process_group(0)
        .spawn()
        .unwrap();
    let server = Server {
        name: "git daemon",
        url: format!("git://127.0.0.1:{port}/{PROJECT}.git"),
        children: vec![child],
    };
    eventually("git daemon listens", Duration::from_secs(5), || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    server
}

/// As git-http-backend(1) and the manuals of nginx have it, without buffering answers in files.
fn nginx(world: &World) -> Server {
    let (port, root) = (free_port(), world.root());
    let socket = root.join("fcgi.sock");
    let fcgiwrap = Command::new("fcgiwrap")
        .args(["-f", "-c", "8", "-s", &format!("unix:{}", socket.display())])
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("fcgiwrap is installed");
    let configuration = root.join("nginx.conf");
    fs::write(&configuration, configure(root, &world.base(), &socket, port)).unwrap();
    let nginx = Command::new("nginx")
        .arg("-c")
        .arg(&configuration)
        .arg("-p")
        .arg(root)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("nginx is installed");
    eventually("nginx listens", Duration::from_secs(5), || {
        TcpStream::connect(("127.0.0.1", port)).is_ok() && UnixStream::connect(&socket).is_ok()
    });
    Server {
        name: "nginx",
        url: format!("http://127.0.0.1:{port}/{PROJECT}.git"),
        children: vec![nginx, fcgiwrap],
    }
}

fn configure(root: &Path, base: &Path, socket: &Path, port: u16) -> String {
    let user = if nix::unistd::geteuid().is_root() { "user root;" } else { "" };
    format!(
        "{user} daemon off; worker_processes 2; pid {root}/nginx.pid; error_log {root}/nginx.log;
         events {{ worker_connections 256; }}
         http {{
           access_log off; sendfile on; tcp_nopush on; client_max_body_size 0;
           client_body_temp_path {root}/t1; fastcgi_temp_path {root}/t2; proxy_temp_path {root}/t3;
           uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
           server {{
             listen 127.0.0.1:{port};
             location / {{
               fastcgi_pass unix:{socket};
               fastcgi_buffering off;
               fastcgi_read_timeout 600;
               fastcgi_param SCRIPT_FILENAME {backend};
               fastcgi_param GIT_HTTP_EXPORT_ALL '';
               fastcgi_param GIT_PROJECT_ROOT {base};
               fastcgi_param PATH_INFO $uri;
               fastcgi_param QUERY_STRING $query_string;
               fastcgi_param REQUEST_METHOD $request_method;
               fastcgi_param CONTENT_TYPE $content_type;
               fastcgi_param CONTENT_LENGTH $content_length;
               fastcgi_param GIT_PROTOCOL $http_git_protocol;
               fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
               fastcgi_param REMOTE_USER bench;
             }}
           }}
         }}\n",
        root = root.display(),
        base = base.display(),
        socket = socket.display(),
        backend = backend(),
    )
}

fn backend() -> String {
    let said = repository::git(Path::new("/"), &["--exec-path"]).output().unwrap().stdout;
    format!("{}/git-http-backend", String::from_utf8(said).unwrap().trim())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Each has workers, and leads a group of its own.
            let group = nix::unistd::Pid::from_raw(child.id() as i32);
            let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGTERM);
            let _ = child.wait();
        }
    }
}
