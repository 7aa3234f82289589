//! A platform that says what it should not, whatever it is sent.

use std::pin::Pin;

use sensegate::{
    proto::platform::{
        Accepted, DeliverRequest, DeliverResponse, Refused, Resume,
        deliver_response::Message,
        perception_platform_service_server::{
            PerceptionPlatformService, PerceptionPlatformServiceServer,
        },
    },
    supervise::TaskSet,
};
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt as _, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

/// Lanes that a stream may carry: the lie is told of each.
const LANES: [i32; 3] = [1, 2, 3];

struct Liar(fn(i32) -> Message);

pub(super) struct RunningLiar {
    pub(super) url: String,
    pub(super) tasks: TaskSet,
}

pub(super) fn accepted(lane: i32, next_sequence: u64) -> Message {
    Message::Accepted(Accepted {
        lane,
        next_sequence,
        first_sequence: 0,
    })
}

pub(super) fn refused(lane: i32, sequence: u64) -> Message {
    Message::Refused(Refused {
        lane,
        sequence,
        reason: "because".to_owned(),
    })
}

#[tonic::async_trait]
impl PerceptionPlatformService for Liar {
    type DeliverStream = Pin<Box<dyn Stream<Item = Result<DeliverResponse, Status>> + Send>>;

    async fn deliver(
        &self,
        request: Request<Streaming<DeliverRequest>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        let lie = self.0;
        let resume = Message::Resume(Resume {
            positions: vec![],
            accepts_ahead: true,
        });
        let answers = std::iter::once(resume).chain(LANES.into_iter().map(lie));
        let answers = answers.map(|message| {
            Ok(DeliverResponse {
                message: Some(message),
            })
        });
        // then silent for as long as the gateway stays
        let silent = request.into_inner().filter_map(|_| None);
        Ok(Response::new(Box::pin(
            tokio_stream::iter(answers).chain(silent),
        )))
    }
}

pub(super) async fn start(lie: fn(i32) -> Message) -> RunningLiar {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = TaskSet::new();
    let stop = tasks.token();
    tasks.spawn("liar", async move {
        tonic::transport::Server::builder()
            .add_service(PerceptionPlatformServiceServer::new(Liar(lie)))
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop.cancelled())
            .await?;
        Ok(())
    });
    RunningLiar { url, tasks }
}
