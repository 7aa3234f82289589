//! Rust types of the contracts in `proto/`, generated at build time.

/// The contract with the central platform.
#[expect(
    missing_docs,
    clippy::all,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::doc_markdown,
    unused_qualifications,
    reason = "generated code"
)]
pub mod platform {
    tonic::include_proto!("sensegate.platform.v1");
}

/// The protobuf payload of devices.
pub mod device {
    #![expect(missing_docs, reason = "generated code")]
    tonic::include_proto!("sensegate.device.v1");
}

/// The embedded descriptors of the device classes, an encoded `google.protobuf.FileDescriptorSet`.
pub const CLASS_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/classes.binpb"));
