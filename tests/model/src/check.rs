//! Running a check, and saying what it came to.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};

use crate::protocol::Protocol;
use crate::state::State;

/// The protocol must be right: tries every state, and panics with the steps that lead to a property's fall.
pub fn holds(name: &str, protocol: Protocol, threads: usize) {
    let began = Instant::now();
    let done = protocol.checker().threads(threads).spawn_bfs().join();
    eprintln!(
        "{name}: {} states, depth {}, {:.1} s",
        done.unique_state_count(),
        done.max_depth(),
        began.elapsed().as_secs_f32()
    );
    let found = done.discoveries();
    for property in protocol.properties() {
        match (&property.expectation, found.get(property.name)) {
            (Expectation::Always, Some(path)) => {
                panic!("{name}: \"{}\" falls:\n{}", property.name, steps(path.clone().into_actions()));
            }
            (Expectation::Sometimes, None) => panic!("{name}: not \"{}\"", property.name),
            _ => {}
        }
    }
}

/// From every state there is a way to quiet: no loop of redrives or retries is without an exit.
pub fn settles(name: &str, protocol: Protocol) {
    let began = Instant::now();
    let mut states = protocol.init_states();
    let mut numbers: HashMap<State, usize> = states.iter().copied().zip(0..).collect();
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); states.len()];
    let (mut at, mut actions) = (0, Vec::new());
    while let Some(state) = states.get(at).copied() {
        protocol.actions(&state, &mut actions);
        for next in actions.drain(..).filter_map(|action| protocol.next_state(&state, action)) {
            let number = *numbers.entry(next).or_insert_with(|| {
                states.push(next);
                before.push(Vec::new());
                states.len() - 1
            });
            before[number].push(at);
        }
        at += 1;
    }
    let mut reached: Vec<bool> = states.iter().map(|s| s.is_quiet(&protocol)).collect();
    let mut open: Vec<usize> = (0..states.len()).filter(|n| reached[*n]).collect();
    while let Some(number) = open.pop() {
        for from in &before[number] {
            if !std::mem::replace(&mut reached[*from], true) {
                open.push(*from);
            }
        }
    }
    let took = began.elapsed().as_secs_f32();
    eprintln!("{name}: {} states, quiet can be reached from each, {took:.1} s", states.len());
    if let Some(stuck) = reached.iter().position(|r| !r) {
        panic!("{name}: quiet cannot be reached from\n{:#?}", states[stuck]);
    }
}

/// The mutant must be caught: this property falls.
pub fn falls(name: &str, protocol: Protocol, property: &'static str) {
    let began = Instant::now();
    assert!(
        protocol.properties().iter().any(|p: &Property<Protocol>| p.name == property),
        "{name}: there is no \"{property}\""
    );
    let found = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let done = protocol.checker().finish_when(found).spawn_bfs().join();
    let Some(path) = done.discovery(property) else {
        panic!("{name}: \"{property}\" does not fall, in {} states", done.unique_state_count());
    };
    let path = path.into_actions();
    eprintln!(
        "{name}: \"{property}\" falls after {} steps, {} states, {:.1} s:\n{}",
        path.len(),
        done.unique_state_count(),
        began.elapsed().as_secs_f32(),
        steps(path)
    );
}

fn steps(path: Vec<crate::Action>) -> String {
    let steps: Vec<String> = path.iter().map(|action| format!("    {action:?}")).collect();
    steps.join("\n")
}
