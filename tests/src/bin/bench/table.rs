//! The table, in Markdown, so that it can go where people read it.

use std::fmt::Write as _;

use crate::churn::Row;
use crate::figures::Figures;

/// What has just been measured, on one line.
pub fn progress(row: &Row) -> String {
    let (Some(run), Some(ratio)) = (row.runs.last(), row.ratios.last()) else {
        return String::new();
    };
    let lost = run.lost.map_or(String::new(), |lost| format!(", {lost} lost"));
    format!("{}: {:.0}/s, {:.1} %{lost}", row.contender.name, run.load.rate(), ratio * 100.0)
}

/// All of it: medians of the rounds, with the span of the ratios.
pub fn of(rows: &[Row]) -> String {
    let mut text = String::from(
        "| attached | throughput against untraced | kernel, ns a transition | a run of its \
         busiest programs, ns | CPU, s | memory, MiB | events seen | lost |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            row.contender.name,
            ratio(row),
            kernel(row),
            programs(row),
            middle(row, |run| run.used.map(|used| used.cpu.as_secs_f64()))
                .map_or_else(dash, |cpu| format!("{cpu:.2}")),
            middle(row, |run| run.used.map(|used| used.memory as f64 / f64::from(1 << 20)))
                .map_or_else(dash, |memory| format!("{memory:.0}")),
            seen(row),
            lost(row),
        );
    }
    text
}

fn dash() -> String {
    "–".to_owned()
}

/// The middle one; `None` where there is none.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn middle(row: &Row, figure: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
    median(row.runs.iter().filter_map(figure).collect())
}

fn ratio(row: &Row) -> String {
    let Some(middle) = median(row.ratios.clone()) else {
        return dash();
    };
    let least = row.ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = row.ratios.iter().copied().fold(0.0, f64::max);
    format!("{:.0} % ({:.0}–{:.0})", middle * 100.0, least * 100.0, most * 100.0)
}

fn kernel(row: &Row) -> String {
    let time: u64 = row.programs.iter().map(|runs| runs.time_ns).sum();
    if time == 0 { dash() } else { format!("{:.0}", time as f64 / row.transitions as f64) }
}

fn programs(row: &Row) -> String {
    let shown = row.programs.iter().take(4).map(|runs| {
        let name = runs.name.strip_prefix("tcptrace_").unwrap_or(&runs.name);
        format!("{name} {}", runs.time_ns / runs.count)
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() { dash() } else { shown.join(", ") }
}

fn seen(row: &Row) -> String {
    let seen = row.runs.iter().filter_map(|run| run.seen).sum::<u64>();
    if row.runs.iter().any(|run| run.seen.is_some()) { seen.to_string() } else { dash() }
}

/// Of all rounds together.
fn lost(row: &Row) -> String {
    let known = row.runs.iter().filter_map(|run| Some((run.seen?, run.lost?)));
    let (seen, lost) = known.fold((0, 0), |sum, run| (sum.0 + run.0, sum.1 + run.1));
    match (row.runs.iter().any(|run| run.lost.is_some()), lost) {
        (false, _) => dash(),
        (true, 0) => "0".to_owned(),
        (true, lost) => format!("{:.1} %", 100.0 * lost as f64 / (seen + lost) as f64),
    }
}
