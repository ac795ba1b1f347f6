//! `/proc/PID/cgroup`: where a process is put, and the container that the path shows.

use std::path::Path;

use super::read;
use crate::lifecycle::text;

/// A dozen lines; paths can be long.
const CGROUP_BYTES: u64 = 64 * 1024;
/// Length of the ids that container runtimes give.
const ID_LENGTH: usize = 64;

/// Where a process is put.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Path in the hierarchy that says most.
    pub path: Option<String>,
    /// Container id.
    pub container: Option<String>,
}

/// Where the process is. `dir` is its directory in `/proc`.
#[must_use]
pub fn read(dir: &Path) -> Option<Place> {
    Some(parse(&read::bytes(&dir.join("cgroup"), CGROUP_BYTES)?))
}

/// Lines are `ID:CONTROLLERS:PATH`. The unified hierarchy (`0::PATH`) comes first, then systemd's
/// own, then any other; one that says more than `/` goes before one that does not.
#[must_use]
pub fn parse(cgroup: &[u8]) -> Place {
    let mut lines: Vec<(u8, String)> =
        cgroup.split(|byte| *byte == b'\n').filter_map(line).collect();
    lines.sort_by_key(|(rank, path)| (path == "/", *rank));
    let container = lines.iter().find_map(|(_, path)| container(path));
    Place { path: lines.into_iter().next().map(|(_, path)| path), container }
}

fn line(line: &[u8]) -> Option<(u8, String)> {
    let mut parts = line.splitn(3, |byte| *byte == b':');
    let (hierarchy, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    if !path.starts_with(b"/") {
        return None;
    }
    let rank = match (hierarchy, controllers) {
        (b"0", b"") => 0,
        (_, b"name=systemd") => 1,
        _ => 2,
    };
    Some((rank, text::from_bytes(path)))
}

/// The innermost container that a path shows.
fn container(path: &str) -> Option<String> {
    let mut parent = "";
    let mut found = None;
    for segment in path.split('/') {
        found = id_of(parent, segment).or(found);
        parent = segment;
    }
    found.map(str::to_owned)
}

/// The container that one segment of a path names: `<id>`, `docker-<id>.scope`,
/// `cri-containerd-<id>.scope`, `…slice:cri-containerd:<id>`, `lxc.payload.NAME`, `lxc/NAME`. The
/// monitor beside a container (`libpod-conmon-<id>.scope`) is not in it.
fn id_of<'a>(parent: &str, segment: &'a str) -> Option<&'a str> {
    let name = segment.strip_suffix(".scope").unwrap_or(segment);
    let (prefix, id) = name.rsplit_once(['-', ':']).unwrap_or(("", name));
    if is_id(id) {
        return (!prefix.ends_with("conmon")).then_some(id);
    }
    let by_name = segment.strip_prefix("lxc.payload.");
    by_name.or((parent == "lxc").then_some(segment)).filter(|name| !name.is_empty())
}

fn is_id(text: &str) -> bool {
    text.len() == ID_LENGTH && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f2a9c0d1e4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1";
    const OTHER: &str = "00000000000000000000000000000000000000000000000000000000000000ff";

    fn place(cgroup: &str) -> (Option<String>, Option<String>) {
        let Place { path, container } = parse(cgroup.as_bytes());
        (path, container)
    }

    #[test]
    fn containers_of_many_runtimes() {
        for path in [
            format!("/docker/{ID}"),
            format!("/system.slice/docker-{ID}.scope"),
            format!("/kubepods/burstable/pod0d1e2f3a-1111-2222-3333-444455556666/{ID}"),
            format!("/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-{ID}.scope"),
            format!("/kubepods.slice/kubepods-besteffort.slice/crio-{ID}.scope"),
            format!("/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{ID}"),
            format!("/machine.slice/libpod-{ID}.scope/container"),
            format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"),
            format!("/docker/{OTHER}/docker/{ID}"),
            format!("/docker/{ID}/system.slice/nginx.service"),
            format!("/ecs/0123456789abcdef0123456789abcdef/{ID}"),
            format!("/docker/{ID} (deleted)/../docker/{ID}"),
        ] {
            assert_eq!(container(&path).as_deref(), Some(ID), "{path}");
        }
        assert_eq!(container("/lxc.payload.web1/init.scope").as_deref(), Some("web1"));
        assert_eq!(container("/lxc/web1").as_deref(), Some("web1"));
    }

    #[test]
    fn what_is_not_a_container_is_none() {
        for path in [
            "/".to_owned(),
            "/system.slice/nginx.service".to_owned(),
            "/user.slice/user-1000.slice/session-3.scope".to_owned(),
            format!("/machine.slice/libpod-conmon-{ID}.scope"),
            format!("/docker/{}", ID.to_uppercase()),
            format!("/docker/{ID}0"),
            "/lxc/".to_owned(),
            "/process_api/36510f68623efdb097dfb62884a5eea6".to_owned(),
        ] {
            assert_eq!(container(&path), None, "{path}");
        }
    }

    #[test]
    fn the_unified_hierarchy_comes_first() {
        let cgroup = "4:memory:/m\n1:name=systemd:/s\n0::/u\n";
        assert_eq!(place(cgroup).0.as_deref(), Some("/u"));
    }

    #[test]
    fn a_path_that_says_something_goes_before_the_root() {
        let hybrid = "4:memory:/m\n1:name=systemd:/s\n0::/\n";
        assert_eq!(place(hybrid).0.as_deref(), Some("/s"));
        let no_systemd = format!("9:name=systemd:/\n8:pids:/\n4:memory:/docker/{ID}\n0::/\n");
        assert_eq!(place(&no_systemd), (Some(format!("/docker/{ID}")), Some(ID.to_owned())));
        assert_eq!(place("8:pids:/\n0::/\n").0.as_deref(), Some("/"));
    }

    #[test]
    fn odd_lines_are_left_out() {
        assert_eq!(place(""), (None, None));
        assert_eq!(place("nonsense\n::\n1:2\n0::relative\n"), (None, None));
        let place = parse(b"0::/a\xff:b:c\n");
        assert_eq!(place.path.as_deref(), Some("/a\\xff:b:c"));
    }
}
