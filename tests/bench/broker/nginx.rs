//! Debian's nginx, twice in the part of the proxy and once in that of the upstream.
//!
//! One worker without a master, its defaults otherwise: what `apt-get install nginx` gives, with
//! connections to the upstream kept alive. Its log is a line per request, as is our audit.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::contender::Contender;
use crate::process::Process;
use crate::{BODIES, OTHERS_CPU, PROXY_CPU};

const PROGRAM: &str = "/usr/sbin/nginx";

/// What nginx needs to pass pieces on as they come.
const UNBUFFERED: &str =
    "proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off;";

pub(crate) fn is_installed() -> bool {
    Path::new(PROGRAM).exists()
}

/// Files of the sizes measured, and a way through to the source of events on that port.
pub(crate) fn upstream(place: &Path, events_port: u16) -> Contender {
    let files = place.join("files");
    fs::create_dir_all(&files).unwrap();
    for (_, bytes) in BODIES {
        fs::write(files.join(bytes.to_string()), vec![b'x'; bytes]).unwrap();
    }
    let server = format!(
        "location / {{ root {}; }}\n\
         location /events {{ proxy_pass http://127.0.0.1:{events_port}; {UNBUFFERED} }}",
        files.display()
    );
    start(place, "direct", "access_log off;", &server, OTHERS_CPU)
}

/// A reverse proxy that adds one header.
pub(crate) fn proxy(
    place: &Path,
    name: &'static str,
    logs: bool,
    upstream: SocketAddr,
) -> Contender {
    let log = match logs {
        true => format!("access_log {};", place.join("access.log").display()),
        false => "access_log off;".to_owned(),
    };
    let common = "proxy_set_header Connection \"\"; \
                  proxy_set_header Authorization \"Bearer real-credential\";";
    let server = format!(
        "location / {{ proxy_pass http://upstream; proxy_http_version 1.1; {common} }}\n\
         location /events {{ proxy_pass http://upstream; {UNBUFFERED} {common} }}"
    );
    let http = format!(
        "{log} upstream upstream {{ server {upstream}; keepalive 64; \
         keepalive_requests 1000000; }}"
    );
    start(place, name, &http, &server, PROXY_CPU)
}

#[expect(clippy::zombie_processes, reason = "ended with the benchmark, by their ids")]
fn start(place: &Path, name: &'static str, http: &str, server: &str, cpu: usize) -> Contender {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let own = place.join(name.replace([' ', ','], "-"));
    fs::create_dir_all(&own).unwrap();
    let socket = own.join("nginx.sock");
    let (dir, socket_text) = (own.display(), socket.display());
    let configuration = format!(
        "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;\n\
         fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;\n\
         sendfile on; tcp_nopush on; keepalive_requests 1000000; types {{ }}\n\
         default_type application/octet-stream;\n{http}\n\
         server {{ listen unix:{socket_text}; listen {tcp};\n{server} }} }}\n"
    );
    let file = own.join("nginx.conf");
    fs::write(&file, configuration).unwrap();
    let child = Command::new("taskset")
        .args(["-c", &cpu.to_string(), PROGRAM, "-c"])
        .arg(&file)
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let process = Process(child.id());
    Contender { name, unix: (socket, process), tcp: (tcp, process) }.opened()
}
