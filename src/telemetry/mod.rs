//! What the gateway tells about itself. Each stage lists its own metrics as [`Metric`]s and holds cheap handles to
//! them; this module gives the list a form that the exporter and docs/metrics.md share.

mod metric;

pub use metric::{Kind, Metric, describe};
