//! The document as one page of HTML that loads nothing, and is XML as well. Pure.

use super::{Block, Document, Table, plot};

/// Text for content and for attributes in double quotes. What XML cannot hold is replaced.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1b1d21; --soft: #565c66; --line: #c9ced6; --paper: #fff; --a: #1f5fbf; --b: #8a5a00; --c: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaee; --soft: #a9b0bb; --line: #444b56; --paper: #15181d; --a: #7fb0ff; --b: #e0b050; --c: #ff8a80; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 75rem; margin: 0 auto; padding: 1.5rem; }
h1 { margin: 0; } h2 { margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; margin: .5rem 0; }
caption { text-align: left; color: var(--soft); padding: .25rem 0; }
th, td { border: 1px solid var(--line); padding: .25rem .5rem; text-align: left; vertical-align: top; overflow-wrap: anywhere; min-width: 4rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.sign td { height: 2.5rem; min-width: 9rem; }
svg { max-width: 100%; height: auto; } svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
.s0 { fill: var(--a); } .s1 { fill: var(--b); } .s2 { fill: var(--c); } .axis { stroke: var(--line); }
@media print { main { max-width: none; padding: 0; } h2 { break-after: avoid; } tr { break-inside: avoid; } }
";

pub fn write(document: &Document) -> String {
    let title = plain(&document.title);
    let mut body = String::new();
    for (i, block) in document.blocks.iter().enumerate() {
        body += &match block {
            Block::Heading(text) => format!("<h2>{}</h2>\n", plain(text)),
            Block::Text(text) => format!("<p>{}</p>\n", plain(text)),
            Block::Facts(facts) => {
                let each = facts.iter().map(|(n, w)| format!("<dt>{}</dt><dd>{}</dd>", plain(n), plain(w)));
                format!("<dl>{}</dl>\n", each.collect::<String>())
            }
            Block::List(items) if items.is_empty() => String::new(),
            Block::List(items) => {
                let each = items.iter().map(|i| format!("<li>{}</li>", plain(i)));
                format!("<ul>{}</ul>\n", each.collect::<String>())
            }
            Block::Table(table) => rows(table, ""),
            Block::Plot(plot) => plot::svg(plot, i),
            Block::Signatures(fields) => {
                let empty = vec![String::new(); fields.len()];
                let caption = "To be filled in and signed".into();
                rows(
                    &Table { caption, head: fields.clone(), rows: vec![empty.clone(), empty.clone(), empty] },
                    " class=\"sign\"",
                )
            }
        };
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta charset=\"utf-8\" />\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\" />\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{}</p>\n{body}</main>\n</body>\n</html>\n",
        plain(&document.summary)
    )
}

fn rows(table: &Table, class: &str) -> String {
    let head: String = table.head.iter().map(|h| format!("<th scope=\"col\">{}</th>", plain(h))).collect();
    let row = |cells: &Vec<String>| {
        let cells: String = cells.iter().map(|c| format!("<td>{}</td>", plain(c))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let body: String = table.rows.iter().map(row).collect();
    let caption = plain(&table.caption);
    // Whoever has only a keyboard can scroll it.
    format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\"><table{class}><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>\n"
    )
}
