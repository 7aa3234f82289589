//! The worst that the internet sends, against the real binary over real sockets. Every test has the same frame
//! ([`scene`]): a clean client publishes all the while and must be acknowledged in time, the hostile ones come from
//! another address, and afterwards the daemon's memory is back, no connection is left over, no task panicked and a
//! newcomer is served.

mod raw;
mod scene;

mod contents;
mod frames;
mod order;
mod fan;
mod pace;
mod revoked;
mod storm;
mod tls;
