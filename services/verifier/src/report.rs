//! The report: all that is known for a decision, as one document that is signed and kept.
//!
//! `facts` asks the control schema, `content` decides what the document says, `markdown` and `html` write it. Only these
//! two make text out of what was stored, and they escape all of it.

mod content;
mod facts;
mod html;
mod markdown;
mod plot;

pub use content::document;
pub use facts::Facts;

/// A part of the document.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    Heading(String),
    Text(String),
    /// Names and what they are.
    Facts(Vec<(&'static str, String)>),
    Table(Table),
    List(Vec<String>),
    Plot(Plot),
    /// Lines to be filled in by hand.
    Signatures(Vec<&'static str>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub caption: String,
    pub head: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    pub title: String,
    /// What it shows, for those who do not see it.
    pub text: String,
    pub kind: PlotKind,
    /// Names of the numbers of each line.
    pub series: Vec<&'static str>,
    pub lines: Vec<(String, Vec<u64>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlotKind {
    /// A group of bars per line, each group on a scale of its own.
    Bars,
    /// A column per line, the numbers on top of each other.
    Columns,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub title: String,
    /// In one line.
    pub summary: String,
    pub blocks: Vec<Block>,
}

impl Document {
    pub fn markdown(&self) -> String {
        markdown::write(self)
    }

    pub fn html(&self) -> String {
        html::write(self)
    }
}
