//! A recording event by event, for commands that are about what happened.

use std::borrow::Cow;
use std::io::Read;
use std::vec;

use anyhow::Result;
use tcptrace_common::record::TransitionRecord;
use tcptrace_common::tcp::state;

use super::header::Header;
use super::reader::{Item, Reader};
use crate::lifecycle::census::Counted;
use crate::lifecycle::event::Event;
use crate::lifecycle::look::Look;
use crate::lifecycle::rows::SocketNow;

/// What a recording tells, one thing after the other.
#[derive(Clone, Debug)]
pub enum Moment {
    /// Something happened.
    Event(Event),
    /// Some sockets of the next census. The first of these says that it begins.
    Counted(Vec<Counted>),
    /// The census is whole; it was over at `now_ns` on the monotonic clock.
    Census {
        /// When, ns.
        now_ns: u64,
    },
    /// Somebody looked for leaks.
    Look {
        /// When, ns, monotonic clock.
        now_ns: u64,
        /// The dead sockets that were found, once for each descriptor.
        dead: Vec<SocketNow>,
    },
}

impl Moment {
    /// When it was, ns, monotonic clock; `None`: sockets are counted one after the other.
    #[must_use]
    pub fn time_ns(&self) -> Option<u64> {
        match self {
            Self::Event(Event::Transition(transition)) => Some(transition.record.time_ns),
            Self::Census { now_ns } | Self::Look { now_ns, .. } => Some(*now_ns),
            Self::Counted(_) => None,
        }
    }
}

/// What a recording tells, events in the order in which the kernel side wrote them. Stops at the
/// first error.
#[derive(Debug)]
pub struct Events<R> {
    reader: Reader<R>,
    batch: vec::IntoIter<TransitionRecord>,
    wall_offset_ns: u64,
    lost: Vec<(Cow<'static, str>, u64)>,
    is_over: bool,
}

impl<R: Read> Events<R> {
    /// Those of a recording that was not read from yet.
    #[must_use]
    pub fn new(reader: Reader<R>) -> Self {
        let wall_offset_ns = reader.header.wall_offset_ns();
        let batch = Vec::new().into_iter();
        Self { reader, batch, wall_offset_ns, lost: Vec::new(), is_over: false }
    }

    /// What the recording says of itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.reader.header
    }

    /// Wall clock minus monotonic clock, ns, at the latest look before the event that came last: add
    /// it to the time of a record.
    #[must_use]
    pub fn wall_offset_ns(&self) -> u64 {
        self.wall_offset_ns
    }

    /// What the kernel side had lost by the latest look before the event that came last: frozen
    /// token and count. Once there are no more events: by the end.
    #[must_use]
    pub fn lost(&self) -> &[(Cow<'static, str>, u64)] {
        &self.lost
    }

    fn next_moment(&mut self) -> Result<Option<Moment>> {
        loop {
            if let Some(record) = self.batch.next() {
                let transition = record.try_into()?;
                return Ok(Some(Moment::Event(Event::Transition(transition))));
            }
            return Ok(match self.reader.next_item()? {
                Some(Item::Records(records)) => {
                    self.batch = records.into_iter();
                    continue;
                }
                Some(Item::Look(recorded)) => Some(self.look(recorded.look)),
                Some(Item::Counted(sockets)) => Some(Moment::Counted(sockets)),
                Some(Item::Census { now_ns }) => Some(Moment::Census { now_ns }),
                None => None,
            });
        }
    }

    fn look(&mut self, look: Look) -> Moment {
        self.wall_offset_ns = look.question.wall_offset_ns;
        self.lost = look.lost;
        let held = look.rows.held.into_iter().map(|held| held.socket);
        let dead = held.filter(|socket| socket.row.state == state::CLOSE);
        Moment::Look { now_ns: look.now_ns, dead: dead.collect() }
    }
}

impl<R: Read> Iterator for Events<R> {
    type Item = Result<Moment>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.next_moment().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}
