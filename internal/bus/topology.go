package bus

import (
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/pkg/events"
)

// Topology is what the broker must hold: every stream, bucket and durable
// consumer, as data. The zero value is not usable; start from the defaults of
// its fields, which envconfig sets and [DefaultTopology] returns.
type Topology struct {
	Replicas      int           `default:"1" desc:"copies of every stream and bucket: 1 on one server, 3 in a cluster"`
	CallbackLanes int           `split_words:"true" default:"16" desc:"lanes of doorbells: accounts pulled at the same time"`
	CommandLanes  int           `split_words:"true" default:"32" desc:"lanes of commands: conversations answered at the same time"`
	ReplyLanes    int           `split_words:"true" default:"8" desc:"lanes of replies to events, which have 20 s"`
	MessageAge    time.Duration `split_words:"true" default:"168h" desc:"how long messages and events are kept; at least 96h"`
	OutcomeAge    time.Duration `split_words:"true" default:"168h" desc:"how long outcomes are kept"`
	MessageBytes  int64         `split_words:"true" default:"-1" desc:"most bytes KF_MESSAGE may hold; -1 for no limit"`
	AckWait       time.Duration `split_words:"true" default:"10s" desc:"after this time without a sign of life a lane goes to another replica"`
	Teams         []string      `example:"orders=ww0123456789abcdef/wkDESK" desc:"teams that get durables of their own on KF_MESSAGE and KF_OUTCOME, each as NAME=CORP/OPEN_KFID+CORP/OPEN_KFID, or NAME=CORP/*"`
}

// DefaultTopology is for one server.
func DefaultTopology() Topology {
	return Topology{Replicas: 1, CallbackLanes: 16, CommandLanes: 32, ReplyLanes: 8, MessageAge: 168 * time.Hour,
		OutcomeAge: 168 * time.Hour, MessageBytes: -1, AckWait: 10 * time.Second}
}

// LedgerAge is how long a conversation is remembered after its last change:
// longer than the longest command waits and the platform remembers a msgid.
const LedgerAge = 96 * time.Hour

// minMessageAge lets a lost cursor be mended from the stream: the platform
// serves 72 h, and a day more is for noticing.
const minMessageAge = 96 * time.Hour

// Validate checks the rules across fields.
func (t Topology) Validate() error {
	switch {
	case t.Replicas != 1 && t.Replicas != 3 && t.Replicas != 5:
		return fmt.Errorf("KF_TOPOLOGY_REPLICAS is %d; it must be 1, 3 or 5", t.Replicas)
	case t.CallbackLanes < 1 || t.CallbackLanes > 512 || t.CommandLanes < 1 || t.CommandLanes > 512:
		return fmt.Errorf("KF_TOPOLOGY_CALLBACK_LANES and KF_TOPOLOGY_COMMAND_LANES must be 1 to 512")
	case t.ReplyLanes < 1 || t.ReplyLanes > t.CommandLanes:
		return fmt.Errorf("KF_TOPOLOGY_REPLY_LANES must be 1 to KF_TOPOLOGY_COMMAND_LANES (%d)", t.CommandLanes)
	case t.MessageAge < minMessageAge:
		return fmt.Errorf("KF_TOPOLOGY_MESSAGE_AGE is %v; below %v a lost cursor could not be mended", t.MessageAge, minMessageAge)
	case t.AckWait < time.Second:
		return fmt.Errorf("KF_TOPOLOGY_ACK_WAIT is %v; it must be at least 1s", t.AckWait)
	}
	if _, err := ParseTeams(t.Teams); err != nil {
		return fmt.Errorf("KF_TOPOLOGY_TEAMS: %w", err)
	}
	return nil
}

// Streams returns every stream but those behind buckets.
func (t Topology) Streams() []jetstream.StreamConfig {
	ss := []jetstream.StreamConfig{
		{
			Name: events.StreamCallback, Subjects: []string{"kf.callback.>"}, Retention: jetstream.WorkQueuePolicy,
			// One in hand and one waiting: with 1, a new doorbell would replace the one in hand and
			// let a second worker in.
			MaxMsgsPerSubject: 2, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
			MaxAge: 24 * time.Hour, Duplicates: time.Hour,
			AllowAtomicPublish: true, // see Group
			SubjectTransform:   lanes(events.KindCallback, t.CallbackLanes),
			Description:        "doorbells: an account has something to pull",
		},
		{
			Name: events.StreamMessage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
			Subjects: []string{"kf.message.>", "kf.event.>", "kf.history.>", "kf.app.>", "kf.cursor.>"},
			MaxAge:   t.MessageAge, MaxBytes: t.MessageBytes, Duplicates: DuplicateWindow, // ids are app callbacks' and media events' only
			AllowAtomicPublish: true, AllowRollup: true, AllowMsgTTL: true, AllowDirect: true,
			Description: "messages, events, history, app callbacks and cursors",
		},
		{
			// The verbs are named one by one: a command of no known verb finds no stream, and its
			// publisher is told at once. No lane would ever take it out again.
			Name: events.StreamCommand, Subjects: commandSubjects(), Retention: jetstream.WorkQueuePolicy,
			Discard: jetstream.DiscardNew, Duplicates: 100 * time.Millisecond, // idempotency is the ledger's
			SubjectTransform: lanes(events.KindCommand, t.CommandLanes),
			Description:      "commands of the teams",
		},
		{
			Name: events.StreamOutcome, Subjects: []string{"kf.outcome.>"}, Retention: jetstream.LimitsPolicy,
			Discard: jetstream.DiscardNew, MaxAge: t.OutcomeAge, Duplicates: 10 * time.Minute, AllowDirect: true,
			Description: "what came of the commands",
		},
		{
			Name: events.StreamDead, Subjects: []string{"kf.dead.>"}, Retention: jetstream.LimitsPolicy,
			Discard: jetstream.DiscardOld, MaxAge: 30 * 24 * time.Hour, MaxBytes: 1 << 30, Duplicates: 10 * time.Minute,
			Description: "what could not be processed",
		},
		{
			Name: events.StreamTimer, Subjects: []string{"kf.timer.>", "kf.due.>"}, Retention: jetstream.LimitsPolicy,
			Discard: jetstream.DiscardOld, // the server refuses schedules with discard new
			MaxAge:  72 * time.Hour, Duplicates: 2 * time.Minute, AllowMsgSchedules: true, AllowMsgTTL: true, AllowRollup: true,
			Description: "delayed work",
		},
	}
	for i := range ss {
		// Replicas of a compressed stream can be lost for good when a server is killed: on its way
		// back, nats-server 2.15.2 cannot truncate what it compressed ("s2: unsupported input").
		ss[i].Compression = jetstream.NoCompression
		ss[i].Storage = jetstream.FileStorage
		ss[i].Replicas = t.Replicas
		if ss[i].MaxBytes == 0 {
			ss[i].MaxBytes = -1
		}
	}
	return ss
}

// DuplicateWindow is how long KF_MESSAGE knows a message id.
const DuplicateWindow = 24 * time.Hour

func commandSubjects() []string {
	var out []string
	for _, v := range events.Verbs() {
		out = append(out, "kf.command.*.*.*."+v+".*")
	}
	return out
}

func lanes(k events.Kind, n int) *jetstream.SubjectTransformConfig {
	return &jetstream.SubjectTransformConfig{Source: events.LaneSource(k), Destination: events.LaneDestination(k, n)}
}

// Buckets returns every KV bucket.
func (t Topology) Buckets() []jetstream.KeyValueConfig {
	bs := []jetstream.KeyValueConfig{
		{Bucket: events.BucketTokens, Description: "access tokens; each key expires with its token"},
		{Bucket: events.BucketLedger, TTL: LedgerAge, Description: "the sender's memory, one key a conversation"},
		{Bucket: events.BucketConversations, TTL: LedgerAge, Description: "window end, sends left and session state, one key a conversation"},
		{Bucket: events.BucketUploads, TTL: 72 * time.Hour, Description: "media_ids of files that commands brought, for as long as the platform keeps them"},
		{Bucket: events.BucketThrottle, TTL: 2 * time.Hour, Description: "shared pauses after the platform said 45009"},
	}
	for i := range bs {
		bs[i].History = 1 // more, and an expired value would bring back the one before it
		bs[i].LimitMarkerTTL = time.Minute
		bs[i].Storage = jetstream.FileStorage
		bs[i].Replicas = t.Replicas
	}
	return bs
}

// mediaAge is how long fetched files are kept: longer than the platform's three days.
const mediaAge = 168 * time.Hour

// Objects returns every object store.
func (t Topology) Objects() []jetstream.ObjectStoreConfig {
	return []jetstream.ObjectStoreConfig{{Bucket: events.BucketMedia, TTL: mediaAge, Storage: jetstream.FileStorage, Replicas: t.Replicas,
		Description: "inbound media, one object a file"}}
}

// Consumer is a durable of a stream.
type Consumer struct {
	Stream string
	jetstream.ConsumerConfig
}

// Durable names: Lane* take a lane's number.
const (
	DurableInbox      = "sender"     // KF_MESSAGE: customers' messages and events for the sender
	DurableMedia      = "media"      // KF_MESSAGE: messages with a file, for the syncer
	DurableDueSyncer  = "due-syncer" // KF_TIMER
	DurableDueSender  = "due-sender" // KF_TIMER
	DurableDueMedia   = "due-media"  // KF_TIMER
	DurableDueWindow  = "due-window" // KF_TIMER: windows that close, for the sender
	ServiceSyncer     = "syncer"     // service token of timers
	ServiceSender     = "sender"
	ServiceMedia      = "media"  // the part of the syncer that fetches files
	ServiceWindow     = "window" // the part of the sender that tells of windows
	laneSync          = "sync-"
	laneSend          = "send-"
	laneReply         = "reply-"
	unlimitedDelivery = -1
)

// teamAckWait is longer than a lane's: a bot may ask a slow model, and no lane waits for it.
const teamAckWait = time.Minute

// teamInHand is how much a team may have in hand before it acknowledges.
const teamInHand = 1000

// Consumers returns every durable the services use, and those of the teams.
func (t Topology) Consumers() []Consumer {
	var cs []Consumer
	add := func(stream, name string, inHand int, filters ...string) {
		c := jetstream.ConsumerConfig{Durable: name, AckPolicy: jetstream.AckExplicitPolicy, AckWait: t.AckWait,
			MaxAckPending: inHand, MaxDeliver: unlimitedDelivery, DeliverPolicy: jetstream.DeliverAllPolicy}
		if len(filters) == 1 {
			c.FilterSubject = filters[0]
		} else {
			c.FilterSubjects = filters
		}
		cs = append(cs, Consumer{stream, c})
	}
	for n := range t.CallbackLanes {
		add(events.StreamCallback, laneSync+strconv.Itoa(n), 1, events.LaneFilter(events.KindCallback, n)...)
	}
	for n := range t.CommandLanes {
		add(events.StreamCommand, laneSend+strconv.Itoa(n), 1,
			events.LaneFilter(events.KindCommand, n, events.VerbSend, events.VerbRecall, events.VerbTransfer)...)
	}
	for r := range t.ReplyLanes {
		var filters []string
		for n := r; n < t.CommandLanes; n += t.ReplyLanes {
			filters = append(filters, events.LaneFilter(events.KindCommand, n, events.VerbReply)...)
		}
		add(events.StreamCommand, laneReply+strconv.Itoa(r), 1, filters...)
	}
	add(events.StreamMessage, DurableInbox, 256, "kf.message.>", "kf.event.>")
	add(events.StreamMessage, DurableMedia, 64, mediaFilters()...)
	add(events.StreamTimer, DurableDueSyncer, 64, events.DueFilter(ServiceSyncer))
	add(events.StreamTimer, DurableDueSender, 64, events.DueFilter(ServiceSender))
	add(events.StreamTimer, DurableDueMedia, 64, events.DueFilter(ServiceMedia))
	add(events.StreamTimer, DurableDueWindow, 64, events.DueFilter(ServiceWindow))
	teams, _ := ParseTeams(t.Teams) // Validate has refused what cannot be read
	for _, team := range teams {
		cs = append(cs, team.consumers(jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy, AckWait: teamAckWait,
			MaxAckPending: teamInHand, MaxDeliver: unlimitedDelivery})...)
	}
	return cs
}

// mediaFilters are the subjects of messages that are a file.
func mediaFilters() []string {
	var out []string
	for _, msgType := range events.MediaTypes() {
		out = append(out, "kf.message.*.*."+msgType+".>", "kf.history.*.*."+msgType+".>")
	}
	return out
}
