//! The broker as its clients meet it: real sockets on port 0 and a scripted inlet.
