//! Requests to stop. The first one ends the run after the draws in flight and leaves a checkpoint, the second ends the program.

use sngd::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc;

/// Listens for Ctrl-C and, on Unix, for SIGTERM and SIGHUP.
pub struct Interrupt {
    /// Set by the first request.
    pub stop: Arc<AtomicBool>,
    running: Arc<AtomicBool>,
    code: Arc<AtomicU8>,
}

impl Interrupt {
    /// Starts to listen.
    ///
    /// # Errors
    /// [`Error::Input`] where the system refuses.
    pub fn listen() -> Result<Interrupt, Error> {
        let interrupt = Interrupt {
            stop: Arc::default(),
            running: Arc::default(),
            code: Arc::default(),
        };
        let (stop, running, last) = (
            Arc::clone(&interrupt.stop),
            Arc::clone(&interrupt.running),
            Arc::clone(&interrupt.code),
        );
        let heard = move |code: u8| {
            last.store(code, Ordering::SeqCst);
            let idle = !running.load(Ordering::SeqCst);
            if stop.swap(true, Ordering::SeqCst) || idle {
                std::process::exit(i32::from(code));
            }
        };
        let (ready, listening) = mpsc::channel();
        let started = std::thread::Builder::new()
            .name("sngd-signals".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                match runtime {
                    Ok(runtime) => runtime.block_on(wait(heard, ready)),
                    Err(e) => drop(ready.send(Err(e))),
                }
            });
        let listening = started.and_then(|_| listening.recv().map_err(std::io::Error::other)?);
        listening.map_err(|e| Error::Input(format!("the handler of Ctrl-C cannot be set: {e}")))?;
        Ok(interrupt)
    }

    /// From here on a request ends the run, and no longer the program.
    pub fn running(&self) {
        self.running.store(true, Ordering::SeqCst);
    }

    /// From here on a request ends the program again.
    pub fn idle(&self) {
        self.running.store(false, Ordering::SeqCst);
    }

    /// Exit code of a run that was stopped: 128 and the number of the signal.
    pub fn code(&self) -> u8 {
        match self.code.load(Ordering::SeqCst) {
            0 => 130,
            code => code,
        }
    }
}

#[cfg(unix)]
async fn wait(heard: impl Fn(u8), ready: mpsc::Sender<std::io::Result<()>>) {
    use tokio::signal::unix::{SignalKind, signal};
    let all = || {
        Ok((
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            match hangup_is_ignored() {
                true => None,
                false => Some(signal(SignalKind::hangup())?),
            },
        ))
    };
    let (mut interrupt, mut terminate, mut hangup) = match all() {
        Ok(all) => all,
        Err(e) => return drop(ready.send(Err(e))),
    };
    let _ = ready.send(Ok(()));
    loop {
        let hung_up = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        let code = tokio::select! {
            _ = interrupt.recv() => 130,
            _ = terminate.recv() => 143,
            _ = hung_up => 129,
        };
        heard(code);
    }
}

/// Whether the program was started under `nohup`, so that the end of the terminal must not end it.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|l| l.strip_prefix("SigIgn:"));
    // SIGHUP is signal 1, the lowest bit.
    ignored.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|m| m & 1 == 1))
}

#[cfg(not(unix))]
async fn wait(heard: impl Fn(u8), ready: mpsc::Sender<std::io::Result<()>>) {
    let _ = ready.send(Ok(()));
    while tokio::signal::ctrl_c().await.is_ok() {
        heard(130);
    }
}
