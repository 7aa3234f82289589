//! The arithmetic of reports: medians and ranges over runs.

use std::time::Duration;

use super::process::Cpu;

/// A figure of each run, sorted.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures(Vec<f64>);

impl Figures {
    /// One figure of every run.
    pub(super) fn of<'a, R: 'a>(
        runs: impl IntoIterator<Item = &'a R>,
        figure: impl Fn(&R) -> f64,
    ) -> Self {
        let mut all: Vec<f64> = runs.into_iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        Self(all)
    }

    /// The middle one; 0 if there is none.
    pub(super) fn median(&self) -> f64 {
        median(&self.0)
    }

    /// The lowest.
    pub(super) fn lowest(&self) -> f64 {
        self.0.first().copied().unwrap_or(0.0)
    }

    /// The highest.
    pub(super) fn highest(&self) -> f64 {
        self.0.last().copied().unwrap_or(0.0)
    }

    /// `lowest–highest`, with so many decimals.
    pub(super) fn range(&self, decimals: usize) -> String {
        format!("{:.decimals$}–{:.decimals$}", self.lowest(), self.highest())
    }

    /// The median, with so many decimals.
    pub(super) fn middle(&self, decimals: usize) -> String {
        format!("{:.decimals$}", self.median())
    }
}

/// Of sorted figures.
pub(super) fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle).copied().unwrap_or(0.0);
    if sorted.len().is_multiple_of(2) {
        let lower = middle.checked_sub(1).and_then(|at| sorted.get(at));
        return lower.map_or(upper, |lower| f64::midpoint(*lower, upper));
    }
    upper
}

/// Microseconds of processor time for each of so many; 0 if there are none.
pub(super) fn us_each(cpu: Cpu, count: u64) -> f64 {
    quotient(cpu.total().as_secs_f64() * 1e6, super::ratio(count, 1.0))
}

/// Percent of one core that a processor time took of a time.
pub(super) fn core_percent(cpu: Cpu, elapsed: Duration) -> f64 {
    100.0 * quotient(cpu.total().as_secs_f64(), elapsed.as_secs_f64())
}

/// `over` by `under`; 0 if that is nothing.
pub(super) fn quotient(over: f64, under: f64) -> f64 {
    if under > 0.0 { over / under } else { 0.0 }
}

/// Microseconds as milliseconds.
pub(super) fn ms(us: u64) -> f64 {
    super::ratio(us, 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        assert!((median(&[1.0, 2.0, 9.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[1.0, 2.0, 4.0, 9.0]) - 3.0).abs() < f64::EPSILON);
        assert!(median(&[]).abs() < f64::EPSILON);
    }

    #[test]
    fn figures_are_taken_in_order_whatever_the_order_of_the_runs() {
        let figures = Figures::of(&[30.0, 10.0, 20.0], |run: &f64| *run);
        assert_eq!(figures.middle(1), "20.0");
        assert_eq!(figures.range(0), "10–30");
    }

    #[test]
    fn processor_time_is_told_for_each_and_of_a_core() {
        let cpu = Cpu {
            user: Duration::from_millis(30),
            system: Duration::from_millis(70),
        };
        assert!((us_each(cpu, 1000) - 100.0).abs() < 1e-9);
        assert!((core_percent(cpu, Duration::from_millis(200)) - 50.0).abs() < 1e-9);
        assert!(us_each(cpu, 0).abs() < f64::EPSILON);
    }
}
