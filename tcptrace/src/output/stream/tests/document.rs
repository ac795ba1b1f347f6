//! `docs/json.md` against the code; the tables of all objects are held by the same test.

use super::*;
use crate::lifecycle::end::End;
use crate::output::json::document::{assert_documented, documented};

#[test]
fn each_transition_is_as_documented() {
    let text = shown(Json::new(), &all());
    let (summary, transitions) = text.trim_end().rsplit_once('\n').map(|(a, b)| (b, a)).unwrap();
    for line in transitions.lines() {
        let object: Map<String, Value> = serde_json::from_str(line).unwrap();
        assert_documented(&object, "transition");
    }
    assert_documented(&serde_json::from_str(summary).unwrap(), "summary of stream");
}

#[test]
fn the_sample_leaves_no_field_unchecked() {
    let text = shown(Json::new(), &all());
    let objects: Vec<Map<String, Value>> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for name in objects[0].keys() {
        assert!(objects.iter().any(|object| !object[name].is_null()), "{name}");
    }
}

#[test]
fn each_end_is_documented_and_no_other() {
    assert_eq!(documented("ends"), End::ALL.map(End::token));
}
