package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What the broker can answer, as this project tells them apart. Match with
// errors.Is; the text behind a code may change and decides in one place only,
// below, where the server uses one code for two things.
var (
	ErrConflict     = errors.New("somebody else wrote first")                          // 10071; 10164 too at R3
	ErrCovered      = errors.New("the subject holds as many messages as it may")       // 10077, per subject
	ErrFull         = errors.New("the stream is full")                                 // 10077
	ErrResources    = errors.New("the broker has no resources left")                   // 10023
	ErrBatchSize    = errors.New("the batch is too large")                             // 10199
	ErrBatchRepeat  = errors.New("the batch holds a message id that is there already") // 10201
	ErrBatchBusy    = errors.New("too many batches are open")                          // 10210
	ErrBatchCut     = errors.New("the batch did not arrive whole")                     // 10176: its leader went, nothing is stored
	ErrInFlight     = errors.New("a message with this id is just being stored")        // 10158, at R3: later it is a repeat
	ErrUnavailable  = errors.New("the broker cannot serve this for the moment")        // 10008, 10009: it elects
	ErrNoStream     = errors.New("no stream takes this subject")                       // no responders
	ErrNotFound     = errors.New("no message found")                                   // 10037, 404
	ErrDisconnected = errors.New("not connected to the broker")                        // nothing was sent
	ErrUnknown      = errors.New("no answer from the broker: stored or not, nobody knows")
)

const (
	codeWrongSequence      = 10071
	codeWrongSequenceConst = 10164
	codeStoreFailed        = 10077
	codeNoResources        = 10023
	codeBatchTooLarge      = 10199
	codeBatchDuplicate     = 10201
	codeBatchInflight      = 10210
	codeBatchIncomplete    = 10176
	codeIDInFlight         = 10158
	codeNotAvailable       = 10008
	codeNotLeader          = 10009
	codeNoMessage          = 10037
	perSubject             = "maximum messages per subject exceeded"
)

// Classify turns an error of nats.go into one of the errors above, wrapped
// around the original; what it does not know it returns unchanged. A refusal by
// permission looks like a timeout and so becomes ErrUnknown.
func Classify(err error) error {
	if err == nil {
		return nil
	}
	class := classOf(err)
	if class == nil || errors.Is(err, class) {
		return err
	}
	return fmt.Errorf("%w: %w", class, err)
}

func classOf(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return classOfCode(int(api.ErrorCode), api.Description)
	}
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		return ErrNoStream
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionClosed),
		errors.Is(err, nats.ErrConnectionReconnecting):
		return ErrDisconnected
	case errors.Is(err, jetstream.ErrMsgNotFound), errors.Is(err, jetstream.ErrKeyNotFound):
		return ErrNotFound
	case errors.Is(err, jetstream.ErrAsyncPublishTimeout), errors.Is(err, nats.ErrTimeout),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, nats.ErrDisconnected):
		return ErrUnknown
	}
	return nil
}

func classOfCode(code int, description string) error {
	switch code {
	case codeWrongSequence, codeWrongSequenceConst:
		return ErrConflict
	case codeStoreFailed: // one code for two things
		if strings.Contains(description, perSubject) {
			return ErrCovered
		}
		return ErrFull
	case codeNoResources:
		return ErrResources
	case codeBatchTooLarge:
		return ErrBatchSize
	case codeBatchDuplicate:
		return ErrBatchRepeat
	case codeBatchInflight:
		return ErrBatchBusy
	case codeBatchIncomplete:
		return ErrBatchCut
	case codeIDInFlight:
		return ErrInFlight
	case codeNotAvailable, codeNotLeader:
		return ErrUnavailable
	case codeNoMessage:
		return ErrNotFound
	}
	return nil
}

// Temporary reports whether a broker that is well will soon say something else,
// as one that elects a leader does. Repeat what is safe to repeat, and no other.
func Temporary(err error) bool {
	for _, class := range []error{ErrDisconnected, ErrUnknown, ErrUnavailable, ErrInFlight, ErrBatchBusy, ErrBatchCut} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

// Reason is a short word for an error, for metrics and logs: a closed set.
func Reason(err error) string {
	for _, r := range []struct {
		err  error
		word string
	}{
		{ErrConflict, "conflict"}, {ErrCovered, "covered"}, {ErrFull, "full"}, {ErrResources, "no_resources"},
		{ErrBatchSize, "batch_size"}, {ErrBatchRepeat, "batch_repeat"}, {ErrBatchBusy, "batch_busy"},
		{ErrBatchCut, "batch_cut"}, {ErrInFlight, "in_flight"}, {ErrUnavailable, "unavailable"},
		{ErrNoStream, "no_stream"}, {ErrNotFound, "not_found"}, {ErrDisconnected, "disconnected"}, {ErrUnknown, "no_answer"},
	} {
		if errors.Is(err, r.err) {
			return r.word
		}
	}
	return "other"
}
