//! The contract of the command line: data on stdout, messages on stderr, exit codes 0 yes, 1 no, 2 no answer.

#[path = "support/answer.rs"]
mod answer;
#[path = "cli/answers.rs"]
mod answers;
#[path = "cli/console.rs"]
mod console;
#[path = "cli/flags.rs"]
mod flags;
#[path = "support/http.rs"]
mod http;
#[path = "cli/life.rs"]
mod life;
#[path = "cli/modes.rs"]
mod modes;
#[path = "cli/proof.rs"]
mod proof;
#[path = "cli/reads.rs"]
mod reads;
#[path = "cli/report.rs"]
mod report;
#[path = "support/schema.rs"]
mod schema;
#[path = "cli/settings.rs"]
mod settings;
#[path = "support/small.rs"]
mod small;
mod support;

use answer::{Answer, ask, both, json, refuses};
