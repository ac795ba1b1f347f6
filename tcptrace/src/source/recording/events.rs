//! The records of a recording alone, for commands that are about what happened.

use std::borrow::Cow;
use std::io::Read;
use std::vec;

use anyhow::Result;
use tcptrace_common::Wire as _;
use tcptrace_common::record::TransitionRecord;

use super::header::Header;
use super::reader::{Item, Reader};
use crate::lifecycle::event::{self, Event};

/// Decoded records in the order in which the kernel side wrote them. Stops at the first error.
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

    fn next_event(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(record) = self.batch.next() {
                return event::decode(&mut record.as_bytes()).map(Some);
            }
            match self.reader.next_item()? {
                Some(Item::Records(records)) => self.batch = records.into_iter(),
                Some(Item::Look(recorded)) => {
                    self.wall_offset_ns = recorded.look.question.wall_offset_ns;
                    self.lost = recorded.look.lost;
                }
                None => return Ok(None),
            }
        }
    }
}

impl<R: Read> Iterator for Events<R> {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.next_event().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}
