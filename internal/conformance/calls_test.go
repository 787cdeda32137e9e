package conformance

import (
	"maps"
	"testing"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// everyCall is a case for each call of the platform: it makes the call with the typed client and checks what the reply
// documents against the simulator's own view, and what has changed there.
func everyCall() map[string]func(*world) {
	all := map[string]func(*world){}
	for _, part := range []map[string]func(*world){
		tokenCalls(), messageCalls(), sessionCalls(), accountCalls(), servicerCalls(), customerCalls(), statisticCalls(), knowledgeCalls(), mediaCalls(),
	} {
		maps.Copy(all, part)
	}
	return all
}

func TestEveryCall(t *testing.T) {
	cases, known := everyCall(), map[string]bool{}
	for _, e := range kfapi.Endpoints() {
		known[e.Path] = true
		if cases[e.Path] == nil {
			t.Errorf("%s has no case here", e.Path)
		}
	}
	for path, run := range cases {
		if !known[path] {
			t.Errorf("the client has no call %s", path)
		}
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			run(w)
			for _, e := range w.Journal() {
				if e.Kind == kfsim.KindCall && e.Path == path && e.Effect {
					return
				}
			}
			t.Errorf("no call of %s succeeded", path)
		})
	}
}
