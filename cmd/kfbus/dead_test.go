package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

const secretWords = "客户说的话 4111-1111"

// encoded is an event on the wire, with an id of the broker's.
func encoded(t *testing.T, id, typ string, data any) ([]byte, nats.Header) {
	t.Helper()
	e, err := events.Own(id, "/test", typ, data)
	if err != nil {
		t.Fatal(err)
	}
	body, h, err := bus.Encode(e, bus.ModeStructured)
	if err != nil {
		t.Fatal(err)
	}
	h["Nats-Msg-Id"] = []string{id}
	return body, h
}

// letters are dead letters as the services make them, by name.
func letters(t *testing.T, now time.Time) map[string]events.Dead {
	t.Helper()
	bell, bellHeader := encoded(t, "bell-1", events.TypeCallback, events.Doorbell{Corp: "ww1", OpenKfID: "wk1", Event: events.RingMessage})
	app, appHeader := encoded(t, "app-1", events.TypeOfApp(events.AppMessage, "text"), events.App{Corp: "ww1", Raw: secretWords})
	command := []byte(`{"msgtype":"text","text":{"content":"` + secretWords + `"}}`)
	commandEvent, commandHeader := encoded(t, "cmd-2", "team.send", json.RawMessage(command))
	late := []byte(`{"expirytime":"` + now.Add(-time.Second).Format(time.RFC3339) + `","msgtype":"text"}`)
	ago := now.Add(-time.Minute)
	return map[string]events.Dead{
		"doorbell": {Service: "syncer", Reason: "foreign", Detail: "doorbell of another corp", Stream: events.StreamCallback, Seq: 3,
			Subject: "kf.lane.callback.1.ww1.wk1", Header: bellHeader, Payload: bell, At: ago},
		"malformed": {Service: "syncer", Reason: "malformed", Stream: events.StreamCallback, Seq: 4, Subject: "kf.lane.callback.1.ww1.wk1",
			Payload: []byte("{"), At: ago},
		"command": {Service: "sender", Reason: "invalid", Detail: "names a corp that no sender serves here", Stream: events.StreamCommand, Seq: 7,
			Subject: "kf.lane.command.0.orders.ww1.wk1.send.wm1", Header: nats.Header{"Nats-Msg-Id": {"cmd-1"}, "Team-Own": {"kept"}}, Payload: command, At: ago},
		"command event": {Service: "sender", Reason: "invalid", Stream: events.StreamCommand, Seq: 8,
			Subject: "kf.lane.command.0.orders.ww1.wk1.send.wm1", Header: commandHeader, Payload: commandEvent, At: ago},
		"late command": {Service: "sender", Reason: "invalid", Stream: events.StreamCommand, Seq: 9,
			Subject: "kf.lane.command.0.orders.ww1.wk1.send.wm1", Header: nats.Header{"Nats-Msg-Id": {"cmd-3"}}, Payload: late, At: ago},
		"old command": {Service: "sender", Reason: "invalid", Stream: events.StreamCommand, Seq: 10,
			Subject: "kf.lane.command.0.orders.ww1.wk1.send.wm1", Header: nats.Header{"Nats-Msg-Id": {"cmd-4"}}, Payload: command, At: now.Add(-events.DefaultExpiry)},
		"bad command": {Service: "sender", Reason: "invalid", Stream: events.StreamCommand, Seq: 11,
			Subject: "kf.lane.command.0.orders.ww1.wk1.send.wm1", Payload: command, At: ago},
		"cut command": {Service: "sender", Reason: "invalid", Stream: events.StreamCommand, Seq: 12,
			Subject: "kf.lane.command.0.orders.ww1.wk1.send.wm1", Payload: command, Cut: true, At: ago},
		"strange command": {Service: "sender", Reason: "invalid", Stream: events.StreamCommand, Seq: 13,
			Subject: "kf.lane.command.0.orders.ww1.wk1.send.客户", Header: nats.Header{"Nats-Msg-Id": {"cmd-5"}}, Payload: command, At: ago},
		"timer": {Service: "sender", Reason: "unreadable", Stream: events.StreamTimer, Seq: 2, Subject: events.DueSubject(bus.ServiceSender, "k"),
			Payload: []byte("{}"), At: ago},
		"item in the stream": {Service: "sender", Reason: "unreadable", Stream: events.StreamMessage, Seq: 44,
			Subject: "kf.message.ww1.wk1.text.wm1", Payload: []byte(secretWords), At: ago},
		"item too large": {Service: "syncer", Reason: "too_large", Detail: "up to 2 MB", Subject: "kf.message.ww1.wk1.text.wm1",
			Payload: []byte(secretWords), Cut: true, At: ago},
		"item that is no event": {Service: "syncer", Reason: "unfit", Subject: "kf.message.ww1.wk1.text.wm1", Payload: []byte(secretWords), At: ago},
		"app event": {Service: "ingress", Reason: "unstored", Subject: events.AppSubject("ww1", "1000002", events.AppMessage, "text", "wm1"),
			Header: appHeader, Payload: app, At: ago},
		"without a body":    {Service: "syncer", Reason: "foreign", Stream: events.StreamCallback, Seq: 5, Subject: "kf.lane.callback.1.ww1.wk1", At: ago},
		"without a subject": {Service: "other", Reason: "x", Payload: []byte("{}"), At: ago},
	}
}

func TestOriginal(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	all := letters(t, now)
	for name, want := range map[string]struct{ subject, msgID, why string }{
		"doorbell":              {"kf.callback.ww1.wk1", "redrive:the-id", ""},
		"malformed":             {"", "", "the sweep pulls the account"},
		"command":               {"kf.command.orders.ww1.wk1.send.wm1", "cmd-1", ""},
		"command event":         {"kf.command.orders.ww1.wk1.send.wm1", "cmd-2", ""},
		"late command":          {"", "", "expired at"},
		"old command":           {"", "", "its team must publish it again"},
		"bad command":           {"", "", "refused again"},
		"cut command":           {"", "", "its team must publish it again"},
		"strange command":       {"", "", "its team must mend it"},
		"timer":                 {"kf.due.sender.k", "redrive:the-id", ""},
		"item in the stream":    {"", "", "kfbus replay --from-seq 44"},
		"item too large":        {"", "", "kfbus api sync_msg"},
		"item that is no event": {"", "", "could not be made one"},
		"app event":             {"kf.app.ww1.1000002.message.text.wm1", "app-1", ""},
		"without a body":        {"", "", "holds no body"},
		"without a subject":     {"", "", "does not say where"},
	} {
		d, ok := all[name]
		if !ok {
			t.Fatalf("no letter is called %s", name)
		}
		delete(all, name)
		m, why := letter{Dead: d, ID: "the-id", DeadSeq: 17}.original(now)
		if (why == "") != (want.why == "") || !strings.Contains(why, want.why) || strings.Contains(why, secretWords) {
			t.Errorf("%s: got %q, want %q", name, why, want.why)
		}
		if want.why != "" {
			continue
		}
		if m.Subject != want.subject || m.Header.Get("Nats-Msg-Id") != want.msgID || m.Header.Get(events.HeaderRedrive) != "17" || !bytes.Equal(m.Data, d.Payload) {
			t.Errorf("%s: got %s %v %s", name, m.Subject, m.Header, m.Data)
		}
		for k, v := range d.Header {
			if k != "Nats-Msg-Id" && !slices.Equal(m.Header[k], v) {
				t.Errorf("%s: header %s is %v, want %v", name, k, m.Header[k], v)
			}
		}
	}
	for name := range all {
		t.Errorf("%s is not tried", name)
	}
}

// bury stores letters in the order of their names, and returns their sequences.
func (p past) bury(all map[string]events.Dead) map[string]uint64 {
	p.Helper()
	seqs := map[string]uint64{}
	for i, name := range slices.Sorted(maps.Keys(all)) {
		if err := p.Bury(testkit.Context(p.T), all[name]); err != nil {
			p.Fatal(err)
		}
		seqs[name] = uint64(i + 1)
	}
	return seqs
}

// dead runs kfbus dead; with -o json it returns the lines.
func (p past) dead(args ...string) (lines []map[string]any, code int, out, errs string) {
	p.Helper()
	code, out, errs = kfbus(p.T, append([]string{"dead", args[0], "--nats", p.server.URL()}, args[1:]...)...)
	if slices.Contains(args, "json") {
		dec := json.NewDecoder(strings.NewReader(out))
		for dec.More() {
			var l map[string]any
			if err := dec.Decode(&l); err != nil {
				p.Fatalf("%s: %v", out, err)
			}
			lines = append(lines, l)
		}
	}
	return lines, code, out, errs
}

func TestDeadListAndShow(t *testing.T) {
	p := newPast(t)
	if _, code, out, errs := p.dead("list"); code != 0 || !strings.HasPrefix(out, "SEQ ") || strings.Count(out, "\n") != 1 {
		t.Errorf("none: code %d\n%s%s", code, out, errs)
	}
	all := letters(t, time.Now())
	seqs := p.bury(all)
	for _, c := range []struct {
		flags string
		want  int
	}{
		{"", len(all)}, {"--service syncer", 5}, {"--service sender", 9}, {"--reason foreign", 2}, {"--service sender --reason unreadable", 2},
		{"--service nobody", 0}, {"--since 1h", len(all)}, {"--since " + time.Now().Add(time.Hour).Format(time.RFC3339), 0},
	} {
		lines, code, out, errs := p.dead(append([]string{"list", "-o", "json"}, strings.Fields(c.flags)...)...)
		if code != 0 || len(lines) != c.want {
			t.Errorf("%q: code %d, %d letters, want %d\n%s%s", c.flags, code, len(lines), c.want, out, errs)
		}
	}
	_, _, table, _ := p.dead("list")
	for _, want := range []string{"syncer       foreign", "  yes  kf.callback.ww1.wk1  doorbell of another corp\n", "  no   kf.message.ww1.wk1.text.wm1  up to 2 MB\n"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	command := fmt.Sprint(seqs["command"])
	_, code, shown, _ := p.dead("show", command)
	if code != 0 || !strings.Contains(shown, "service   sender\n") || !strings.Contains(shown, "(KF_COMMAND, sequence 7)") || !strings.Contains(shown, "redrive   possible\n") {
		t.Errorf("code %d\n%s", code, shown)
	}
	_, _, big, _ := p.dead("show", fmt.Sprint(seqs["item too large"]))
	if !strings.Contains(big, ", cut\n") || !strings.Contains(big, "redrive   no: only the first") {
		t.Errorf("got\n%s", big)
	}
	_, _, list, _ := p.dead("list", "-o", "json")
	for _, text := range []string{table, shown, big, list} {
		if strings.Contains(text, secretWords) || strings.Contains(text, "cmd-1") || strings.Contains(text, "payload") {
			t.Errorf("it shows the original:\n%s", text)
		}
	}
	_, _, body, _ := p.dead("show", command, "--body")
	if !strings.Contains(body, secretWords) || !strings.Contains(body, "header    Nats-Msg-Id: cmd-1\n") {
		t.Errorf("got\n%s", body)
	}
	one, _, _, _ := p.dead("show", command, "--body", "-o", "json")
	if raw, err := json.Marshal(one[0]["payload"]); err != nil || !strings.Contains(string(raw), "eyJtc2d0eXBl") {
		t.Errorf("got %s, %v", raw, err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"show", "900"}, 1, "no dead letter 900"},
		{[]string{"show", "x"}, 2, "SEQ"},
		{[]string{"show"}, 2, "SEQ"},
		{[]string{"list", "--since", "today"}, 2, "--since"},
		{[]string{"redrive"}, 2, "--service"},
		{[]string{"redrive", "1", "--service", "syncer"}, 2, "either"},
		{[]string{"redrive", "0"}, 2, "SEQ"},
		{[]string{"redrive", "1", "2"}, 2, "--yes"},
		{[]string{"redrive", "--service", "sender"}, 2, "9 dead letters match"},
		{[]string{"redrive", "900"}, 1, "no dead letter 900"},
	} {
		if _, code, out, errs := p.dead(c.args...); code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%v: code %d, want %d and %q in\n%s%s", c.args, code, c.code, c.want, out, errs)
		}
	}
	if n := len(p.holds(events.StreamCallback)) + len(p.holds(events.StreamCommand)); n != 0 {
		t.Errorf("%d messages were published", n)
	}
}

// TestShowPaintsNoTerminal: what a customer wrote is not obeyed, also where it is asked for.
func TestShowPaintsNoTerminal(t *testing.T) {
	p := newPast(t)
	p.bury(map[string]events.Dead{"x": {Service: "s", Reason: "r", Detail: "d\x1b[2J", Subject: "kf.x\x1b[2J", Payload: []byte("hi\x1b[2J\r\nthere")}})
	for _, args := range [][]string{{"list"}, {"show", "1"}, {"show", "1", "--body"}, {"redrive", "1"}} {
		if _, _, out, errs := p.dead(args...); strings.ContainsAny(out+errs, "\x1b\r") {
			t.Errorf("%v: got %q", args, out+errs)
		}
	}
}

func TestRedrive(t *testing.T) {
	p := newPast(t)
	seqs := p.bury(letters(t, time.Now()))
	if lines, code, out, errs := p.dead("redrive", "--since", "1h", "--dry-run", "-o", "json"); code != 1 || len(lines) != len(seqs) {
		t.Errorf("dry run: code %d\n%s%s", code, out, errs)
	}
	if n := len(p.holds(events.StreamCallback)) + len(p.holds(events.StreamCommand)) + len(p.holds(events.StreamMessage)); n != 0 {
		t.Fatalf("the dry run published %d messages", n)
	}
	lines, code, out, _ := p.dead("redrive", "--since", "1h", "--yes", "-o", "json")
	if code != 1 || len(lines) != len(seqs) { // 1: not all can be
		t.Errorf("code %d\n%s", code, out)
	}
	byStream := map[string]string{
		events.StreamCallback: "doorbell", events.StreamCommand: "command,command event", events.StreamTimer: "timer", events.StreamMessage: "app event",
	}
	all := letters(t, time.Now())
	for stream, names := range byStream {
		got := p.holds(stream)
		want := strings.Split(names, ",")
		if len(got) != len(want) {
			t.Errorf("%s holds %d messages, want %d", stream, len(got), len(want))
			continue
		}
		for i, name := range want {
			m, d := got[i], all[name]
			if !bytes.Equal(m.Data, d.Payload) || m.Header.Get(events.HeaderRedrive) != fmt.Sprint(seqs[name]) || d.Stream != "" && stream != events.StreamTimer && laneless(t, m.Subject) != laneless(t, d.Subject) {
				t.Errorf("%s: got %s %v %s", name, m.Subject, m.Header, m.Data)
			}
		}
	}
	done := 0
	for _, l := range lines {
		if l["redriven"] == true {
			done++
		} else if l["why"] == nil {
			t.Errorf("left without a reason: %v", l)
		}
	}
	if done != 5 || len(p.holds(events.StreamDead)) != len(seqs) {
		t.Errorf("%d redriven, want 5; %d dead letters left of %d", done, len(p.holds(events.StreamDead)), len(seqs))
	}

	// Again: nothing is there twice, and with --delete the letter is erased.
	bell := fmt.Sprint(seqs["doorbell"])
	if _, code, out, _ := p.dead("redrive", bell, "--delete"); code != 0 || !strings.Contains(out, "covered") || !strings.Contains(out, "dead letter erased") {
		t.Errorf("code %d, %s", code, out)
	}
	if n := len(p.holds(events.StreamCallback)); n != 1 {
		t.Errorf("KF_CALLBACK holds %d doorbells, want 1", n)
	}
	if _, err := p.Next(testkit.Context(t), events.StreamDead, seqs["doorbell"], "kf.dead.syncer.foreign"); err != nil {
		t.Errorf("the other foreign letter is gone too: %v", err)
	}
	if _, code, out, _ := p.dead("redrive", bell); code != 1 || !strings.Contains(out, "no dead letter") {
		t.Errorf("code %d, %s", code, out)
	}
	left := fmt.Sprint(seqs["item too large"])
	if _, code, out, _ := p.dead("redrive", left, "--delete"); code != 1 || strings.Contains(out, "erased") {
		t.Errorf("what was not redriven must stay: code %d, %s", code, out)
	}
	if _, err := getLetter(testkit.Context(t), p.Bus, seqs["item too large"]); err != nil {
		t.Error(err)
	}
}

func laneless(t *testing.T, subject string) string {
	t.Helper()
	s, err := events.ParseSubject(subject)
	if err != nil {
		t.Fatal(err)
	}
	return s.String()
}

// TestRedriveCovered: two doorbells of an account are in the work queue, and a third would say nothing new.
func TestRedriveCovered(t *testing.T) {
	p := newPast(t)
	p.bury(map[string]events.Dead{"doorbell": letters(t, time.Now())["doorbell"]})
	body, h := encoded(t, "other", events.TypeCallback, events.Doorbell{Corp: "ww1", OpenKfID: "wk1"})
	for range 2 {
		h.Del("Nats-Msg-Id")
		if _, err := p.JS.PublishMsg(testkit.Context(t), &nats.Msg{Subject: "kf.callback.ww1.wk1", Header: h, Data: body}); err != nil {
			t.Fatal(err)
		}
	}
	if _, code, out, errs := p.dead("redrive", "1", "--delete"); code != 0 || !strings.Contains(out, "covered") || !strings.Contains(out, "erased") {
		t.Errorf("code %d, %s%s", code, out, errs)
	}
}

// TestRedriveWithoutRoom: the letter stays when its original was not taken.
func TestRedriveWithoutRoom(t *testing.T) {
	p := newPast(t)
	ctx := testkit.Context(t)
	p.bury(map[string]events.Dead{"command": letters(t, time.Now())["command"]})
	st, err := p.JS.Stream(ctx, events.StreamCommand)
	if err != nil {
		t.Fatal(err)
	}
	cfg := st.CachedInfo().Config
	cfg.MaxBytes = 10
	if _, err := p.JS.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	_, code, out, _ := p.dead("redrive", "1", "--delete")
	if _, err := getLetter(ctx, p.Bus, 1); err != nil || code != 1 || !strings.Contains(out, "full") {
		t.Errorf("code %d, %s, %v", code, out, err)
	}
}

// TestDeadLettersOfTheServices: what the services bury today, on the whole stack, and what redriving does to it.
func TestDeadLettersOfTheServices(t *testing.T) {
	s := startStack(t)
	ctx := testkit.Context(t)
	p := past{t, s.admin, s.nats}
	next, outcomes := s.subscribe("kf.message.>"), s.subscribe("kf.outcome.orders.>")
	s.say("hello")
	next()

	// The syncer buries a doorbell of a corp that is not its own.
	body, h := encoded(t, "bell-9", events.TypeCallback, events.Doorbell{Corp: "wwother", OpenKfID: "wk9", Event: events.RingMessage})
	if _, err := s.admin.JS.PublishMsg(ctx, &nats.Msg{Subject: "kf.callback.wwother.wk9", Header: h, Data: body}); err != nil {
		t.Fatal(err)
	}
	foreign := s.buried("kf.dead.syncer.foreign", 0)
	if foreign.Header["Nats-Msg-Id"] == nil || !bytes.Equal(foreign.Payload, body) {
		t.Errorf("got %+v", foreign.Dead)
	}
	seq := fmt.Sprint(foreign.DeadSeq)
	if _, code, out, errs := p.dead("redrive", seq); code != 0 || !strings.Contains(out, "published on kf.callback.wwother.wk9 (KF_CALLBACK") {
		t.Errorf("code %d, %s%s", code, out, errs)
	}
	// Its cause is still there: the same comes back, as a letter of its own.
	if again := s.buried("kf.dead.syncer.foreign", foreign.DeadSeq); !bytes.Equal(again.Payload, body) || again.Header[events.HeaderRedrive][0] != seq {
		t.Errorf("got %+v", again.Dead)
	}

	// The sender buries a command of no known msgtype; it was refused, and would be again.
	s.publish("send", "bad-1", `{"msgtype":"telepathy"}`)
	if o := outcome(t, outcomes()); o.State != events.StateRefused {
		t.Errorf("got %+v", o)
	}
	bad := s.buried("kf.dead.sender.invalid", 0)
	if got := bad.Header["Nats-Msg-Id"]; len(got) != 1 || got[0] != "bad-1" {
		t.Errorf("got %+v", bad.Dead)
	}

	// A command that can be sent now is sent, once, however often it is redriven; its outcome names its own id.
	good := events.Dead{Service: "sender", Reason: "invalid", Stream: events.StreamCommand, Seq: 1 << 40, At: time.Now(),
		Subject: events.LaneSubject(events.CommandSubject("orders", s.corp(), s.kf(), events.VerbSend, s.user()), 0),
		Header:  nats.Header{"Nats-Msg-Id": {"good-1"}}, Payload: []byte(`{"msgtype":"text","text":{"content":"late, but here"}}`)}
	if err := s.admin.Bury(ctx, good); err != nil {
		t.Fatal(err)
	}
	buried := s.buried("kf.dead.sender.invalid", bad.DeadSeq)
	before := s.sim.Calls("kf/send_msg")
	if _, code, out, errs := p.dead("redrive", fmt.Sprint(buried.DeadSeq)); code != 0 {
		t.Fatalf("code %d, %s%s", code, out, errs)
	}
	if o := outcome(t, outcomes()); o.State != events.StateAccepted || o.CommandID != "good-1" {
		t.Errorf("got %+v", o)
	}
	if _, code, out, errs := p.dead("redrive", fmt.Sprint(buried.DeadSeq), "--delete"); code != 0 || !strings.Contains(out, "erased") {
		t.Fatalf("code %d, %s%s", code, out, errs)
	}
	s.publish("send", "after", `{"msgtype":"text","text":{"content":"x"}}`)
	if o := outcome(t, outcomes()); o.CommandID != "after" {
		t.Errorf("got %+v, want the next command's: a second outcome must not come", o)
	}
	if n := s.sim.Calls("kf/send_msg") - before; n != 2 {
		t.Errorf("the platform was asked %d times, want 2", n)
	}
	if _, err := getLetter(ctx, s.admin, buried.DeadSeq); err == nil {
		t.Error("the dead letter is still there")
	}
}

// buried waits for a dead letter after a sequence.
func (s *stack) buried(subject string, after uint64) letter {
	s.Helper()
	var l letter
	testkit.Eventually(s.T, "a dead letter on "+subject, func() bool {
		m, err := s.admin.Next(s.Context(), events.StreamDead, after+1, subject)
		if errors.Is(err, bus.ErrNotFound) {
			return false
		}
		if err != nil {
			s.Fatal(err)
		}
		l = readLetter(m)
		return true
	})
	if l.Broken != nil {
		s.Fatal(l.Broken)
	}
	return l
}

// TestOperationsReplayAndDeadLetters runs what docs/operations.md says about replays and dead letters, in its order.
func TestOperationsReplayAndDeadLetters(t *testing.T) {
	s := startStack(t)
	ctx := testkit.Context(t)
	for name, subject := range map[string]string{"TEAM": "kf.replay.>", "ORDERS": "orders.again.>"} {
		if _, err := s.admin.JS.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{subject}}); err != nil {
			t.Fatal(err)
		}
	}
	next := s.subscribe("kf.message.>")
	s.say("hello")
	s.stored(next())
	body, h := encoded(t, "bell-9", events.TypeCallback, events.Doorbell{Corp: "wwother", OpenKfID: "wk9", Event: events.RingMessage})
	if _, err := s.admin.JS.PublishMsg(ctx, &nats.Msg{Subject: "kf.callback.wwother.wk9", Header: h, Data: body}); err != nil {
		t.Fatal(err)
	}
	dead := s.buried("kf.dead.syncer.foreign", 0)
	doc, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	n, one := 0, regexp.MustCompile(`copied 1 events|copy 1 events|"copied":1,`)
	for _, heading := range []string{"## Replay\n", "## Dead letters\n"} {
		_, section, _ := strings.Cut(string(doc), heading)
		section, _, _ = strings.Cut(section, "\n## ")
		for _, line := range regexp.MustCompile(`(?m)^kfbus .*$`).FindAllString(section, -1) {
			n++
			line := strings.NewReplacer("OPEN_KFID", s.kf(), "EXTERNAL_USERID", s.user(), "SEQ", fmt.Sprint(dead.DeadSeq), "'", "", "--until 1h", "").Replace(line)
			code, out, errs := kfbus(t, append(strings.Fields(line)[1:], "--nats", s.urls.nats)...)
			if code != 0 || out == "" || strings.HasPrefix(line, "kfbus replay") && !one.MatchString(out) {
				t.Errorf("%s: code %d\n%s%s", line, code, out, errs)
			}
			t.Logf("%s\n%s", line, out)
		}
	}
	if n < 12 {
		t.Errorf("only %d commands found", n)
	}
}
