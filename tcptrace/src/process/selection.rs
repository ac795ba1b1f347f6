//! Whether the processes that the user asks for are there.

use std::path::Path;

use anyhow::{Result, bail};

use super::status;

/// Checks `--pid`.
///
/// # Errors
///
/// One of them is no process, or a thread of one.
pub fn check_pids(pids: &[u32]) -> Result<()> {
    for pid in pids {
        match status::thread_group(&Path::new("/proc").join(pid.to_string())) {
            None => bail!("--pid {pid}: no such process; `ps -e` lists those that run"),
            Some(group) if group != *pid => {
                bail!("--pid {pid}: a thread of process {group}; write --pid {group}")
            }
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_is_fine() {
        assert!(check_pids(&[1, std::process::id()]).is_ok());
        assert!(check_pids(&[]).is_ok());
    }

    #[test]
    fn an_unknown_process_is_an_error() {
        let error = check_pids(&[std::process::id(), 4_194_303]).unwrap_err().to_string();
        assert_eq!(error, "--pid 4194303: no such process; `ps -e` lists those that run");
    }

    #[test]
    fn a_thread_is_not_a_process() {
        std::thread::spawn(|| {
            // SAFETY: gettid takes nothing and cannot fail.
            let tid = unsafe { libc::gettid() }.cast_unsigned();
            let error = check_pids(&[tid]).unwrap_err().to_string();
            assert!(error.ends_with(&format!("write --pid {}", std::process::id())), "{error}");
        })
        .join()
        .unwrap();
    }
}
