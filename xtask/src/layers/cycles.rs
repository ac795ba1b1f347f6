//! Circles: modules that need one another to be understood.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::scan::ModulePath;
use super::tree::{Inside, Place};

/// For each module what it uses, and where it first says so.
type Graph<'a> = BTreeMap<&'a ModulePath, BTreeMap<&'a ModulePath, &'a Place>>;

/// One line for each circle: the shortest one through the first module of it.
pub fn describe(uses: &[Inside]) -> Vec<String> {
    let graph = graph(uses);
    let mut explained = BTreeSet::new();
    let mut lines = Vec::new();
    for &start in graph.keys() {
        if explained.contains(start) {
            continue;
        }
        if let Some(circle) = shortest_circle(&graph, start) {
            lines.push(line(&graph, &circle));
            explained.extend(circle);
        }
    }
    lines
}

fn graph(uses: &[Inside]) -> Graph<'_> {
    let mut graph = Graph::new();
    for used in uses {
        graph.entry(&used.from).or_default().entry(&used.to).or_insert(&used.place);
    }
    graph
}

/// The shortest way from a module back to itself.
fn shortest_circle<'a>(graph: &Graph<'a>, start: &'a ModulePath) -> Option<Vec<&'a ModulePath>> {
    let mut came_from: BTreeMap<&ModulePath, &ModulePath> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(module) = queue.pop_front() {
        for &next in graph.get(module).into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                return Some(way_back(&came_from, module));
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, module);
                queue.push_back(next);
            }
        }
    }
    None
}

/// The modules from the start to `last`, in order.
fn way_back<'a>(
    came_from: &BTreeMap<&'a ModulePath, &'a ModulePath>,
    last: &'a ModulePath,
) -> Vec<&'a ModulePath> {
    let mut way = vec![last];
    while let Some(before) = way.last().and_then(|module| came_from.get(*module)) {
        way.push(before);
    }
    way.reverse();
    way
}

fn line(graph: &Graph<'_>, circle: &[&ModulePath]) -> String {
    let mut text = "modules in a circle:".to_owned();
    let next = circle.iter().cycle().skip(1);
    for (from, to) in circle.iter().zip(next) {
        let place = graph.get(*from).and_then(|uses| uses.get(*to));
        let at = place.map(|place| format!("{}:{}", place.file, place.line)).unwrap_or_default();
        text.push_str(&format!(" {} → {} ({at})", name(from), name(to)));
    }
    text
}

fn name(path: &ModulePath) -> String {
    if path.is_empty() { "lib".to_owned() } else { path.join("::") }
}
