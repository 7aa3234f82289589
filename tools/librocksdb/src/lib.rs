//! Exists only so that cargo builds `librocksdb-sys`.
