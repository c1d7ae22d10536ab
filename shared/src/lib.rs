//! What two processes must agree on: names, files, descriptors and words.
//!
//! Read in the order the data travels: the runtime's annotation names a sidecar, the sidecar
//! wires services to endpoints, the parent hands each service its slice and its descriptors.

pub mod annotation;
pub mod bundle;
pub mod container;
pub mod descriptor_packet;
pub mod endpoint;
pub mod exit;
pub mod handover;
pub mod json_kind;
pub mod layout;
pub mod logging;
pub mod packet_pair;
pub mod pid_file;
pub mod placement;
pub mod process;
pub mod readiness;
pub mod record;
pub mod routes;
pub mod secret;
pub mod service;
pub mod sibling;
pub mod sidecar;
pub mod socket_file;
pub mod status;
#[allow(unsafe_code)]
pub mod sys;
pub mod token;
pub mod witness;
