//! Which paths the targets go.

use super::target::Way;

/// Of `paths.c` to `listen()`: through a variable frame, an over-aligned one and a recursion.
pub const LISTENER: u32 = 0o231;

/// Of node: what libuv does by itself. The second time it is warm.
pub const NODE: [Way; 4] = [Way::Accept(0), Way::Eof(0), Way::Accept(0), Way::Eof(0)];

/// Of nginx: it has one way, which gives two events.
pub const NGINX: [Way; 3] = [Way::Accept(0); 3];

/// Of `paths.c`: every step alone, then one above the other.
pub fn c() -> Vec<Way> {
    let above =
        [0o11, 0o23, 0o33, 0o35, 0o45, 0o53, 0o57, 0o73, 0o77, 0o345, 0o4321, 0o7531, 0o7777];
    every(&[&[0, 1, 2, 3, 4, 5, 6, 7][..], &above].concat())
}

/// Of the programs that count in base 6.
pub fn others() -> Vec<Way> {
    every(&[0, 1, 2, 3, 4, 5, 8, 20, 35, 100, 215, 1000])
}

/// Hundreds of `paths.c`, all of them different: steps 0 and 6 are one and the same.
pub fn many() -> Vec<u32> {
    (1..0o1000).filter(|path| format!("{path:o}").chars().all(|digit| digit != '0')).collect()
}

fn every(paths: &[u32]) -> Vec<Way> {
    let kinds = |&path: &u32| [Way::Accept(path), Way::Connect(path), Way::Eof(path)];
    paths.iter().flat_map(kinds).collect()
}
