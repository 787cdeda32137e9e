package sender

import (
	"fmt"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

// asks publishes a dry run, and returns what would come of the command.
func (w *world) asks(verb, user string, body obj) outcome {
	w.Helper()
	id := fmt.Sprintf("dry-%s-%d", verb, time.Now().UnixNano())
	if given, ok := body["command_id"].(string); ok {
		id = given
	}
	before := len(w.of(id))
	w.command(verb, user, "", with(body, obj{"dry_run": true, "command_id": id}))
	testkit.Eventually(w, "the answer to "+id, func() bool { return len(w.of(id)) > before })
	list := w.of(id)
	return list[len(list)-1]
}

// A dry run says what would come of a command, and changes nothing: what it says comes true of the command itself.
func TestDryRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.servicers("li")
	w.keep("good", png(1, 100))
	w.keep("text", []byte("no picture at all"))
	w.keep("large", png(1, 11<<20))
	w.customer("wmNEVER")
	w.customer("wmHUMAN")
	w.customer("wmSLOW")
	w.says(ann)
	w.says("wmHUMAN")
	w.says("wmSLOW")
	r := w.teamed("shop: accounts=wkDESK share=3\nslow: accounts=* rate=1\ncrm: accounts=wkOTHER")
	w.noted()
	w.command(events.VerbTransfer, "wmHUMAN", "t", obj{"service_state": 3, "servicer_userid": "li"})
	w.want("t", "accepted")
	before, _ := w.ledger(ann)
	soon := time.Now().Add(3 * time.Hour).UTC().Format(time.RFC3339)
	for _, c := range []struct {
		name, verb, user string
		body             obj
		want             string
	}{
		{"it may be sent", events.VerbSend, ann, text(), "send//"},
		{"as text", events.VerbSend, ann, with(text(), obj{"dry_run": "true"}), "send//"},
		{"a file", events.VerbSend, ann, picture(obj{"object": "good"}), "send//"},
		{"a file that is not there", events.VerbSend, ann, picture(obj{"object": "nowhere"}), "refused/media/image.object"},
		{"a file that is too large", events.VerbSend, ann, picture(obj{"object": "large"}), "refused/media/image.object"},
		{"a reply", events.VerbReply, ann, with(text(), obj{"code": "C"}), "send//"},
		{"a recall of what never came", events.VerbRecall, ann, obj{"target_command_id": "x"}, "refused/before_send/"},
		{"nobody has written", events.VerbSend, "wmNEVER", text(), "refused/never_opened/"},
		{"a human has it", events.VerbSend, "wmHUMAN", text(), "refused/session_state/"},
		{"it would wait for the human", events.VerbSend, "wmHUMAN", with(text(), obj{"in_human_session": "hold"}), "hold//"},
		{"it is too late", events.VerbSend, ann, with(text(), obj{"expirytime": "2020-01-01T00:00:00Z"}), "expired/expired/"},
		{"it is wrong", events.VerbSend, ann, obj{"msgtype": "text", "text": obj{}}, "refused/invalid/text.content"},
		{"its time is wrong", events.VerbSend, ann, with(text(), obj{"expirytime": "tomorrow"}), "refused/invalid/expirytime"},
		{"soon", events.VerbSend, ann, with(text(), obj{"expirytime": soon}), "send//"},
	} {
		o := w.asks(c.verb, c.user, c.body)
		if got := o.Would + "/" + o.Reason + "/" + o.Field; c.want == "refused/before_send/" {
			if o.Would != "recalled" {
				t.Errorf("%s: got %s (%s)", c.name, got, o.Detail)
			}
		} else if got != c.want || o.State != events.StateDryRun || o.MsgID != "" {
			t.Errorf("%s: got %s, %s (%s), want %s", c.name, o.State, got, o.Detail, c.want)
		}
	}
	if after, _ := w.ledger(ann); len(after.Records) != len(before.Records) || after.Used() != 0 {
		t.Errorf("the ledger has %d records and %d places taken, had %d and none", len(after.Records), after.Used(), len(before.Records))
	}
	if w.posts(apiSend)+w.posts(apiReply)+w.uploads()+len(w.deadLetters()) != 0 {
		t.Error("a dry run made a request, an upload or a dead letter")
	}

	// What it said comes true, under the same id.
	if o := w.asks(events.VerbSend, ann, with(text(), obj{"command_id": "c"})); o.Would != "send" || *o.SendsLeft != 5 {
		t.Errorf("got %+v", o.Outcome)
	}
	w.send(ann, "c")
	testkit.Eventually(t, "the true outcome", func() bool { return len(w.of("c")) == 2 })
	if o := w.of("c")[1]; o.State != "accepted" || *o.SendsLeft != 4 {
		t.Errorf("got %+v, want accepted", o.Outcome)
	}
	if o := w.asks(events.VerbSend, ann, with(text(), obj{"command_id": "c"})); o.Would != events.WouldKnown {
		t.Errorf("of a known id: got %+v", o.Outcome)
	}
	w.send(ann, "d")
	w.send(ann, "e")
	w.want("e", "accepted")
	if o := w.asks(events.VerbSend, ann, text()); o.Would+o.Reason != "refusedshare_spent" {
		t.Errorf("beyond the share: got %+v", o.Outcome)
	}
	for team, want := range map[string]string{"crm": "refused/not_owner", "who": "refused/unknown_team", "slow": "send/"} {
		w.dryBy(team, "wmSLOW", "dry-"+team, want)
	}
	turns := r.teams.byToken["slow"].turns.Tokens()
	w.dryBy("slow", "wmSLOW", "dry-slow-2", "send/")
	if got := r.teams.byToken["slow"].turns.Tokens(); got < turns {
		t.Errorf("a dry run took a turn: %v of %v are left", got, turns)
	}
	w.by("slow", "wmSLOW", "turn")
	w.want("turn", "accepted")
	w.dryBy("slow", "wmSLOW", "dry-slow-3", "hold/")
	w.quiet()
}

func (w *world) dryBy(team, user, id, want string) {
	w.Helper()
	w.raw(events.CommandSubject(team, corp, desk, events.VerbSend, user), nil, marshalled(with(text(), obj{"command_id": id, "dry_run": true})))
	if o := w.want(id, "dry_run"); o.Would+"/"+o.Reason != want {
		w.Errorf("%s: got %s/%s, want %s", id, o.Would, o.Reason, want)
	}
}

// A dry run that comes again is one; one that is asked again is another.
func TestDryRunTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ackWait(time.Second))
	w.says(ann)
	quick := func(c *Config) { c.PostTimeout = 400 * time.Millisecond }
	r := w.make(quick).killAt("dry", 1).run()
	w.command(events.VerbSend, ann, "d", with(text(), obj{"dry_run": true}))
	r.died()
	w.start(quick)
	first := w.want("d", "dry_run")
	again := w.asks(events.VerbSend, ann, with(text(), obj{"command_id": "d"}))
	if again.eventID == first.eventID || len(w.of("d")) != 2 {
		t.Errorf("got %d outcomes, want 2 of different ids", len(w.of("d")))
	}
}
