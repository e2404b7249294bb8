package peering

import "github.com/ssyncp/ssyncp/internal/counters"

// Count is what a node does.
type Count int

// Counts of a node.
const (
	Received        Count = iota // frames that were opened
	Applied                      // of them, those with adverts that were applied
	Duplicates                   // frames that came over another link before
	Repeated                     // adverts that came again: another receiver had asked
	SentNews                     // frames with adverts, for the first time
	SentAgain                    // frames that a peer had missed
	SentChunks                   // of snapshots
	SentChunkAgain               // of these, those that were sent again
	SentHeartbeats               //
	SentChallenges               //
	SentEchoes                   //
	SentNacks                    //
	SentGone                     //
	SentRequests                 // for snapshots
	SentAcks                     //
	SentRefusals                 // of snapshots
	Suppressed                   // NACKs that another receiver had sent
	Proofs                       // peers whose freshness was proven
	Snapshots                    // taken to the end
	SnapshotsServed              //
	Announcements                // of everything that this director owns
	SentAnnounced                // frames of them
	SentProbes                   // of what links take
	SentProbeAcks                //
	SentQueries                  // for objects of peers
	SentAnswers                  // to such QUERIES
	Inspections                  // snapshots that are compared, not applied
	counts
)

// Trouble is what was dropped, or went wrong.
type Trouble int

// Troubles of a node.
const (
	Own              Trouble = iota // our own frames, reflected
	Replayed                        // frames that were seen, or are too old to tell
	PeersFull                       // frames of a new peer, with 64 that are fresh
	UnprovenAdvert                  // blocks of a peer whose freshness is not proven
	UnprovenNack                    //
	UnprovenGone                    //
	UnprovenRequest                 //
	UnprovenChunk                   //
	UnprovenAck                     //
	UnprovenOther                   //
	ChallengeStale                  // CHALLENGEs to another start of ours
	EchoWrong                       // ECHOs of what we did not ask
	UnknownBlock                    // blocks that were skipped
	UnknownClass                    // ADVERTs that were skipped
	BrokenEntries                   // frames that the sink refused
	Twins                           // frames of a sender ID with two live starts
	Lost                            // peers that fell silent
	LinksSilent                     // links that a peer is not heard on any more, but on others
	GapsAbandoned                   // times that sequences were given up for a snapshot
	NackUnknown                     // NACKs of what was never sent
	RequestStale                    // SNAPSHOT REQUESTs to another start of ours
	ChunkUnasked                    // CHUNKs that belong to no request
	AckUnknown                      // ACKs of what is not served
	SnapshotsFailed                 // taken: the donor fell silent
	SnapshotsRefused                // by a donor
	ServingFailed                   // snapshots: the peer fell silent, or reading failed
	AnnouncingFailed                //
	ProbesIgnored                   // PROBEs, more than are answered
	UnprovenQuery                   // blocks of a peer whose freshness is not proven
	UnprovenAnswer                  //
	QueryStale                      // QUERIES to another start of ours
	QueriesIgnored                  // more than are answered
	AnswerUnasked                   // ANSWERS to no QUERY of ours, or that came twice
	LinksNarrow                     // times that a link did not take what it claims
	troubles
)

// Counters of a node.
type Counters struct {
	Counts   *counters.Set[Count]
	Troubles *counters.Set[Trouble]
}

var (
	countNames = [counts]string{
		"received_frames", "applied_frames", "duplicate_frames", "repeated_adverts", "sent_news", "sent_again", "sent_chunks",
		"sent_chunks_again", "sent_heartbeats", "sent_challenges", "sent_echoes", "sent_nacks", "sent_gone",
		"sent_requests", "sent_acks", "sent_refusals", "suppressed_nacks", "proofs", "snapshots",
		"snapshots_served", "announcements", "sent_announced", "sent_probes", "sent_probe_acks",
		"sent_queries", "sent_answers", "inspections",
	}
	troubleNames = [troubles]string{
		"own", "replayed", "peers_full", "unproven_advert", "unproven_nack", "unproven_gone", "unproven_request",
		"unproven_chunk", "unproven_ack", "unproven_other", "challenge_stale", "echo_wrong", "unknown_block",
		"unknown_class", "broken_entries", "twins", "lost_peers", "silent_links", "gaps_abandoned", "nack_unknown", "request_stale",
		"chunk_unasked", "ack_unknown", "snapshots_failed", "snapshots_refused", "serving_failed",
		"announcing_failed", "probes_ignored", "unproven_query", "unproven_answer", "query_stale", "queries_ignored",
		"answer_unasked", "narrow_links",
	}
)

// NewCounters returns counters that are zero.
func NewCounters() Counters {
	return Counters{
		Counts:   counters.New[Count]("peering", countNames[:]...),
		Troubles: counters.New[Trouble]("peering_trouble", troubleNames[:]...),
	}
}
