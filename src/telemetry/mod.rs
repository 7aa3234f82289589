//! What the gateway tells about itself. Each stage lists its own metrics as [`Metric`]s and holds cheap handles to
//! them; this module gives the list a form that the exporter and docs/metrics.md share, sets up the log, and adds what
//! the process itself uses.

mod metric;
mod exporter;
mod process;
pub mod logging;

pub use exporter::{Exporter, ExporterError, exposition};
pub use logging::refilter;
pub use metric::{Kind, Metric, describe};
pub use process::{METRICS, raise_open_files};
