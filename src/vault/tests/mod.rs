//! The vault on a real `RocksDB`, from the outside: what is told, in which order, and what a restart finds.
