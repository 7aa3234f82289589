//! The figures as Markdown, for docs/benchmarks.md: medians over the runs, lowest and highest beside the rate.

use std::fmt::{self, Write as _};

use super::{
    closed,
    figures::median,
    idle,
    machine::Machine,
    readings::{CLASS, payload_bytes},
    suite::{GatewayRun, Results, SCENARIOS, Script},
};

/// The whole report.
///
/// # Errors
/// None in practice: text is written to memory.
pub fn markdown(
    options: &Script,
    machine: &Machine,
    results: &Results,
) -> Result<String, fmt::Error> {
    let mut text = String::new();
    writeln!(
        text,
        "- machine: {}, {}, Linux {}",
        machine.processor, machine.memory, machine.kernel
    )?;
    writeln!(text, "- compiler: {}", machine.rustc)?;
    writeln!(
        text,
        "- disk: 64 KiB append with fdatasync {} µs (median)",
        machine.fdatasync.as_micros()
    )?;
    writeln!(
        text,
        "- load: `{CLASS}`, {} bytes of JSON, 5 properties, QoS 1, MQTT 5; one thread, on the same machine",
        payload_bytes()
    )?;
    writeln!(
        text,
        "- {} runs each, {} s after {} s of warm-up, medians; gateway and yardstick in turn\n",
        options.runs,
        options.measured.as_secs_f64(),
        options.warm_up.as_secs_f64()
    )?;
    writeln!(
        text,
        "| connections × window | server | acknowledged/s | lowest–highest | µs of CPU/reading (user + system) | of the load | p50 | p99 |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|---|---|")?;
    for ((connections, window), (gateway, yardstick)) in SCENARIOS.iter().zip(&results.closed) {
        let gateway: Vec<&closed::Outcome> = gateway.iter().map(|run| &run.load).collect();
        let yardstick: Vec<&closed::Outcome> = yardstick.iter().collect();
        for (server, runs) in [("sensegate", gateway), ("yardstick", yardstick)] {
            writeln!(
                text,
                "| {connections} × {window} | {server} | {}",
                closed_row(&runs)
            )?;
        }
    }
    stored(&mut text, results)?;
    if let Some((gateway, yardstick)) = &results.idle {
        idle_table(&mut text, gateway, yardstick)?;
    }
    Ok(text)
}

fn closed_row(runs: &[&closed::Outcome]) -> String {
    let each = |figure: &dyn Fn(&closed::Outcome) -> f64| {
        let mut all: Vec<f64> = runs.iter().map(|run| figure(run)).collect();
        all.sort_by(f64::total_cmp);
        all
    };
    let per_reading = |time: std::time::Duration, run: &closed::Outcome| {
        time.as_secs_f64() * 1e6 / super::ratio(run.acknowledged, 1.0).max(1.0)
    };
    let rates = each(&closed::Outcome::rate);
    let middle = |figure: &dyn Fn(&closed::Outcome) -> f64| median(&each(figure));
    format!(
        "{:.0} | {:.0}–{:.0} | {:.2} ({:.2} + {:.2}) | {:.2} | {:.1} ms | {:.1} ms |",
        median(&rates),
        rates.first().copied().unwrap_or(0.0),
        rates.last().copied().unwrap_or(0.0),
        middle(&|run| per_reading(run.server_cpu.total(), run)),
        middle(&|run| per_reading(run.server_cpu.user, run)),
        middle(&|run| per_reading(run.server_cpu.system, run)),
        middle(&|run| per_reading(run.load_cpu.total(), run)),
        middle(&|run| super::ratio(run.latency.quantile_us(0.5), 1000.0)),
        middle(&|run| super::ratio(run.latency.quantile_us(0.99), 1000.0)),
    )
}

fn stored(text: &mut String, results: &Results) -> fmt::Result {
    writeln!(
        text,
        "\n| connections × window | acknowledged in all | stored by the platform | the rest reached it after | CPU of the platform/reading |"
    )?;
    writeln!(text, "|---|---|---|---|---|")?;
    for ((connections, window), (runs, _)) in SCENARIOS.iter().zip(&results.closed) {
        let sum = |figure: &dyn Fn(&GatewayRun) -> u64| runs.iter().map(figure).sum::<u64>();
        let middle = |figure: &dyn Fn(&GatewayRun) -> f64| {
            let mut all: Vec<f64> = runs.iter().map(figure).collect();
            all.sort_by(f64::total_cmp);
            median(&all)
        };
        writeln!(
            text,
            "| {connections} × {window} | {} | {} | {:.1} s | {:.2} µs |",
            sum(&|run| run.load.acknowledged_in_all),
            sum(&|run| run.stored),
            middle(&|run| run.drained.as_secs_f64()),
            middle(&|run| run.platform_cpu.total().as_secs_f64() * 1e6
                / super::ratio(run.stored, 1.0).max(1.0)),
        )?;
    }
    let bytes = |figure: &dyn Fn(&GatewayRun) -> f64| {
        let runs = results.closed.iter().flat_map(|(runs, _)| runs);
        let mut all: Vec<f64> = runs.map(figure).collect();
        all.sort_by(f64::total_cmp);
        median(&all)
    };
    writeln!(
        text,
        "\nBytes per reading: {} of JSON, {:.1} encoded, {:.1} in the spool (zstd), {:.1} on the wire to the platform \
         (zstd, HTTP/2 and its answers included).",
        payload_bytes(),
        bytes(&|run| run.raw_bytes),
        bytes(&|run| run.spool_bytes),
        results.wire_bytes
    )
}

fn idle_table(
    text: &mut String,
    gateway: &idle::Outcome,
    yardstick: &idle::Outcome,
) -> fmt::Result {
    writeln!(
        text,
        "\n{} connections (HMAC checked by sensegate only), each with one subscription, then idle:\n",
        gateway.connections
    )?;
    writeln!(
        text,
        "| server | connects/s | µs of CPU/connect | resident bytes/connection | resident in all | CPU while idle |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|")?;
    for (server, run) in [("sensegate", gateway), ("yardstick", yardstick)] {
        let count = u64::try_from(run.connections).unwrap_or(0);
        writeln!(
            text,
            "| {server} | {:.0} | {:.1} | {:.0} | {:.1} MiB | {:.2} % of a core |",
            run.connects_per_s(),
            run.connecting_cpu.total().as_secs_f64() * 1e6 / super::ratio(count, 1.0).max(1.0),
            run.bytes_per_connection(),
            super::ratio(run.resident_after, 1_048_576.0),
            100.0 * run.idle_cpu.total().as_secs_f64() / run.idle.as_secs_f64().max(0.001),
        )?;
    }
    Ok(())
}
