//! The rows of a census, decoded as they come.

use anyhow::{Context as _, Result, ensure};
use tcptrace_common::Wire;
use tcptrace_common::census::{CensusMemory, CensusRow, census_flag};
use tcptrace_common::row::{HolderRow, NamespaceRow, RowHeader, kind};

use super::Counted;

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// A socket of a namespace's table.
    Socket(Counted),
    /// A descriptor for a socket.
    Held(HolderRow, Counted),
    /// A network namespace.
    Namespace(NamespaceRow),
}

/// Makes rows of pieces that may end anywhere.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The beginning of a row whose end has not come yet.
    rest: Vec<u8>,
}

impl Decoder {
    /// Gives `each` every row that the next piece completes.
    ///
    /// # Errors
    ///
    /// When the bytes are no sequence of rows.
    pub fn feed(&mut self, piece: &[u8], mut each: impl FnMut(Row)) -> Result<()> {
        if self.rest.is_empty() {
            self.rest = decode(piece, &mut each)?.to_vec();
            return Ok(());
        }
        self.rest.extend_from_slice(piece);
        let whole = std::mem::take(&mut self.rest);
        self.rest = decode(&whole, &mut each)?.to_vec();
        Ok(())
    }

    /// Ends the sequence.
    ///
    /// # Errors
    ///
    /// When a row has no end.
    pub fn finish(self) -> Result<()> {
        ensure!(self.rest.is_empty(), "a row is cut short");
        Ok(())
    }
}

/// Decodes the rows at the beginning; returns what is left, the beginning of a row.
fn decode<'a>(mut bytes: &'a [u8], each: &mut impl FnMut(Row)) -> Result<&'a [u8]> {
    while let Some(header) = RowHeader::from_bytes(bytes) {
        let end = RowHeader::SIZE.saturating_add(header.length as usize);
        let longest = RowHeader::SIZE + HolderRow::SIZE + CensusRow::SIZE + CensusMemory::SIZE;
        ensure!(end <= longest, "a row of {} bytes is too long", header.length);
        let Some((row, rest)) = bytes.split_at_checked(end) else { break };
        if let Some(row) = row_of(header.kind, &row[RowHeader::SIZE..])? {
            each(row);
        }
        bytes = rest;
    }
    Ok(bytes)
}

/// `None`: of a kind or in a state that a newer kernel side knows.
fn row_of(kind: u32, mut body: &[u8]) -> Result<Option<Row>> {
    let row = match kind {
        kind::COUNTED => socket(&mut body)?.map(Row::Socket),
        kind::COUNTED_HOLDER => {
            let holder: HolderRow = take(&mut body)?;
            socket(&mut body)?.map(|socket| Row::Held(holder, socket))
        }
        kind::NAMESPACE => Some(Row::Namespace(take(&mut body)?)),
        _ => return Ok(None),
    };
    ensure!(body.is_empty(), "a row of kind {kind} is too long");
    Ok(row)
}

fn socket(body: &mut &[u8]) -> Result<Option<Counted>> {
    let row: CensusRow = take(body)?;
    let memory = match row.flags & census_flag::REMEMBERED {
        0 => None,
        _ => Some(take(body)?),
    };
    Ok(Counted::new(row, memory))
}

fn take<T: Wire>(bytes: &mut &[u8]) -> Result<T> {
    let value = T::from_bytes(bytes).context("a row is cut short")?;
    *bytes = &bytes[T::SIZE..];
    Ok(value)
}
