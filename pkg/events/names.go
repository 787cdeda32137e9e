package events

// Streams.
const (
	StreamCallback = "KF_CALLBACK" // doorbells; work queue
	StreamMessage  = "KF_MESSAGE"  // messages, events, history, app callbacks, cursors
	StreamCommand  = "KF_COMMAND"  // commands; work queue
	StreamOutcome  = "KF_OUTCOME"  // outcomes
	StreamDead     = "KF_DEAD"     // what could not be processed
	StreamTimer    = "KF_TIMER"    // delayed work, by message schedules
)

// Buckets.
const (
	BucketTokens        = "kf_tokens"        // access tokens, one key a credential
	BucketLedger        = "kf_ledger"        // the sender's own memory, one key a conversation
	BucketConversations = "kf_conversations" // what teams may know of a conversation
	BucketThrottle      = "kf_throttle"      // pauses shared by all replicas, one key a corp and API
	BucketUploads       = "kf_uploads"       // media_ids of files that the sender uploaded, one key a file
	BucketMedia         = "kf_media"         // object store of inbound media
)

// Verbs of commands.
const (
	VerbSend     = "send"     // kf/send_msg
	VerbReply    = "reply"    // kf/send_msg_on_event
	VerbRecall   = "recall"   // kf/recall_msg
	VerbTransfer = "transfer" // kf/service_state/trans
)

// Verbs returns every verb, in the order of the documentation.
func Verbs() []string { return []string{VerbSend, VerbReply, VerbRecall, VerbTransfer} }

// States of an outcome: what came of a command. Each command gets exactly one,
// and after it at most one correction (see [Outcome.Corrects]).
const (
	StateAccepted  = "accepted"  // the platform has taken exactly one copy
	StateRefused   = "refused"   // none was taken, and none will be: a rule or the platform says no
	StateFailed    = "failed"    // none was taken; or, as a correction, the platform could not deliver it
	StateExpired   = "expired"   // its time ran out before anything was sent
	StateCancelled = "cancelled" // a recall came before the send
	StateRecalled  = "recalled"  // of a recall: the message is gone, or was never sent
	StateDryRun    = "dry_run"   // of a dry run: what would have come of it; nothing was done
	StatePartial   = "partial"   // of several messages of one command the first were taken, and no more will be
	StateUnknown   = "unknown"   // an answer was lost and nothing more can be learned
)

// States returns every state, in the order of the documentation.
func States() []string {
	return []string{StateAccepted, StateRefused, StateFailed, StateExpired, StateCancelled, StateRecalled, StatePartial, StateDryRun, StateUnknown}
}

// What would come of a command, in the outcome of its dry run.
const (
	WouldSend    = "send"     // the request would be made now
	WouldHold    = "hold"     // it would wait: for its turn, for a human's session to end, for a pause to be over
	WouldKnown   = "known"    // its id was used: the outcome of then would be told again, or is still to come
	WouldRefused = "refused"  // reason says why
	WouldExpired = "expired"  // it would be too late
	WouldRecall  = "recalled" // of a recall: there is nothing to take back, and there would never be
)

// Woulds returns every one, in the order of the documentation.
func Woulds() []string {
	return []string{WouldSend, WouldHold, WouldKnown, WouldRefused, WouldExpired, WouldRecall}
}

// CloudEvents types. A message type or event type is put between prefix and
// version: io.github.kfbus.message.text.v1.
const (
	typePrefix  = "io.github.kfbus."
	typeVersion = ".v1"

	TypeCallback = typePrefix + "callback" + typeVersion
	TypeCursor   = typePrefix + "cursor" + typeVersion
	TypeDead     = typePrefix + "dead" + typeVersion
	TypeSuspect  = typePrefix + "token.suspect" + typeVersion
)

// TypeOf returns the CloudEvents type of a kind of event and its name, for
// example TypeOf(KindMessage, "text") = "io.github.kfbus.message.text.v1".
// A name that is no token is hashed like one.
func TypeOf(k Kind, name string) string {
	return typePrefix + string(k) + "." + Token(name) + typeVersion
}

// TypeOfApp returns the CloudEvents type of an ordinary WeCom app callback;
// class is "message" or "event", names the MsgType, or the Event and, where there
// is one, its ChangeType.
func TypeOfApp(class string, names ...string) string {
	t := typePrefix + string(KindApp) + "." + class
	for _, n := range names {
		t += "." + Token(n)
	}
	return t + typeVersion
}

// Extension attributes of the events. CloudEvents allows a–z and 0–9 only.
const (
	ExtOpenKfID       = "openkfid"       // the account
	ExtExternalUserID = "externaluserid" // the customer
	ExtCorp           = "corpid"         // the corp
	ExtOrigin         = "kforigin"       // 3 customer, 4 system event, 5 servicer
	ExtSeq            = "kfseq"          // place in the account's order, 20 digits, zero-padded
	ExtHistory        = "kfhistory"      // "true" on kf.history: older than the cold start
	ExtReplay         = "kfreplay"       // "true": may have been published before
	ExtCausationID    = "causationid"    // the command, message or callback that caused it
	ExtExpiryTime     = "expirytime"     // RFC 3339: of a command, when it is too late to send it
	ExtGeneration     = "generation"     // of a command: refused when a human took over since
	ExtInHumanSession = "inhumansession" // of a command: "refuse" (default) or "hold"
	ExtSplit          = "split"          // of a command: "true" lets a long text go as several messages
	ExtDryRun         = "dryrun"         // of a command: "true" only asks what would come of it
	ExtTraceParent    = "traceparent"    // W3C trace context of the origin
	ExtDataRef        = "dataref"        // where the media is, in kf_media
	ExtClass          = "kfclass"        // of an app message: what kind of thing it says
	ExtTeam           = "kfteam"         // of an outcome: whose command it was
)

// ContentType is the header value of every structured event, exactly: some
// CloudEvents SDKs refuse it with a charset.
const ContentType = "application/cloudevents+json"

// ContentTypeHeader is the NATS header that carries [ContentType].
const ContentTypeHeader = "Content-Type"

// Headers of what `kfbus replay` copies and `kfbus dead redrive` publishes again.
const (
	HeaderReplay        = "Kf-Replay"         // the name of the replay
	HeaderReplaySubject = "Kf-Replay-Subject" // where the original was published
	HeaderReplaySeq     = "Kf-Replay-Seq"     // its sequence in [StreamMessage]: a replay goes on after it
	HeaderRedrive       = "Kf-Redrive"        // the sequence of the dead letter in [StreamDead]
)
