//! The gRPC side: a stream's messages go to the commit thread in order, its answers come back after the write.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{
    Request, Response, Status, Streaming,
    codec::CompressionEncoding,
    codegen::{Body as HttpBody, BoxFuture, Service, http},
    server::{Grpc, NamedService, StreamingService},
};

use super::{
    faults::{FaultBoard, Faults},
    group::{Answer, Ask, Body, Origin},
    keys::Holder,
    view::View,
    wire::{Incoming, PlatformCodec},
};
use crate::{
    domain::Lane,
    proto::platform::{DeliverResponse, Hello, Resume, deliver_response::Message},
};

/// Messages of one stream that wait for their answer; a gateway's window is smaller.
const UNANSWERED_MAX: usize = 512;
/// Largest request, bytes.
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// What all streams share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) asks: mpsc::Sender<Ask>,
    pub(super) faults: FaultBoard,
    pub(super) view: Arc<View>,
    pub(super) streams: TaskTracker,
    /// Cancelled: orderly stop.
    pub(super) stop: CancellationToken,
    /// Cancelled: dead, nothing more is answered.
    pub(super) dead: CancellationToken,
    pub(super) epochs: AtomicU64,
    pub(super) compression: bool,
}

/// `sensegate.platform.v1.PerceptionPlatformService`.
#[derive(Debug, Clone)]
pub(super) struct PlatformService(pub(super) Arc<Shared>);

impl NamedService for PlatformService {
    const NAME: &'static str = "sensegate.platform.v1.PerceptionPlatformService";
}

impl<B> Service<http::Request<B>> for PlatformService
where
    B: HttpBody + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            if !request.uri().path().ends_with("/Deliver") {
                return Ok(Status::unimplemented("no such method").into_http());
            }
            let mut grpc = Grpc::new(PlatformCodec).max_decoding_message_size(REQUEST_BYTES_MAX);
            if shared.compression {
                grpc = grpc
                    .accept_compressed(CompressionEncoding::Zstd)
                    .send_compressed(CompressionEncoding::Zstd);
            }
            Ok(grpc.streaming(Deliver(shared), request).await)
        })
    }
}

struct Deliver(Arc<Shared>);

impl StreamingService<Incoming> for Deliver {
    type Response = DeliverResponse;
    type ResponseStream = Answers;
    type Future = BoxFuture<Response<Answers>, Status>;

    fn call(&mut self, request: Request<Streaming<Incoming>>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            if let Some(status) = shared.faults.status() {
                return Err(status);
            }
            let (slots, answers) = mpsc::channel(UNANSWERED_MAX);
            let (resumed, resume) = oneshot::channel();
            let (end, ended) = oneshot::channel();
            let stream = Intake {
                shared: Arc::clone(&shared),
                slots,
            };
            let tracker = shared.streams.clone();
            tracker.spawn(async move {
                let view = Arc::clone(&stream.shared.view);
                view.streams_opened.fetch_add(1, Ordering::Relaxed);
                view.streams_open.fetch_add(1, Ordering::Relaxed);
                let last = stream.run(request.into_inner(), resumed).await;
                view.streams_open.fetch_sub(1, Ordering::Relaxed);
                // the gateway may be gone: nobody is left to tell
                drop(end.send(last));
            });
            let (resume, ended) = (Some(resume), Some(ended));
            Ok(Response::new(Answers {
                resume,
                answers,
                ready: VecDeque::new(),
                ended,
            }))
        })
    }
}

/// How a stream ends.
enum End {
    /// Answers what is owed first.
    Settled,
    /// At once, owing answers; with or without a status.
    Abrupt(Option<Status>),
}

/// One stream's way in.
struct Intake {
    shared: Arc<Shared>,
    slots: mpsc::Sender<Answer>,
}

impl Intake {
    async fn run(self, mut requests: Streaming<Incoming>, resumed: oneshot::Sender<Resume>) -> End {
        let stop = self.shared.stop.clone();
        let dead = self.shared.dead.clone();
        tokio::select! {
            biased;
            () = dead.cancelled() => End::Abrupt(Some(Status::unavailable("the platform died"))),
            () = stop.cancelled() => {
                End::Abrupt(Some(Status::unavailable("the platform is stopping")))
            }
            ended = self.take(&mut requests, resumed) => ended.unwrap_or_else(|status| End::Abrupt(Some(status))),
        }
    }

    async fn take(
        &self,
        requests: &mut Streaming<Incoming>,
        resumed: oneshot::Sender<Resume>,
    ) -> Result<End, Status> {
        let Some(Incoming::Hello(hello)) = requests.message().await? else {
            return Err(Status::invalid_argument("the first message is not a Hello"));
        };
        let origin = Arc::new(self.hello(hello, resumed).await?);
        let mut batches: u64 = 0;
        while let Some(message) = requests.message().await? {
            let faults = self.shared.faults.get();
            let message = match message {
                Incoming::Hello(_) => return Err(Status::invalid_argument("a second Hello")),
                Incoming::Gap(gap) => Body::Gap(gap),
                Incoming::Batch(batch) => {
                    batches += 1;
                    slow(&faults).await;
                    Body::Batch(batch)
                }
            };
            let closed = |_closed| Status::unavailable("the platform is stopping");
            let slot = self.slots.clone().reserve_owned().await.map_err(closed)?;
            let ask = Ask::Store {
                from: Arc::clone(&origin),
                message,
                slot,
            };
            let gone = |_gone| Status::unavailable("the platform cannot store");
            self.shared.asks.send(ask).await.map_err(gone)?;
            if faults.close_every_batches > 0 && batches >= faults.close_every_batches {
                return Ok(End::Abrupt(None));
            }
        }
        Ok(End::Settled)
    }

    async fn hello(
        &self,
        hello: Hello,
        resumed: oneshot::Sender<Resume>,
    ) -> Result<Origin, Status> {
        if hello.gateway_id.is_empty() || hello.gateway_id.len() > usize::from(u8::MAX) {
            return Err(Status::invalid_argument("gateway_id has 1 to 255 bytes"));
        }
        let incarnation = <[u8; 16]>::try_from(&hello.incarnation[..])
            .map_err(|_len| Status::invalid_argument("incarnation has 16 bytes"))?;
        let lanes = match hello.lanes.as_slice() {
            [] => Lane::ALL.to_vec(),
            named => named
                .iter()
                .map(|&number| lane(number))
                .collect::<Result<_, _>>()?,
        };
        let epoch = self.shared.epochs.fetch_add(1, Ordering::Relaxed) + 1;
        let holders = lanes.iter().map(|&lane| Holder {
            gateway: hello.gateway_id.clone(),
            incarnation,
            lane,
        });
        let ask = Ask::Hello {
            holders: holders.collect(),
            epoch,
            answer: resumed,
        };
        let gone = |_gone| Status::unavailable("the platform cannot store");
        self.shared.asks.send(ask).await.map_err(gone)?;
        Ok(Origin {
            gateway: hello.gateway_id,
            incarnation,
            lanes,
            epoch,
        })
    }
}

async fn slow(faults: &Faults) {
    if faults.delay_ms > 0 {
        tokio::time::sleep(faults.delay()).await;
    }
}

fn lane(number: i32) -> Result<Lane, Status> {
    let known = u8::try_from(number).ok().and_then(Lane::from_number);
    known.ok_or_else(|| Status::invalid_argument("a lane that does not exist"))
}

/// One stream's way out.
struct Answers {
    resume: Option<oneshot::Receiver<Resume>>,
    answers: mpsc::Receiver<Answer>,
    ready: VecDeque<DeliverResponse>,
    ended: Option<oneshot::Receiver<End>>,
}

impl Answers {
    /// Whether the stream was ended without settling.
    fn poll_abrupt(&mut self, cx: &mut Context<'_>) -> Option<Option<Status>> {
        let ended = self.ended.as_mut()?;
        match Pin::new(ended).poll(cx) {
            Poll::Pending => None,
            Poll::Ready(Ok(End::Abrupt(status))) => Some(status),
            Poll::Ready(Ok(End::Settled)) => {
                self.ended = None;
                None
            }
            Poll::Ready(Err(_panicked)) => Some(Some(Status::internal("the stream's task died"))),
        }
    }

    fn poll_resume(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(resume) = &mut self.resume else {
            return Poll::Ready(());
        };
        let resume = std::task::ready!(Pin::new(resume).poll(cx));
        self.resume = None;
        if let Ok(resume) = resume {
            self.ready.push_back(response(Message::Resume(resume)));
        }
        Poll::Ready(())
    }
}

const fn response(message: Message) -> DeliverResponse {
    DeliverResponse {
        message: Some(message),
    }
}

impl Stream for Answers {
    type Item = Result<DeliverResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(status) = this.poll_abrupt(cx) {
            this.answers.close();
            this.ready.clear();
            this.ended = None;
            return Poll::Ready(status.map(Err));
        }
        std::task::ready!(this.poll_resume(cx));
        loop {
            if let Some(ready) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(ready)));
            }
            match std::task::ready!(this.answers.poll_recv(cx)) {
                None => return Poll::Ready(None),
                Some(Err(status)) => return Poll::Ready(Some(Err(status))),
                Some(Ok(receipt)) => {
                    let refused = receipt.refused.into_iter().map(Message::Refused);
                    this.ready.extend(refused.map(response));
                    this.ready
                        .push_back(response(Message::Accepted(receipt.accepted)));
                }
            }
        }
    }
}
