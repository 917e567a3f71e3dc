//! What is wrong with a plan: where, why, and how to mend it.

use std::collections::BTreeMap;
use std::fmt;

/// One mistake, at a place in a file of the plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Problem {
    /// Relative to the plan's folder.
    pub file: String,
    /// From 1; 0 if the whole file is meant.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub message: String,
    pub help: Option<String>,
}

/// Everything that is wrong with a plan, found in one go.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    pub list: Vec<Problem>,
    /// Texts of the files that the problems point into.
    sources: BTreeMap<String, String>,
}

impl Problems {
    pub fn new(mut list: Vec<Problem>, sources: BTreeMap<String, String>) -> Self {
        list.sort();
        list.dedup();
        Problems { list, sources }
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({ "problems": self.list })
    }

    /// With the lines of the files that are meant, for a person at a terminal.
    pub fn render(&self) -> String {
        let theme = miette::GraphicalTheme::unicode_nocolor();
        let handler = miette::GraphicalReportHandler::new_themed(theme).with_width(120).with_links(false);
        let mut out = String::new();
        for problem in &self.list {
            let located = Located { problem, source: self.sources.get(&problem.file) };
            if handler.render_report(&mut out, &located).is_err() {
                out.push_str(&problem.to_string());
            }
        }
        out
    }
}

impl Problem {
    /// File, line and column; the file alone if all of it is meant.
    fn place(&self) -> String {
        match self.line {
            0 => self.file.clone(),
            line => format!("{}:{line}:{}", self.file, self.column),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.message)?;
        self.help.iter().try_for_each(|help| write!(f, "\n    help: {help}"))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.list.iter().enumerate() {
            let newline = if i > 0 { "\n" } else { "" };
            write!(f, "{newline}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A problem beside its text, in the form that `miette` draws.
#[derive(Debug)]
struct Located<'a> {
    problem: &'a Problem,
    source: Option<&'a String>,
}

impl fmt::Display for Located<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.problem.place(), self.problem.message)
    }
}

impl std::error::Error for Located<'_> {}

impl miette::Diagnostic for Located<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|h| Box::new(h) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source.filter(|_| self.problem.line > 0).map(|s| s as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let source = self.source.filter(|_| self.problem.line > 0)?;
        let offset = miette::SourceOffset::from_location(source, self.problem.line, self.problem.column);
        let label = miette::LabeledSpan::new(None, offset.offset(), 1);
        Some(Box::new(std::iter::once(label)))
    }
}

/// The candidate that a mistyped name most likely means.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    candidates
        .into_iter()
        .map(|c| (distance(&wanted, &c.to_lowercase()), c))
        .filter(|(d, c)| *d <= 1 + name.len().max(c.len()) / 4 && *d < c.len())
        .min()
        .map(|(_, c)| c)
}

/// `did you mean …?`, if a name comes near.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, candidates).map(|c| format!("did you mean `{c}`?"))
}

/// Edit distance in characters (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let next = (diagonal + usize::from(ca != *cb)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        assert_eq!(nearest("creatd_at", ["updated_at", "created_at"]), Some("created_at"));
        assert_eq!(nearest("colour", ["id", "name"]), None);
    }

    #[test]
    fn a_problem_is_drawn_at_its_place() {
        let problem = Problem {
            file: "a.yaml".into(),
            line: 2,
            column: 3,
            message: "unknown column `b`".into(),
            help: Some("did you mean `c`?".into()),
        };
        let problems = Problems::new(vec![problem], [("a.yaml".into(), "x: 1\ny: b\n".into())].into());
        let text = problems.render();
        assert!(text.contains("y: b") && text.contains("did you mean"), "{text}");
    }
}
