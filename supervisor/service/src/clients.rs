//! Clients of a service: accepted on the inherited listener, bounded in number, drained at the end.

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getsockname};
use rustix::net::{SocketFlags, accept_with};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::LocalOptions;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// How long work in flight may go on after SIGTERM: the parent kills soon afterwards.
const DRAIN: Duration = Duration::from_millis(100);
/// Pause after an accept failed: what failed once will fail at once again.
const PAUSE: Duration = Duration::from_millis(50);

/// Inherited listening sockets, of either kind; their clients are alike.
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<Socket>,
    /// How long nobody may come before the service ends; the parent starts it again for the next.
    leave_after: Option<Duration>,
}

#[derive(Debug)]
struct Socket {
    family: Family,
    descriptor: OwnedFd,
}

#[derive(Clone, Copy, Debug)]
enum Family {
    Unix,
    Tcp,
}

impl Listener {
    pub fn new(sockets: impl IntoIterator<Item = OwnedFd>) -> io::Result<Self> {
        let sockets = sockets.into_iter().map(Socket::from_fd).collect::<io::Result<_>>()?;
        Ok(Self { sockets, leave_after: None })
    }

    /// Never ends for want of clients: for a service with a second way in, which would be closed
    /// with the first while somebody uses it.
    pub fn staying(self) -> Self {
        Self { leave_after: None, ..self }
    }

    pub(crate) fn leaving_after(self, leave_after: Option<Duration>) -> Self {
        Self { leave_after, ..self }
    }
}

impl Socket {
    fn from_fd(descriptor: OwnedFd) -> io::Result<Self> {
        use std::os::fd::AsRawFd;
        let address: SockaddrStorage = getsockname(descriptor.as_fd().as_raw_fd())?;
        let family = match address.family() {
            Some(AddressFamily::Unix) => Family::Unix,
            Some(AddressFamily::Inet | AddressFamily::Inet6) => Family::Tcp,
            other => return Err(io::Error::other(format!("listening socket of family {other:?}"))),
        };
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        Ok(Self { family, descriptor })
    }
}

/// One client's stream.
#[derive(Debug)]
pub enum Connection {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Tells a client's task that the service is about to end: finish and close.
#[derive(Clone, Debug)]
pub struct Drain(watch::Receiver<bool>);

impl Drain {
    /// Completes when draining begins, and at once afterwards.
    pub async fn begun(&mut self) {
        // A dropped sender means the same: the service is ending.
        let _ = self.0.wait_for(|begun| *begun).await;
    }
}

/// Runs `service` on a runtime of one thread, whose tasks may stay on it. A `LocalSet` would be a
/// scheduler of its own, woken each time that one client has something to do.
pub fn block_on<T>(service: impl Future<Output = T>) -> io::Result<T> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build_local(LocalOptions::default())?;
    Ok(runtime.block_on(service))
}

/// Accepts until SIGTERM, at most `limit` clients at a time (more wait in the kernel's queue),
/// then gives the ones in flight a moment to finish. Also ends when nobody came for as long as the
/// listener allows.
///
/// # Panics
/// On a runtime whose tasks may not stay on it, when the first client comes: see [`block_on`].
pub async fn serve<H, F>(listener: Listener, limit: usize, handle: H) -> io::Result<()>
where
    H: Fn(Connection, Drain) -> F,
    F: Future<Output = ()> + 'static,
{
    serve_while(listener, limit, || true, handle).await
}

/// As `serve`, and ends when a client comes while `is_fit` says no: the client was not accepted,
/// so it is the next process's, and nothing has to be watched while nobody comes.
///
/// # Panics
/// As `serve`.
pub async fn serve_while<H, F>(
    listener: Listener,
    limit: usize,
    is_fit: impl Fn() -> bool,
    handle: H,
) -> io::Result<()>
where
    H: Fn(Connection, Drain) -> F,
    F: Future<Output = ()> + 'static,
{
    let leave_after = listener.leave_after;
    let mut doors: Vec<Door> =
        listener.sockets.into_iter().map(Door::new).collect::<io::Result<_>>()?;
    let mut stop = signal(SignalKind::terminate())?;
    let places = Arc::new(Semaphore::new(limit));
    let (drain, draining) = watch::channel(false);
    let mut clients = JoinSet::new();
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            _ = stop.recv() => break,
        };
        let connection = tokio::select! {
            accepted = accept(&mut doors, &is_fit) => accepted,
            Some(_) = clients.join_next() => continue,
            () = patience(leave_after), if clients.is_empty() => break,
            _ = stop.recv() => break,
        };
        match connection {
            Ok(Some(connection)) => {
                let work = handle(connection, Drain(draining.clone()));
                clients.spawn_local(async move {
                    work.await;
                    drop(place);
                });
            }
            Ok(None) => break,
            Err(why) => {
                // The others are a client's doing, who must not fill the log.
                let level = if is_exhaustion(&why) { log::Level::Warn } else { log::Level::Debug };
                log::log!(level, "accept a client: {why}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(doors);
    drain.send_replace(true);
    let ended = async { while clients.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, ended).await;
    Ok(())
}

async fn patience(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

fn is_exhaustion(why: &io::Error) -> bool {
    matches!(why.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// A listening socket that says when somebody waits at it, before anybody is let in.
struct Door {
    family: Family,
    descriptor: AsyncFd<OwnedFd>,
}

impl Door {
    #[expect(deprecated, reason = "the successor needs `unsafe`; an `OwnedFd` is owned")]
    fn new(socket: Socket) -> io::Result<Self> {
        let descriptor = AsyncFd::with_interest(socket.descriptor, Interest::READABLE)?;
        Ok(Self { family: socket.family, descriptor })
    }

    fn accept(&self) -> io::Result<Connection> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let stream = accept_with(&self.descriptor, flags)?;
        match self.family {
            Family::Unix => UnixStream::from_std(stream.into()).map(Connection::Unix),
            Family::Tcp => {
                let stream = TcpStream::from_std(stream.into())?;
                // Small answers must not wait for a full segment.
                stream.set_nodelay(true)?;
                Ok(Connection::Tcp(stream))
            }
        }
    }

    /// The next client; none is let in, and `None` given back, when `is_fit` says no.
    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        is_fit: &impl Fn() -> bool,
    ) -> Poll<io::Result<Option<Connection>>> {
        loop {
            let mut ready = ready!(self.descriptor.poll_read_ready(cx))?;
            if !is_fit() {
                return Poll::Ready(Ok(None));
            }
            if let Ok(accepted) = ready.try_io(|_| self.accept()) {
                return Poll::Ready(accepted.map(Some));
            }
        }
    }
}

/// The next client of any door; each in turn is asked first, so that none starves another.
async fn accept(doors: &mut [Door], is_fit: &impl Fn() -> bool) -> io::Result<Option<Connection>> {
    doors.rotate_left(1);
    poll_fn(|cx| {
        let mut accepted = doors.iter().map(|door| door.poll_accept(cx, is_fit));
        accepted.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}

/// For what only the kernel knows about the other end.
impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
