//! Makes the first inputs of some targets from a real recording: `cargo run -p tcptrace-fuzz
//! --example seeds -- RECORDING`. What cannot be had from one (stacks, requests of a census) is made
//! up as the kernel side would write it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tcptrace::source::recording::{Item, Reader};
use tcptrace_common::Wire;
use tcptrace_common::census::{CensusMemory, CensusRow, census_flag};
use tcptrace_common::memory::Task;
use tcptrace_common::row::{HolderRow, NamespaceRow, RowHeader, kind, row_flag};
use tcptrace_common::stack::{MAX_FRAMES, MAX_PYTHON, PythonFrame, StackHeader, end};
use tcptrace_common::unwind::Frame;

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("give a recording")?;
    let recording = fs::read(path)?;
    keep("recording", "real", &recording)?;
    for (index, part) in [1, 3].into_iter().enumerate() {
        keep("recording", &format!("cut-{index}"), &recording[..recording.len() * part / 4])?;
    }
    keep("frames", "real", &frames(&recording)?)?;
    let mut reader = Reader::new(&recording[..])?;
    let mut looks = 0;
    while let Some(item) = reader.next_item()? {
        match item {
            Item::Records(records) => {
                for (index, record) in records.iter().enumerate().take(24) {
                    keep("record", &format!("real-{index}"), record.as_bytes())?;
                }
            }
            Item::Look(look) => {
                let rows = rows(&look.look.rows);
                keep("rows", &format!("real-{looks}"), &[&b"\x05a\x1b\xffbc"[..], &rows].concat())?;
                keep("census", &format!("real-{looks}"), &census(&look.look.rows))?;
                looks += 1;
            }
            Item::Counted(_) | Item::Census { .. } => {}
        }
    }
    keep("stack", "walked-on", &stack(end::NO_RULE, 3))?;
    keep("stack", "complete", &stack(end::COMPLETE, 0))?;
    keep("stack", "announcement", &stack(end::PYTHON_STARTS, 0))
}

fn keep(target: &str, name: &str, bytes: &[u8]) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    let path: PathBuf = folder.join(name);
    fs::write(&path, bytes).with_context(|| path.display().to_string())
}

/// The frames of a recording as the target `frames` takes them.
fn frames(recording: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = recording.get(16..).context("no frames")?;
    while let Some((head, tail)) = rest.split_at_checked(24) {
        let number =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (stored, length) = (number(8) as usize, number(12) as usize);
        let (body, behind) = tail.split_at_checked(stored).context("a frame is cut short")?;
        let body = if head[1] == 1 { zstd::bulk::decompress(body, length)? } else { body.to_vec() };
        out.push(head[0]);
        out.extend_from_slice(&u16::try_from(body.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(&body);
        rest = behind;
    }
    Ok(out)
}

fn row(kind: u32, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let header = RowHeader { kind, length: u32::try_from(body.len()).unwrap_or_default() };
    [header.as_bytes(), &body[..]].concat()
}

fn rows(rows: &tcptrace::lifecycle::rows::Rows) -> Vec<u8> {
    let mut out = Vec::new();
    let socket = |socket: &tcptrace::lifecycle::rows::SocketNow| {
        let memory = socket.memory.filter(|_| socket.row.flags & row_flag::REMEMBERED != 0);
        let memory = memory.map_or(Vec::new(), |memory| memory.as_bytes().to_vec());
        [socket.row.as_bytes(), &memory[..]].concat()
    };
    for held in &rows.held {
        let holder = HolderRow { task: held.task, fd: held.fd, ..HolderRow::default() };
        out.extend(row(kind::HOLDER, &[holder.as_bytes(), &socket(&held.socket)]));
    }
    for own in &rows.sockets {
        out.extend(row(kind::SOCKET, &[&socket(own)]));
    }
    let namespace = NamespaceRow { id: 7, netns: 4_026_531_840, ..NamespaceRow::default() };
    out.extend(row(kind::NAMESPACE, &[namespace.as_bytes()]));
    out
}

/// The same sockets as a census shows them; the first byte says where the bytes are cut in two.
fn census(rows: &tcptrace::lifecycle::rows::Rows) -> Vec<u8> {
    let mut out = vec![100];
    let of = |now: &tcptrace::lifecycle::rows::SocketNow| CensusRow {
        cookie: now.row.cookie,
        inode: now.row.inode,
        tuple: now.row.tuple,
        netns: now.row.netns,
        state: now.row.state,
        flags: census_flag::HAS_SOCKET,
        ..CensusRow::default()
    };
    for held in &rows.held {
        let holder = HolderRow { task: held.task, fd: held.fd, ..HolderRow::default() };
        let own = of(&held.socket);
        out.extend(row(kind::COUNTED_HOLDER, &[holder.as_bytes(), own.as_bytes()]));
        let memory =
            CensusMemory { opener: held.task, state: own.state, ..CensusMemory::default() };
        let own = CensusRow { flags: own.flags | census_flag::REMEMBERED, ..own };
        out.extend(row(kind::COUNTED, &[own.as_bytes(), memory.as_bytes()]));
    }
    let mini = CensusRow { state: 6, flags: census_flag::MINI_SOCKET, ..CensusRow::default() };
    out.extend(row(kind::COUNTED, &[mini.as_bytes()]));
    out
}

fn stack(end: u32, python: u32) -> Vec<u8> {
    let (pc, sp) = (0x5555_5555_4321, 0x7ffc_0000_1000);
    let words: Vec<u64> = (0..64).map(|index| sp + 16 * index).collect();
    let copy: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let header = StackHeader {
        id: 77,
        task: Task { pid: 4242, comm: *b"shop\0\0\0\0\0\0\0\0\0\0\0\0", ..Task::default() },
        tgid: 4242,
        end,
        frames: 2,
        python,
        copied: u32::try_from(copy.len()).unwrap_or_default(),
        frontier: Frame { pc, sp, bp: sp + 64, ..Frame::default() },
        ..StackHeader::default()
    };
    let mut out = header.as_bytes().to_vec();
    out.extend([0x7fff_f7d2_0001_u64, pc].iter().flat_map(|pc| pc.to_le_bytes()));
    out.resize(StackHeader::SIZE + 8 * MAX_FRAMES, 0);
    for index in 0..u64::from(python) {
        let frame = PythonFrame { code: sp + index, instruction: sp + 200 };
        out.extend_from_slice(frame.as_bytes());
    }
    out.resize(StackHeader::SIZE + 8 * MAX_FRAMES + PythonFrame::SIZE * MAX_PYTHON, 0);
    out.extend(copy);
    out
}
