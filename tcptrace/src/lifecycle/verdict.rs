//! The judgement on one socket: how long it has leaked and why.

use tcptrace_common::memory::{SocketMemory, Task, memory_flag};
use tcptrace_common::row::row_flag;
use tcptrace_common::tcp::{socket_state, state};

use super::age::Age;
use super::cause::Cause;
use super::history::Seen;
use super::jiffies::{Jiffies, ticks};
use super::rows::{Held, SocketNow};

/// Everything that is known of one leaking socket.
pub struct Case<'a> {
    /// The socket as the kernel has it.
    pub socket: &'a SocketNow,
    /// Its descriptors.
    pub holders: &'a [&'a Held],
    /// What earlier snapshots showed.
    pub seen: Option<Seen>,
    /// The rate of jiffies, where it is known.
    pub jiffies: Option<Jiffies>,
    /// Whether no process can be hidden from the tool; else nobody can say that nobody holds it.
    pub sees_all_processes: bool,
    /// Sending is over when nothing was sent for this long, ns.
    pub quiet_ns: u64,
}

impl Case<'_> {
    /// How long the socket has been in CLOSE_WAIT.
    #[must_use]
    pub fn close_wait_age(&self) -> Age {
        if let Some(age) = self.traced_age() {
            return Age::Exact(age);
        }
        let seen = self.seen_for();
        let (Some(since_ack), Some(since_data), Some(jiffies)) = (
            self.since(self.socket.row.last_ack_received),
            self.since(self.socket.row.last_data_received),
            self.jiffies,
        ) else {
            return seen.map_or(Age::Unknown, |min| Age::Between { min, max: None });
        };
        // The FIN counts as an acknowledgement and not as data; each stamp is a tick coarse.
        let min = since_ack.saturating_sub(jiffies.tick_ns()).max(seen.unwrap_or(0));
        Age::Between { min, max: Some((since_data + jiffies.tick_ns()).max(min)) }
    }

    /// How long a socket whose connection is over has leaked: since the peer's FIN, where that
    /// came first. Where neither was traced, nothing bounds it from below but earlier snapshots.
    #[must_use]
    pub fn dead_age(&self) -> Age {
        if let Some(age) = self.traced_age() {
            return Age::Exact(age);
        }
        let died = self.socket.current_memory().map(|memory| memory.since_ns);
        let died = died.filter(|since| *since != 0);
        let died = died.map(|since| self.socket.row.now_ns.saturating_sub(since));
        let min = died.max(self.seen_for()).filter(|age| *age > 0);
        match (min, self.dead_at_most()) {
            (Some(min), max) => Age::Between { min, max: max.map(|max| max.max(min)) },
            (None, Some(max)) => Age::AtMost(max),
            (None, None) => Age::Unknown,
        }
    }

    /// It was well when the last data came, or, if the peer never closed, the last
    /// acknowledgement.
    fn dead_at_most(&self) -> Option<u64> {
        let row = &self.socket.row;
        let well = if self.socket.has(row_flag::FIN_RECEIVED) {
            row.last_data_received
        } else {
            row.last_ack_received
        };
        Some(self.since(well)? + self.jiffies.map_or(0, Jiffies::tick_ns))
    }

    /// Whether the lower bound of the age says little, because the peer may have acknowledged
    /// since: a probe of keepalive, which comes only after its time of silence, or one of a window
    /// that stayed closed.
    #[must_use]
    pub fn is_lower_bound_weak(&self) -> bool {
        self.traced_age().is_none() && (self.may_have_probed() || self.is_known_stuck())
    }

    fn may_have_probed(&self) -> bool {
        let row = &self.socket.row;
        let silence = ticks(row.last_data_received, row.last_ack_received);
        self.socket.has(row_flag::KEEPALIVE) && silence > 0 && silence >= row.keepalive_after
    }

    /// An age as it may be said: without an upper bound where the kernel's stamps may have gone
    /// round since. That it is the remainder then does for a judgement, as it seldom is small.
    #[must_use]
    pub fn said(&self, age: Age) -> Age {
        let tells_all = self.jiffies.is_none_or(|own| own.tells_all(self.socket.row.jiffies));
        if tells_all { age } else { age.without_upper_bound() }
    }

    /// Whether an earlier snapshot shows that unsent data does not move.
    fn is_known_stuck(&self) -> bool {
        self.unsent() > 0 && self.seen.is_some() && self.is_stuck()
    }

    fn traced_age(&self) -> Option<u64> {
        let memory = self.socket.current_memory()?;
        let since = memory.leak_since_ns;
        (since != 0).then(|| self.socket.row.now_ns.saturating_sub(since))
    }

    fn seen_for(&self) -> Option<u64> {
        self.seen.map(|seen| self.socket.row.now_ns.saturating_sub(seen.since_ns))
    }

    /// Time since a stamp in jiffies, ns; `None` for a stamp that was never set.
    fn since(&self, stamp: u32) -> Option<u64> {
        let jiffies = self.jiffies.filter(|_| stamp != 0)?;
        Some(jiffies.since(stamp, self.socket.row.jiffies))
    }

    /// All causes that apply to a socket in CLOSE_WAIT, in order of precedence.
    #[must_use]
    pub fn close_wait_causes(&self) -> Vec<Cause> {
        let applies = |cause: &Cause| match cause {
            Cause::NeverAccepted => !self.socket.has(row_flag::HAS_SOCKET),
            Cause::HeldByKernel => {
                self.sees_all_processes && self.is_held_by_kernel() && self.was_unheld()
            }
            Cause::HeldByOther => self.is_held_by_other(),
            Cause::HalfClose => self.still_sends(),
            Cause::SendBlocked => self.unsent() > 0 && self.is_stuck() && !self.still_sends(),
            cause => self.was_read_so_far(*cause),
        };
        Cause::ALL.iter().copied().filter(applies).collect()
    }

    /// Whether a cause says how far the application has read, and says it right.
    fn was_read_so_far(&self, cause: Cause) -> bool {
        let queue = self.receive_queue();
        match cause {
            Cause::DataNotRead => queue > 1,
            Cause::EofNotRead => queue == 1,
            Cause::EofReadNotClosed => queue == 0 && self.witness().is_some(),
            Cause::FinConsumedNotClosed => queue == 0 && self.witness().is_none(),
            _ => false,
        }
    }

    /// All causes that apply to a socket whose connection is over, the verdict first.
    #[must_use]
    pub fn dead_causes(&self) -> Vec<Cause> {
        let verdict = if self.was_reset() { Cause::DeadReset } else { Cause::DeadClosed };
        let also = |cause: &Cause| match cause {
            Cause::HeldByOther => self.is_held_by_other(),
            cause => self.socket.has(row_flag::FIN_RECEIVED) && self.was_read_so_far(*cause),
        };
        let evidence = Cause::ALL.iter().copied().filter(also);
        [verdict].into_iter().chain(evidence).collect()
    }

    /// Whether this is a dead connection, and not a socket that never had one: a failed or never
    /// tried connect() leaves the same TCP state. A non-blocking connect() leaves the socket
    /// "connecting" for life, so there other traces of an established connection decide.
    #[must_use]
    pub fn was_connected(&self) -> bool {
        let row = &self.socket.row;
        let remembered = |flag| self.socket.memory.is_some_and(|memory| memory.flags & flag != 0);
        match row.socket_state {
            socket_state::CONNECTED => true,
            socket_state::CONNECTING | socket_state::DISCONNECTING => {
                remembered(memory_flag::ESTABLISHED)
                    || self.socket.has(row_flag::FIN_RECEIVED)
                    || row.last_data_received != 0
            }
            _ => false,
        }
    }

    /// The pending error is lost to the first read; what was remembered at the transition is not.
    /// Without either, a connection that ended without a FIN from the peer was reset.
    fn was_reset(&self) -> bool {
        let remembered = self.socket.current_memory();
        let fin_received = self.socket.has(row_flag::FIN_RECEIVED);
        self.socket.row.error != 0
            || remembered.map_or(!fin_received, |memory| memory.end_error != 0 || !fin_received)
    }

    /// Bytes that the application has not read, the FIN counted as one, as `ss` does.
    #[must_use]
    pub fn receive_queue(&self) -> u32 {
        self.socket.row.rcv_nxt.wrapping_sub(self.socket.row.copied_seq)
    }

    /// Bytes that the peer has not acknowledged.
    #[must_use]
    pub fn unsent(&self) -> u32 {
        self.socket.row.write_seq.wrapping_sub(self.socket.row.snd_una)
    }

    /// The read that returned end-of-file.
    #[must_use]
    pub fn witness(&self) -> Option<&SocketMemory> {
        self.socket.memory.as_ref().filter(|memory| memory.eof_ns != 0)
    }

    /// Who opened the connection.
    #[must_use]
    pub fn opener(&self) -> Option<&Task> {
        self.socket.memory.as_ref().map(|memory| &memory.opener).filter(|task| task.pid != 0)
    }

    /// Whether the kernel knows a socket that no process has a descriptor for.
    #[must_use]
    pub fn is_held_by_kernel(&self) -> bool {
        self.socket.has(row_flag::HAS_SOCKET) && self.holders.is_empty()
    }

    /// Whether the snapshot before this one showed the same: so the socket was not merely
    /// accepted, or its descriptor moved, while the descriptors were looked at.
    fn was_unheld(&self) -> bool {
        self.seen.is_some_and(|seen| seen.was_unheld)
    }

    fn is_held_by_other(&self) -> bool {
        let Some(opener) = self.opener() else { return false };
        !self.holders.is_empty() && !self.is_held_by(opener) && !self.is_used_by_holder()
    }

    /// Whether a process has a descriptor.
    fn is_held_by(&self, task: &Task) -> bool {
        let is = |held: &&Held| held.task.pid == task.pid && held.task.start_ns == task.start_ns;
        self.holders.iter().any(is)
    }

    /// Whether one of the holders read the end: then it is the one that was meant to have it, as
    /// in a server that forks for each connection.
    fn is_used_by_holder(&self) -> bool {
        self.witness().is_some_and(|memory| self.is_held_by(&memory.eof_reader))
    }

    /// Whether end-of-file was consumed and data still goes out and arrives.
    fn still_sends(&self) -> bool {
        let row = &self.socket.row;
        self.receive_queue() == 0
            && self.sent_since_fin()
            && self.since(row.last_data_sent).is_some_and(|quiet| quiet < self.quiet_ns)
            && (self.unsent() == 0 || self.seen.is_some_and(|seen| seen.snd_una != row.snd_una))
    }

    fn sent_since_fin(&self) -> bool {
        let row = &self.socket.row;
        match self.socket.current_memory().filter(|memory| memory.since_ns != 0) {
            Some(memory) => row.write_seq != memory.write_seq_at_fin,
            // The FIN came longer ago than the age's lower bound: what was sent later, came after.
            None => {
                let sent = self.since(row.last_data_sent);
                sent.is_some_and(|sent| self.close_wait_age().at_least() > Some(sent))
            }
        }
    }

    /// Whether no earlier snapshot contradicts that nothing gets through.
    fn is_stuck(&self) -> bool {
        self.seen.is_none_or(|seen| seen.snd_una == self.socket.row.snd_una)
    }

    /// Whether a second snapshot would tell more: whether unsent data moves, whether a socket
    /// without a descriptor was merely accepted in between, whether one that sent a moment ago
    /// still sends.
    #[must_use]
    pub fn needs_second_look(&self) -> bool {
        let is_new = self.seen.is_none();
        let newly_unheld = self.is_held_by_kernel() && !self.was_unheld();
        self.socket.row.state == state::CLOSE_WAIT
            && (newly_unheld || (is_new && (self.unsent() > 0 || self.may_still_send())))
    }

    /// Whether data was sent lately, and whether that was after the FIN is not known.
    fn may_still_send(&self) -> bool {
        self.receive_queue() == 0
            && self.traced_age().is_none()
            && self.since(self.socket.row.last_data_sent).is_some_and(|age| age < self.quiet_ns)
    }
}

#[cfg(test)]
mod tests;
