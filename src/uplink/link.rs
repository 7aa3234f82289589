//! Opening a stream: connect, Hello, Resume, all within one deadline.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Streaming,
    client::Grpc,
    codec::CompressionEncoding,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};

use super::{
    codec::{DeliverCodec, Outgoing},
    core::{Ahead, Contract, Position},
    fault::LinkFault,
};
use crate::{
    config::UplinkConfig,
    domain::{Lane, Sequence, SequenceRange},
    proto::platform::{DeliverResponse, Hello, LanePosition, Resume, deliver_response::Message},
};

const METHOD: &str = "/sensegate.platform.v1.PerceptionPlatformService/Deliver";

/// Messages between the pump and HTTP/2: enough to keep the codec busy, few enough that the window alone decides what
/// is in flight.
const OUTGOING_MAX: usize = 4;

/// How long the peer may take to answer an HTTP/2 ping.
const PING_DEADLINE: Duration = Duration::from_secs(10);

/// HTTP/2 window for the platform's answers, bytes: acknowledgements are small.
const ANSWER_WINDOW: u32 = 1 << 20;

/// Who the gateway says it is in Hello.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// The gateway's id.
    pub gateway_id: String,
    /// District code.
    pub district: String,
    /// Version of the software.
    pub software_version: String,
    /// SHA-256 of the class schemas in force when a stream begins.
    pub schema_digest: watch::Receiver<[u8; 32]>,
}

impl Introduction {
    pub(super) fn hello(&self, incarnation: [u8; 16], lanes: &[Lane]) -> Hello {
        Hello {
            gateway_id: self.gateway_id.clone(),
            incarnation: Bytes::copy_from_slice(&incarnation),
            software_version: self.software_version.clone(),
            district: self.district.clone(),
            schema_digest: Bytes::copy_from_slice(&*self.schema_digest.borrow()),
            lanes: lanes.iter().map(|lane| i32::from(lane.number())).collect(),
        }
    }
}

/// A stream that was resumed.
pub(super) struct Link {
    pub(super) outgoing: mpsc::Sender<Outgoing>,
    pub(super) answers: Streaming<DeliverResponse>,
    pub(super) positions: Vec<Position>,
    pub(super) ahead: Ahead,
    /// Holds the connection.
    pub(super) channel: Channel,
}

/// Connects and resumes.
pub(super) async fn open(
    url: &str,
    config: &UplinkConfig,
    hello: Hello,
    compress: Option<CompressionEncoding>,
) -> Result<Link, LinkFault> {
    let within = config.connect_deadline;
    let channel = tokio::time::timeout(within, connect(url, config))
        .await
        .map_err(|_elapsed| LinkFault::Connect(format!("{url}: no answer within {within:?}")))??;
    tokio::time::timeout(within, resume(channel, hello, compress))
        .await
        .map_err(|_elapsed| LinkFault::NoResume(within))?
}

async fn connect(url: &str, config: &UplinkConfig) -> Result<Channel, LinkFault> {
    let failed = |fault: tonic::transport::Error| {
        LinkFault::Connect(format!("{url}: {}", innermost(&fault)))
    };
    Endpoint::from_shared(url.to_owned())
        .map_err(failed)?
        .connect_timeout(config.connect_deadline)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(config.keep_alive)
        .keep_alive_timeout(PING_DEADLINE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(ANSWER_WINDOW)
        .initial_connection_window_size(ANSWER_WINDOW)
        .connect()
        .await
        .map_err(failed)
}

/// The cause that says something: transport errors wrap it several times.
fn innermost(fault: &dyn Error) -> String {
    let mut at = fault;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

async fn resume(
    channel: Channel,
    hello: Hello,
    compress: Option<CompressionEncoding>,
) -> Result<Link, LinkFault> {
    let mut grpc = Grpc::new(channel.clone());
    if let Some(encoding) = compress {
        grpc = grpc.send_compressed(encoding).accept_compressed(encoding);
    }
    grpc.ready()
        .await
        .map_err(|fault| LinkFault::Connect(innermost(&fault)))?;
    let (outgoing, requests) = mpsc::channel(OUTGOING_MAX);
    outgoing
        .send(Outgoing::Hello(hello))
        .await
        .map_err(|_closed| LinkFault::Closed)?;
    let request = Request::new(ReceiverStream::new(requests));
    let path = PathAndQuery::from_static(METHOD);
    let mut answers = grpc
        .streaming(request, path, DeliverCodec)
        .await?
        .into_inner();
    let first = answers.message().await?.ok_or(LinkFault::Closed)?;
    let Some(Message::Resume(resume)) = first.message else {
        return Err(Contract::Order("the first answer is not a Resume").into());
    };
    Ok(Link {
        outgoing,
        answers,
        positions: positions(&resume)?,
        ahead: if resume.accepts_ahead {
            Ahead::Accepted
        } else {
            Ahead::Refused
        },
        channel,
    })
}

fn positions(resume: &Resume) -> Result<Vec<Position>, Contract> {
    resume.positions.iter().map(position).collect()
}

fn position(position: &LanePosition) -> Result<Position, Contract> {
    let ahead = position.ahead.iter();
    Ok(Position {
        lane: lane(position.lane)?,
        next: Sequence(position.next_sequence),
        ahead: ahead
            .map(|r| SequenceRange::new(Sequence(r.first_sequence), Sequence(r.next_sequence)))
            .collect(),
    })
}

/// The lane of a number on the wire.
pub(super) fn lane(number: i32) -> Result<Lane, Contract> {
    let known = u8::try_from(number).ok().and_then(Lane::from_number);
    known.ok_or(Contract::Lane(number))
}
