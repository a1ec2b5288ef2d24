//! How announces travel: gossipsub without authors, since a message authenticates itself.

use crate::error::NetError;
use crate::limits;
use data_encoding::BASE32_NOPAD;
use libp2p::gossipsub::{
    AllowAllSubscriptionFilter, Behaviour, ConfigBuilder, IdentTopic, IdentityTransform,
    MaxCountSubscriptionFilter, Message, MessageAuthenticity, MessageId, PublishError, TopicHash,
    ValidationMode,
};
use std::time::Duration;

/// A topic as the application names it: 32 bytes that mean nothing to strangers.
pub type TopicId = [u8; 32];

/// What became of a message. None of these is an error: gossip is a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// Queued to the peers we are connected to that subscribe to the topic.
    Sent,
    /// No connected peer is known to subscribe to the topic (yet).
    NoPeers,
    /// The same bytes were published on this topic moments ago.
    Duplicate,
    /// Every peer's queue is full.
    Busy,
}

pub(crate) type Gossip = Behaviour<IdentityTransform, MaxCountSubscriptionFilter<AllowAllSubscriptionFilter>>;

pub(crate) fn behaviour() -> Result<Gossip, NetError> {
    let setup = |reason: String| NetError::Setup { part: "gossipsub", reason };
    let config = ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(content_id)
        .max_transmit_size(limits::GOSSIP_BYTES_MAX)
        .heartbeat_initial_delay(HEARTBEAT_FIRST)
        .heartbeat_interval(HEARTBEAT)
        .flood_publish(true)
        .unsubscribe_backoff(UNSUBSCRIBE_BACKOFF)
        .prune_backoff(PRUNE_BACKOFF)
        .duplicate_cache_time(REMEMBERED)
        .connection_handler_queue_len(limits::GOSSIP_QUEUE_MAX)
        .build()
        .map_err(|error| setup(error.to_string()))?;
    let filter = MaxCountSubscriptionFilter {
        filter: AllowAllSubscriptionFilter {},
        max_subscribed_topics: limits::TOPICS_MAX,
        max_subscriptions_per_request: limits::TOPICS_MAX,
    };
    Behaviour::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)
        .map_err(|error| setup(error.to_owned()))
}

pub(crate) fn topic(id: &TopicId) -> IdentTopic {
    IdentTopic::new(BASE32_NOPAD.encode(id).to_ascii_lowercase())
}

/// The topic behind a hash, unless it is not one of ours.
pub(crate) fn topic_id(hash: &TopicHash) -> Option<TopicId> {
    BASE32_NOPAD.decode(hash.as_str().to_ascii_uppercase().as_bytes()).ok()?.try_into().ok()
}

pub(crate) fn outcome(
    published: Result<MessageId, PublishError>,
    bytes: usize,
) -> Result<Published, NetError> {
    match published {
        Ok(_) => Ok(Published::Sent),
        Err(PublishError::NoPeersSubscribedToTopic) => Ok(Published::NoPeers),
        Err(PublishError::Duplicate) => Ok(Published::Duplicate),
        Err(PublishError::AllQueuesFull(_)) => Ok(Published::Busy),
        Err(PublishError::MessageTooLarge) => Err(NetError::TooLarge { bytes }),
        Err(error) => Err(NetError::Setup { part: "gossipsub", reason: error.to_string() }),
    }
}

/// Messages are the same when topic and bytes are.
fn content_id(message: &Message) -> MessageId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(message.topic.as_str().as_bytes()).update(&[0]).update(&message.data);
    MessageId::new(&hasher.finalize().as_bytes()[..MESSAGE_ID_BYTES])
}

const MESSAGE_ID_BYTES: usize = 20;
/// The mesh of a small space forms within one heartbeat.
const HEARTBEAT: Duration = Duration::from_millis(500);
const HEARTBEAT_FIRST: Duration = Duration::from_millis(100);
const UNSUBSCRIBE_BACKOFF: Duration = Duration::from_secs(1);
const PRUNE_BACKOFF: Duration = Duration::from_secs(10);
const REMEMBERED: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_survives_its_string_form() {
        assert_eq!(topic_id(&topic(&[9; 32]).hash()), Some([9; 32]));
        assert_eq!(topic_id(&IdentTopic::new("weather").hash()), None);
    }

    #[test]
    fn message_id_depends_on_topic_and_bytes_only() {
        let message = |on: u8, data: &[u8]| Message {
            source: None,
            data: data.to_vec(),
            sequence_number: None,
            topic: topic(&[on; 32]).hash(),
        };
        assert_eq!(content_id(&message(1, b"a")), content_id(&message(1, b"a")));
        assert_ne!(content_id(&message(1, b"a")), content_id(&message(2, b"a")));
        assert_ne!(content_id(&message(1, b"a")), content_id(&message(1, b"b")));
    }

    #[test]
    fn settings_are_accepted_by_gossipsub() {
        behaviour().unwrap();
    }
}
