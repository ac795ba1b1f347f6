//! Trails against the walks that they stand for, over stacks and rules made by chance.

use tcptrace_common::trail::{
    Comparison, Noting, RETURN, TRAIL_SPAN, TRAIL_WORDS, Trail, TrailKey,
};
use tcptrace_common::unwind::{Frame, Rule, Step, bp, cfa, ra, step};

use super::Random;

const SP: u64 = 0x7fff_0000;
const WORDS: usize = 48;
/// Program counters are few, so that many walks come to an end.
const PCS: u64 = 6;

/// A stack, the innermost frame, and a rule for each program counter.
#[derive(Clone)]
struct Scene {
    leaf: Frame,
    words: [u64; WORDS],
    rules: Vec<Rule>,
}

/// What a walk leaves, if anything.
type Kept = Option<(TrailKey, Trail)>;

impl Scene {
    fn random(random: &mut Random) -> Self {
        let mut rules: Vec<_> = (1..PCS).map(|_| rule(random)).collect();
        rules.push(Rule { cfa: cfa::END, ..Rule::default() });
        let words = std::array::from_fn(|_| word(random));
        let (pc, bp) = (1 + random.next() % PCS, word(random));
        Self { leaf: Frame { pc, sp: SP, bp, link: 0, is_leaf: 1 }, words, rules }
    }

    fn read(&self, address: u64) -> Option<u64> {
        let offset = address.checked_sub(SP)?;
        if offset % 8 != 0 {
            return None;
        }
        self.words.get(usize::try_from(offset / 8).ok()?).copied()
    }

    /// The program counters, where the walk comes to the outermost frame, and its trail.
    fn walk(&self) -> Option<(Vec<u64>, Kept)> {
        let (mut frame, mut pcs) = (self.leaf, vec![self.leaf.pc]);
        let mut trail = EMPTY;
        let mut noting = Noting::begin(&mut trail, TrailKey::new(&frame, 1), frame.bp);
        for _ in 0..100 {
            let rule = self.rules.get(usize::try_from(frame.pc).ok()?.checked_sub(1)?)?;
            let step = step(&frame, rule, |address| self.read(address));
            noting.note(&mut trail, &frame, rule, &step);
            match step {
                Step::Caller(caller) => frame = caller,
                Step::End => return Some((pcs, noting.end(&mut trail, 0).map(|key| (key, trail)))),
                Step::Unreadable | Step::Broken => return None,
            }
            pcs.push(frame.pc);
        }
        None
    }

    /// What the trail says of this stack: the program counters, where it holds.
    fn follow(&self, key: &TrailKey, trail: &Trail) -> Option<Vec<u64>> {
        let mut comparison = Comparison::begin(trail, &self.leaf);
        let mut pcs = vec![self.leaf.pc];
        for index in 0..trail.count as usize {
            let at = trail.at[index];
            assert!(8 * (Comparison::place(at) as u64) < u64::from(trail.span), "within the span");
            let found = self.words[Comparison::place(at)];
            comparison.compare(at, trail.words[index], found);
            if at & RETURN != 0 {
                pcs.push(found);
            }
        }
        comparison.holds(trail, key).then_some(pcs)
    }
}

const EMPTY: Trail = Trail {
    seal: 0,
    bp: 0,
    bp_mask: 0,
    span: 0,
    count: 0,
    flags: 0,
    pad: 0,
    at: [0; TRAIL_WORDS],
    words: [0; TRAIL_WORDS],
};

/// A program counter, an address in the stack, or neither.
fn word(random: &mut Random) -> u64 {
    match random.below(8) {
        0..4 => 1 + random.next() % PCS,
        4..7 => SP + 8 * random.below(WORDS) as u64,
        _ => random.next() % 3 * 0x1_0001,
    }
}

fn rule(random: &mut Random) -> Rule {
    let mut offset = |most: usize| 8 * i32::try_from(random.below(most)).unwrap();
    let (cfa_offset, bp_offset) = (8 + offset(4), -8 - offset(3));
    let (from, saved) = (random.below(8), random.below(4));
    Rule {
        cfa: [cfa::SP, cfa::SP, cfa::SP, cfa::SP, cfa::SP, cfa::BP, cfa::BP, cfa::AT_BP][from],
        bp: [bp::SAME, bp::AT_CFA, bp::AT_CFA, bp::AT_BP][saved],
        ra: ra::AT_CFA,
        flags: 0,
        cfa_offset,
        bp_offset,
        ra_offset: -8,
    }
}

/// Walks with a trail, until so many were found.
fn walks(count: usize, mut each: impl FnMut(&Scene, &[u64], &TrailKey, &Trail, &mut Random)) {
    let mut random = Random(7);
    let mut found = 0;
    while found < count {
        let scene = Scene::random(&mut random);
        if let Some((pcs, Some((key, trail)))) = scene.walk()
            && pcs.len() > 3
        {
            each(&scene, &pcs, &key, &trail, &mut random);
            found += 1;
        }
    }
}

#[test]
fn a_trail_holds_for_its_own_stack() {
    let mut longest = 0;
    walks(2000, |scene, pcs, key, trail, _| {
        assert_eq!(scene.follow(key, trail).as_deref(), Some(pcs));
        longest = longest.max(pcs.len());
    });
    assert!(longest > 8, "walks of some length: {longest}");
}

#[test]
fn where_a_trail_holds_the_walk_would_give_the_same() {
    let (mut held, mut refused) = (0, 0);
    walks(5000, |scene, _, key, trail, random| {
        for _ in 0..20 {
            let mut other = scene.clone();
            match random.below(WORDS / 2) {
                0 => other.leaf.bp = word(random),
                index => other.words[index % (trail.span as usize / 8)] = word(random),
            }
            let Some(told) = other.follow(key, trail) else {
                refused += 1;
                continue;
            };
            let walked = other.walk().map(|(pcs, _)| pcs);
            assert_eq!(walked, Some(told), "a trail held where the walk leads elsewhere");
            held += 1;
        }
    });
    assert!(held > 10_000 && refused > 10_000, "both came: {held} and {refused}");
}

#[test]
fn a_frame_pointer_that_nobody_uses_does_not_count() {
    let frame = |sp_offset| Rule {
        cfa: cfa::SP,
        bp: bp::AT_CFA,
        cfa_offset: sp_offset,
        bp_offset: -16,
        ra_offset: -8,
        ..Rule::default()
    };
    let end = Rule { cfa: cfa::END, ..Rule::default() };
    let mut scene = Scene {
        leaf: Frame { pc: 1, sp: SP, bp: 77, link: 0, is_leaf: 1 },
        words: [0; WORDS],
        rules: vec![frame(32), frame(48), end],
    };
    (scene.words[3], scene.words[9]) = (2, 3);
    let (pcs, kept) = scene.walk().unwrap();
    let (key, trail) = kept.unwrap();
    assert_eq!(pcs, [1, 2, 3]);
    (scene.leaf.bp, scene.words[2], scene.words[8]) = (1, 2, 3);
    assert_eq!(scene.follow(&key, &trail), Some(pcs), "registers that hold something else");
    scene.words[9] = 2;
    assert_eq!(scene.follow(&key, &trail), None, "another caller");
}

#[test]
fn a_trail_that_was_replaced_in_part_does_not_hold() {
    let mut last: Option<Trail> = None;
    walks(500, |scene, _, key, trail, random| {
        if let Some(other) = last.replace(*trail) {
            let mut torn = *trail;
            let from = random.below(trail.count as usize);
            torn.count = torn.count.min(other.count);
            torn.at[from..].copy_from_slice(&other.at[from..]);
            torn.words[from..].copy_from_slice(&other.words[from..]);
            let is_whole = torn.count == trail.count
                && torn.at[..torn.count as usize] == trail.at[..trail.count as usize]
                && torn.words[..torn.count as usize] == trail.words[..trail.count as usize];
            if !is_whole && torn.at[..torn.count as usize].iter().all(|at| within(*at, &torn)) {
                assert_eq!(scene.follow(key, &torn), None);
            }
        }
    });
}

#[test]
fn the_seal_is_of_the_head_and_the_key_too() {
    walks(200, |scene, pcs, key, trail, _| {
        assert_eq!(scene.follow(key, trail).as_deref(), Some(pcs));
        let flags = Trail { flags: trail.flags ^ 1, ..*trail };
        let shorter = Trail { count: trail.count - 1, ..*trail };
        let unasked = Trail { bp_mask: !trail.bp_mask, bp: scene.leaf.bp, ..*trail };
        for changed in [flags, shorter, unasked] {
            assert_eq!(scene.follow(key, &changed), None);
        }
        let other = TrailKey { tag: key.tag + 1, ..*key };
        assert_eq!(scene.follow(&other, trail), None);
    });
}

fn within(at: u16, trail: &Trail) -> bool {
    8 * (Comparison::place(at) as u64) < u64::from(trail.span)
}

#[test]
fn what_a_trail_has_no_place_for_gives_none() {
    let deep = |count: u64, size: i32| {
        let call = Rule { cfa: cfa::SP, cfa_offset: size, ra_offset: -8, ..Rule::default() };
        let mut trail = EMPTY;
        let mut frame = Frame { pc: 1, sp: SP, bp: 0, link: 0, is_leaf: 1 };
        let mut noting = Noting::begin(&mut trail, TrailKey::new(&frame, 1), 0);
        for _ in 0..count {
            let next = step(&frame, &call, |_| Some(1));
            noting.note(&mut trail, &frame, &call, &next);
            let Step::Caller(caller) = next else { panic!("it leads on") };
            frame = caller;
        }
        noting.end(&mut trail, 0).is_some()
    };
    let (words, span) = (TRAIL_WORDS as u64, i32::try_from(TRAIL_SPAN).unwrap());
    assert!(deep(words, 16) && !deep(words + 1, 16));
    assert!(deep(1, span) && !deep(1, span + 8));
    let signal = Rule { cfa: cfa::SIGNAL, ..Rule::default() };
    let (mut trail, frame) = (EMPTY, Frame { pc: 1, sp: SP, bp: 0, link: 0, is_leaf: 1 });
    let mut noting = Noting::begin(&mut trail, TrailKey::new(&frame, 1), 0);
    noting.note(&mut trail, &frame, &signal, &Step::Caller(frame));
    assert_eq!(noting.end(&mut trail, 0), None, "registers of a signal frame");
}
