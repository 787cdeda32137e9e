package kfsim

import (
	"fmt"
	"strings"
	"testing"
)

func TestHooks(t *testing.T) {
	r := newRig(t, Config{})
	r.says(ann, "hi")
	var seen []string
	note := func(point string) func(Call) {
		return func(c Call) {
			seen = append(seen, fmt.Sprintf("%s %s %s %d accepted=%d", point, c.Path, c.MsgID, c.ErrCode, len(r.Accepted())))
		}
	}
	defer r.OnRequest(note("request"))()
	defer r.OnEffect(note("effect"))()
	remove := r.OnAnswer(note("answer"))
	r.wantCode("send", r.text("m1"), 0)
	want := []string{
		"request kf/send_msg  0 accepted=0",
		"effect kf/send_msg m1 0 accepted=1",
		"answer kf/send_msg m1 0 accepted=1",
	}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", seen, want)
	}
	seen = nil
	r.wantCode("refused", r.text("m1"), 40058)
	if len(seen) != 2 || !strings.HasPrefix(seen[1], "answer") {
		t.Errorf("a refusal: got %q, want request and answer only", seen)
	}
	seen = nil
	remove()
	r.pull(nil)
	if len(seen) != 2 || !strings.HasPrefix(seen[1], "effect") {
		t.Errorf("after removal: got %q, want no answer", seen)
	}
}
