//! What the end-to-end tests are made of: network namespaces of their own, programs that
//! misbehave on purpose, the tool under test, and a second opinion from `ss` and `/proc`.
//!
//! Nothing here trusts the tool. A [`situation`] is staged by real processes, [`ss`] and
//! [`process`] say what the kernel thinks of it, and a [`case`] holds the report against that.

pub mod actor;
pub mod bpf;
pub mod bpf_call;
pub mod case;
pub mod churn;
pub mod clock;
pub mod crowd;
pub mod footprint;
pub mod forge;
pub mod frozen;
pub mod harmless;
pub mod host;
pub mod lines;
pub mod load;
pub mod netns;
pub mod process;
pub mod puppet;
pub mod scenario;
pub mod schema;
pub mod situation;
pub mod skip;
pub mod ss;
pub mod stacks;
pub mod stream;
pub mod tool;
pub mod view;
pub mod wait;
