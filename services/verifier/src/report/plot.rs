//! Plots as inline SVG, in the colours of the page, with their text for those who do not see them. Pure.

use super::html::plain;
use super::{Plot, PlotKind};

const WIDTH: u64 = 900;
const LABEL: u64 = 220;
const NUMBER: u64 = 150;
const BAR: u64 = 12;
const HEIGHT: u64 = 200;

/// `id` tells the plots of a page apart.
pub fn svg(plot: &Plot, id: usize) -> String {
    let (body, height) = match plot.kind {
        PlotKind::Bars => bars(plot),
        PlotKind::Columns => columns(plot),
    };
    format!(
        "<svg role=\"img\" aria-labelledby=\"t{id} d{id}\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" width=\"{WIDTH}\"><title id=\"t{id}\">{}</title><desc id=\"d{id}\">{}</desc>\n{}{body}</svg>\n",
        height + 24,
        plain(&plot.title),
        plain(&plot.text),
        legend(plot),
    )
}

fn legend(plot: &Plot) -> String {
    let each = plot.series.iter().enumerate().map(|(i, name)| {
        let x = LABEL + i as u64 * 120;
        format!(
            "<rect class=\"s{i}\" x=\"{x}\" y=\"4\" width=\"12\" height=\"12\" /><text x=\"{}\" y=\"14\">{}</text>\n",
            x + 18,
            plain(name)
        )
    });
    each.collect()
}

/// A length in proportion; what is there at all can be seen.
fn part(value: u64, of: u64, length: u64) -> u64 {
    let exact = u128::from(value) * u128::from(length) / u128::from(of.max(1));
    u64::try_from(exact).unwrap_or(length).max(u64::from(value > 0))
}

fn bars(plot: &Plot) -> (String, u64) {
    let group = plot.series.len() as u64 * (BAR + 2) + 8;
    let mut out = String::new();
    for (n, (label, numbers)) in plot.lines.iter().enumerate() {
        let y = 24 + n as u64 * group;
        let most = numbers.iter().copied().max().unwrap_or_default();
        let shown: String = label.chars().take(30).collect();
        out += &format!("<text x=\"0\" y=\"{}\">{}</text>\n", y + BAR, plain(&shown));
        for (i, number) in numbers.iter().enumerate() {
            let (top, wide) = (y + i as u64 * (BAR + 2), part(*number, most, WIDTH - LABEL - NUMBER));
            out += &format!(
                "<rect class=\"s{i}\" x=\"{LABEL}\" y=\"{top}\" width=\"{wide}\" height=\"{BAR}\" /><text x=\"{}\" y=\"{}\">{number}</text>\n",
                LABEL + wide + 6,
                top + BAR - 1
            );
        }
    }
    (out, plot.lines.len() as u64 * group)
}

fn columns(plot: &Plot) -> (String, u64) {
    let most = plot.lines.iter().map(|(_, n)| n.iter().sum::<u64>()).max().unwrap_or_default();
    let step = ((WIDTH - LABEL) / plot.lines.len().max(1) as u64).clamp(2, 40);
    let floor = 24 + HEIGHT;
    let mut out =
        format!("<text x=\"0\" y=\"40\">{most} rows an hour</text><text x=\"0\" y=\"{floor}\">0</text>\n");
    for (n, (label, numbers)) in plot.lines.iter().enumerate() {
        let (x, mut top) = (LABEL + n as u64 * step, floor);
        let title = format!("{label}: {}", numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", "));
        out += &format!("<g><title>{}</title>", plain(&title));
        for (i, number) in numbers.iter().enumerate() {
            let tall = part(*number, most, HEIGHT - 10).min(top.saturating_sub(24));
            top -= tall;
            out += &format!(
                "<rect class=\"s{i}\" x=\"{x}\" y=\"{top}\" width=\"{}\" height=\"{tall}\" />",
                step.saturating_sub(1)
            );
        }
        out += "</g>\n";
    }
    let (first, last) = (plot.lines.first(), plot.lines.last());
    out += &format!("<line class=\"axis\" x1=\"{LABEL}\" x2=\"{WIDTH}\" y1=\"{floor}\" y2=\"{floor}\" />\n");
    for (line, x, anchor) in [(first, LABEL, "start"), (last.filter(|_| plot.lines.len() > 1), WIDTH, "end")]
    {
        if let Some((label, _)) = line {
            out += &format!(
                "<text x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>\n",
                floor + 16,
                plain(label)
            );
        }
    }
    (out, HEIGHT + 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_in_proportion_and_never_hide_what_is_there() {
        assert_eq!(
            [part(0, 9, 100), part(1, 1_000_000, 100), part(5, 10, 100), part(10, 10, 100)],
            [0, 1, 50, 100]
        );
        assert_eq!((part(u64::MAX, u64::MAX, 100), part(0, 0, 100)), (100, 0));
    }

    #[test]
    fn markup_in_a_label_stays_text() {
        for kind in [PlotKind::Bars, PlotKind::Columns] {
            let lines = vec![("<b>\"'&".to_string(), vec![1, 2, 3]), ("z".to_string(), vec![0, 0, 0])];
            let (title, text) = ("<i>".into(), "&".into());
            let shown = svg(&Plot { title, text, kind, series: vec!["a", "b", "c"], lines }, 1);
            assert!(
                !shown.contains("<b>") && !shown.contains("<i>") && shown.contains("&lt;i&gt;"),
                "{shown}"
            );
        }
    }
}
