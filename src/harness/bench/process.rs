//! What a process has used, from /proc.

use std::{fs, io, time::Duration};

/// Processor time that a process has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cpu {
    /// In its own code.
    pub user: Duration,
    /// In the kernel on its behalf.
    pub system: Duration,
}

impl Cpu {
    /// Of a process, so far.
    ///
    /// # Errors
    /// It is gone.
    pub fn of(process_id: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{process_id}/stat"))?;
        // The second field is the name in parentheses and may hold anything; utime and stime are fields 14 and 15.
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        let mut fields = after.split_whitespace().skip(11);
        let mut next = || fields.next().and_then(|ticks| ticks.parse::<u32>().ok());
        let (user, system) = next()
            .zip(next())
            .ok_or_else(|| io::Error::other("unexpected /proc/PID/stat"))?;
        Ok(Self {
            user: ticks(user),
            system: ticks(system),
        })
    }

    /// Since an earlier reading.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }

    /// Both together.
    #[must_use]
    pub fn total(self) -> Duration {
        self.user + self.system
    }
}

/// Linux tells these times in hundredths of a second on every architecture of ours (`USER_HZ`).
fn ticks(count: u32) -> Duration {
    Duration::from_millis(10).saturating_mul(count)
}

/// Resident memory of a process, bytes.
///
/// # Errors
/// It is gone.
pub fn resident_bytes(process_id: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process_id}/status"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| {
            rest.trim()
                .trim_end_matches(" kB")
                .trim()
                .parse::<u64>()
                .ok()
        })
        .map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other("unexpected /proc/PID/status"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_processor_and_memory() {
        let own = std::process::id();
        let before = Cpu::of(own).unwrap();
        let started = std::time::Instant::now();
        let mut sum = 0_u64;
        while started.elapsed() < Duration::from_millis(40) {
            sum = std::hint::black_box(sum.wrapping_mul(31) + 1);
        }
        assert!(Cpu::of(own).unwrap().since(before).total() >= Duration::from_millis(10));
        assert!(resident_bytes(own).unwrap() > 100_000);
    }
}
