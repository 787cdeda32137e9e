package console

// A flow is what belongs together on the page: the customer's message, its
// callback, doorbell and page, and the commands that answer it. Where the bus
// carries a trace, the trace decides. The platform knows no traces, so that its
// calls are joined by the ids they name; where many things happen at once in one
// account, this is a good guess and no proof.

// flows gives numbers to flows. The zero value is ready to use.
type flows struct {
	last    uint64
	known   recent[uint64]
	pending map[string][]unsettled // by conversation key: commands without an outcome, oldest first
}

type unsettled struct {
	id   string // of known
	flow uint64
}

// maxPending bounds the commands that are remembered for one conversation, and the
// conversations: where no sender runs, none ever gets its outcome.
const maxPending = 64

// Keys of flows.known.
func byTrace(traceID string) string    { return key("trace", traceID) }
func byMsgID(msgID string) string      { return key("msgid", msgID) }
func byCommand(team, id string) string { return key("command", team+" "+id) }
func byCallback(n string) string       { return key("callback", n) }
func begun(conversation string) string { return key("begun", conversation) }
func lastItem(account string) string   { return key("item", account) }
func lastRing(account string) string   { return key("ring", account) }

func key(kind, id string) string {
	if id == "" {
		return ""
	}
	return kind + " " + id
}

// find returns the flow of the first key that is known, and 0 when none is.
func (f *flows) find(keys ...string) uint64 {
	for _, k := range keys {
		if flow, ok := f.known.get(k); ok && k != "" {
			return flow
		}
	}
	return 0
}

// join returns the flow of the first key that is known, or a new one, and makes
// the others known as the same.
func (f *flows) join(keys ...string) uint64 {
	flow := f.find(keys...)
	if flow == 0 {
		f.last++
		flow = f.last
	}
	for _, k := range keys {
		if _, ok := f.known.get(k); !ok && k != "" {
			f.known.set(k, flow)
		}
	}
	return flow
}

// wait notes that a command of a conversation has no outcome yet. The sender takes
// the commands of one conversation in their order, so that the next API call there
// is made for the first that waits.
func (f *flows) wait(conversation string, c unsettled) {
	if f.pending == nil || len(f.pending) > maxPending && f.pending[conversation] == nil {
		f.pending = map[string][]unsettled{}
	}
	list := append(f.pending[conversation], c)
	f.pending[conversation] = list[max(0, len(list)-maxPending):]
}

// waiting returns the flow of the first command without an outcome, or 0.
func (f *flows) waiting(conversation string) uint64 {
	if list := f.pending[conversation]; len(list) > 0 {
		return list[0].flow
	}
	return 0
}

// settle forgets a command that has its outcome.
func (f *flows) settle(conversation, id string) {
	list := f.pending[conversation]
	for i, c := range list {
		if c.id == id {
			f.pending[conversation] = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if len(f.pending[conversation]) == 0 {
		delete(f.pending, conversation)
	}
}

// recent is a map that forgets: it keeps the last generation, at least, of what was
// set or asked for. The zero value is ready to use.
type recent[V any] struct{ young, old map[string]V }

const generation = 4096

func (r *recent[V]) set(k string, v V) {
	if r.young == nil || len(r.young) >= generation {
		r.young, r.old = map[string]V{}, r.young
	}
	r.young[k] = v
}

func (r *recent[V]) get(k string) (V, bool) {
	if v, ok := r.young[k]; ok {
		return v, true
	}
	v, ok := r.old[k]
	if ok {
		r.set(k, v)
	}
	return v, ok
}

func (r *recent[V]) drop(k string) {
	delete(r.young, k)
	delete(r.old, k)
}
