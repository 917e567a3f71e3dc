//! Running a check, and saying what it came to.

use std::collections::BTreeSet;
use std::time::Instant;

use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};

use crate::protocol::Protocol;

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
