//! The scale of time.

/// Seconds between two lines of the grid.
pub(super) fn step(span: f64) -> f64 {
    const STEPS: [f64; 20] = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0,
        14_400.0, 43_200.0, 86_400.0, 604_800.0,
    ];
    STEPS.into_iter().find(|step| span / step <= TICKS_MAX).unwrap_or(span / TICKS_MAX)
}

pub(super) fn tick(at_s: f64, step: f64) -> String {
    let whole = at_s.round() as u64;
    match step {
        _ if at_s == 0.0 => "0".to_owned(),
        step if step < 1.0 => format!("{at_s:.1} s"),
        step if step < 60.0 && whole < 120 => format!("{whole} s"),
        step if step < 60.0 => format!("{}:{:02}", whole / 60, whole % 60),
        step if step < 3_600.0 => format!("{} min", whole / 60),
        _ => format!("{} h", whole / 3_600),
    }
}

const TICKS_MAX: f64 = 12.0;
