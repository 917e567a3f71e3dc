//! What an error of the client means to us.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::BusError;

pub(super) fn broker(doing: &'static str, error: &KafkaError) -> BusError {
    let transient = error.rdkafka_error_code().is_some_and(is_transient);
    let mut reason = error.to_string();
    if matches!(error, KafkaError::ClientConfig(..)) && reason.to_ascii_lowercase().contains("ssl") {
        reason.push_str(" (encryption needs a build with the feature `kafka-tls`)");
    }
    BusError::Broker { doing, reason, transient }
}

/// An error about a topic, or about a record of it.
pub(super) fn topic(doing: &'static str, topic: &str, error: &KafkaError) -> BusError {
    match error.rdkafka_error_code() {
        Some(code) if is_missing(code) => BusError::NoTopic(topic.to_owned()),
        _ => broker(doing, error),
    }
}

pub(super) fn is_missing(code: Code) -> bool {
    matches!(code, Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicOrPartition)
}

/// The world may be better in a moment, with the same client.
pub(super) fn is_transient(code: Code) -> bool {
    matches!(
        code,
        Code::AllBrokersDown
            | Code::BrokerNotAvailable
            | Code::BrokerTransportFailure
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::LeaderNotAvailable
            | Code::MessageTimedOut
            | Code::NetworkException
            | Code::NotCoordinator
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::NotLeaderForPartition
            | Code::OperationTimedOut
            | Code::QueueFull
            // What is known of the leader is of before its crash; it is asked for anew.
            | Code::FencedLeaderEpoch
            | Code::OffsetNotAvailable
            | Code::KafkaStorageError
            | Code::ReplicaNotAvailable
            | Code::UnknownLeaderEpoch
            | Code::RebalanceInProgress
            | Code::RequestTimedOut
            | Code::Resolve
            | Code::WaitingForCoordinator
    )
}

/// The group has moved on: the partition goes elsewhere, or will be ours again with the next assignment.
pub(super) fn is_membership(code: Code) -> bool {
    matches!(
        code,
        Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::RebalanceInProgress
            | Code::AssignmentLost
            | Code::StaleMemberEpoch
            | Code::FencedMemberEpoch
    )
}
