package kfsim

import "sync"

// stats counts calls from the moment they arrive, whatever becomes of them.
type stats struct {
	mu       sync.Mutex
	n        uint64
	calls    map[string]int
	codes    map[string]map[int]int
	inFlight map[string]int // by path and, for gettoken, corp
	most     map[string]int // by path
}

func (t *stats) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls, t.codes, t.most = map[string]int{}, map[string]map[int]int{}, map[string]int{}
	if t.inFlight == nil {
		t.inFlight = map[string]int{} // calls under way survive a reset
	}
}

// begin numbers a call and returns how many of its kind are under way, for gettoken only.
func (t *stats) begin(path, corpID string) (n uint64, inFlight int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	t.calls[path]++
	key := path + " " + corpID
	t.inFlight[key]++
	t.most[path] = max(t.most[path], t.inFlight[key])
	if path == "gettoken" {
		inFlight = t.inFlight[key]
	}
	return t.n, inFlight
}

func (t *stats) end(path, corpID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := path + " " + corpID
	if t.inFlight[key]--; t.inFlight[key] == 0 {
		delete(t.inFlight, key)
	}
}

// count remembers the errcode a call was decided with.
func (t *stats) count(e Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.codes[e.Path] == nil {
		t.codes[e.Path] = map[int]int{}
	}
	t.codes[e.Path][e.ErrCode]++
}

// Calls is how many requests arrived for a path ("kf/send_msg"), refused and faulted ones included.
func (s *Sim) Calls(path string) int {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	return s.stats.calls[trimPath(path)]
}

// Answers is how many calls of a path were decided with errcode, whether or not the answer got
// through. Calls that a fault kept from being decided are not among them.
func (s *Sim) Answers(path string, errcode int) int {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	return s.stats.codes[trimPath(path)][errcode]
}

// MaxInFlight is the largest number of calls of a path that were ever under way at once; for
// gettoken, the largest number for one corp.
func (s *Sim) MaxInFlight(path string) int {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	return s.stats.most[trimPath(path)]
}
