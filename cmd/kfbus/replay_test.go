package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

// past is a KF_MESSAGE with a past, and a stream of a team's.
type past struct {
	*testing.T
	*bus.Bus
	server *localnats.Server
}

func newPast(t *testing.T) past {
	t.Helper()
	b, s := testkit.Bus(t)
	return past{t, b, s}
}

// takes makes a stream.
func (p past) takes(cfg jetstream.StreamConfig) {
	p.Helper()
	if _, err := p.JS.CreateStream(testkit.Context(p.T), cfg); err != nil {
		p.Fatal(err)
	}
}

// teamStream takes every replay under kf.replay.
func (p past) teamStream() {
	p.Helper()
	p.takes(jetstream.StreamConfig{Name: "TEAM", Subjects: []string{"kf.replay.>"}})
}

// item is an inbound message or event: "wk1 wm1 text 1", with "history" after it where it is old.
func item(line string) events.Inbound {
	w := strings.Fields(line)
	in := events.Inbound{Corp: "ww1", OpenKfID: w[0], ExternalUserID: w[1], MsgType: w[2], MsgID: w[3], SendTime: 1_700_000_000, Origin: 3,
		History: len(w) > 4, Raw: json.RawMessage(fmt.Sprintf(`{ "msgid":%q, "x" :1.0,"y":"你好 <&> \u4f60/\/"}`, w[3]))}
	if w[2] == "enter_session" {
		in.MsgType, in.EventType = "event", w[2]
	}
	in.Seq, _ = strconv.ParseUint(w[3], 10, 64)
	return in
}

// happened stores items in one atomic batch, as the syncer does.
func (p past) happened(lines ...string) {
	p.Helper()
	ms := make([]bus.Message, len(lines))
	for i, l := range lines {
		in := item(l)
		ms[i] = bus.Message{Subject: in.Subject(), Event: in.Event()}
	}
	if _, err := p.PublishBatch(testkit.Context(p.T), ms); err != nil {
		p.Fatal(err)
	}
}

// many stores n texts, numbered from 1.
func (p past) many(n int) {
	p.Helper()
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("wk1 wm%d text %d", i%7, i+1)
	}
	for chunk := range slices.Chunk(lines, 500) {
		p.happened(chunk...)
	}
}

// run runs kfbus replay; without -o it asks for JSON.
func (p past) run(args ...string) (replayed, int, string) {
	p.Helper()
	code, out, errs := kfbus(p.T, append([]string{"replay", "--nats", p.server.URL(), "-o", "json"}, args...)...)
	var sum replayed
	if out != "" {
		if err := json.Unmarshal([]byte(out), &sum); err != nil {
			p.Fatalf("%s: %v", out, err)
		}
	}
	return sum, code, errs
}

// holds is what a stream holds, in order.
func (p past) holds(stream string) (out []bus.Stored) {
	p.Helper()
	ctx := testkit.Context(p.T)
	for seq := uint64(1); ; seq++ {
		m, err := p.Next(ctx, stream, seq, ">")
		if errors.Is(err, bus.ErrNotFound) {
			return out
		}
		if err != nil {
			p.Fatal(err)
		}
		out = append(out, m)
		seq = m.Seq
	}
}

// ids are the events' ids, as they stand in the stream.
func ids(t *testing.T, ms []bus.Stored) string {
	t.Helper()
	var out []string
	for _, m := range ms {
		e, err := m.Event()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e.ID())
	}
	return strings.Join(out, " ")
}

func numbers(from, to int) string {
	var out []string
	for i := from; i <= to; i++ {
		out = append(out, strconv.Itoa(i))
	}
	return strings.Join(out, " ")
}

func TestReplayChooses(t *testing.T) {
	p := newPast(t)
	p.teamStream()
	p.happened("wk1 wm1 text 1 old", "wk1 wm1 text 2", "wk1 wm1 enter_session 3", "wk2 wm2 image 4", "wk2 wm1 text 5", "wk1 客户 text 6")
	e, err := events.Own("7", events.SourceApp("ww1", "1000002"), events.TypeOfApp(events.AppMessage, "text"), events.App{Corp: "ww1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Publish(testkit.Context(t), bus.Message{Subject: events.AppSubject("ww1", "1000002", events.AppMessage, "text", "wm1"), Event: e}); err != nil {
		t.Fatal(err)
	}
	p.happened("wk1 wm9 text 8")
	at := func(seq uint64) string {
		m, err := p.Next(testkit.Context(t), events.StreamMessage, seq, "kf.>")
		if err != nil {
			t.Fatal(err)
		}
		return m.Time.Format(time.RFC3339Nano)
	}
	for i, c := range []struct {
		name, flags, want string
	}{
		{"messages and events", "", "2 3 4 5 6 8"},
		{"history too", "--history", "1 2 3 4 5 6 8"},
		{"apps too", "--app", "2 3 4 5 6 7 8"},
		{"one account", "--account wk2", "4 5"},
		{"two accounts, one of them twice", "--account wk2,wk1 --account wk2", "2 3 4 5 6 8"},
		{"a customer", "--customer wm1", "2 3 5"},
		{"a customer, everywhere", "--customer wm1 --history --app", "1 2 3 5 7"},
		{"a customer whose id is hashed", "--customer 客户", "6"},
		{"a customer by the token", "--customer " + events.Token("客户"), "6"},
		{"a msgtype", "--type image", "4"},
		{"a msgtype and an event_type", "--type image,enter_session", "3 4"},
		{"all of it at once", "--account wk1 --customer wm1 --type text", "2"},
		{"another corp", "--corp ww2", ""},
		{"the corp", "--corp ww1 --account wk2", "4 5"},
		{"from a sequence", "--from-seq 5", "5 6 8"},
		{"beyond the end", "--from-seq 900", ""},
		{"so many", "--limit 2", "2 3"},
		{"since, inclusive", "--since " + at(8), "8"},
		{"until, exclusive", "--until " + at(8), "2 3 4 5 6"},
		{"since an hour", "--since 1h", "2 3 4 5 6 8"},
		{"until an hour ago", "--until 1h", ""},
		{"the later of time and sequence", "--from-seq 2 --since " + at(8), "8"},
	} {
		name := fmt.Sprint("case", i)
		sum, code, errs := p.run(append([]string{"--name", name}, strings.Fields(c.flags)...)...)
		if code != 0 || !sum.Done {
			t.Errorf("%s: code %d %+v\n%s", c.name, code, sum, errs)
			continue
		}
		var got []bus.Stored
		for _, m := range p.holds("TEAM") {
			if m.Header.Get(events.HeaderReplay) == name {
				got = append(got, m)
			}
		}
		if have := ids(t, got); have != c.want || sum.Copied != uint64(len(got)) {
			t.Errorf("%s: got %q, %d copied, want %q", c.name, have, sum.Copied, c.want)
		}
		dry, code, _ := p.run(append([]string{"--dry-run"}, strings.Fields(c.flags)...)...)
		if dry.Copied != sum.Copied || dry.Bytes != sum.Bytes || !dry.DryRun || code != 0 || fmt.Sprint(dry.First, dry.Last) == "" ||
			dry.NextSeq != sum.NextSeq || (sum.Last != nil) != (dry.Last != nil) || sum.Last != nil && (*dry.Last != *sum.Last || *dry.First != *sum.First) {
			t.Errorf("%s: the dry run says %+v, the replay %+v", c.name, dry, sum)
		}
	}
}

func TestReplayIsTheOriginalFlagged(t *testing.T) {
	p := newPast(t)
	p.teamStream()
	p.takes(jetstream.StreamConfig{Name: "FIXED", Subjects: []string{"orders.again"}})
	binary, err := bus.Connect(bus.Config{URL: p.server.URL(), EventMode: bus.ModeBinary}, "binary", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(binary.NC.Close)
	p.happened("wk1 wm1 text 1", "wk1 wm1 text 2") // one batch: its headers must not go on
	in := item("wk1 客户 text 3")
	in.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if _, _, err := binary.Publish(testkit.Context(t), bus.Message{Subject: in.Subject(), Event: in.Event(), MsgID: "first", TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	broken := item("wk1 wm1 text 4")
	broken.Raw = json.RawMessage("{\"text\":\"\xff\"}") // no UTF-8: it travels as base64
	if _, _, err := p.Publish(testkit.Context(t), bus.Message{Subject: broken.Subject(), Event: broken.Event()}); err != nil {
		t.Fatal(err)
	}
	before := p.holds(events.StreamMessage)
	if before[0].Header.Get("Nats-Batch-Id") == "" || before[2].Header.Get("Nats-TTL") == "" {
		t.Fatalf("the originals have no headers of the broker's: %v %v", before[0].Header, before[2].Header)
	}
	for stream, args := range map[string][]string{"TEAM": nil, "FIXED": {"--to", "orders.again", "--stream", "FIXED"}} {
		if sum, code, errs := p.run(append([]string{"--name", "n-1"}, args...)...); code != 0 || sum.Stream != stream || sum.Copied != 4 {
			t.Fatalf("code %d %+v %s", code, sum, errs)
		}
		got := p.holds(stream)
		for i, was := range before {
			m := got[i]
			want := "kf.replay.n-1" + strings.TrimPrefix(was.Subject, "kf")
			if stream == "FIXED" {
				want = "orders.again"
			}
			if m.Subject != want || m.Header.Get(events.HeaderReplaySubject) != was.Subject || m.Header.Get(events.HeaderReplaySeq) != fmt.Sprint(was.Seq) {
				t.Errorf("%d: got %s %v, want %s", i, m.Subject, m.Header, want)
			}
			for k := range m.Header {
				if strings.HasPrefix(k, "Nats-") && k != "Nats-Msg-Id" && k != "Nats-Expected-Stream" {
					t.Errorf("%d: %s went on", i, k)
				}
			}
			for k, v := range was.Header {
				if !strings.HasPrefix(k, "Nats-") && !slices.Equal(m.Header[k], v) {
					t.Errorf("%d: %s is %q, want %q", i, k, m.Header[k], v)
				}
			}
			old, err1 := was.Event()
			e, err2 := m.Event()
			if err := errors.Join(err1, err2); err != nil || e.Extensions()[events.ExtReplay] != "true" || !bytes.Equal(e.Data(), old.Data()) {
				t.Errorf("%d: got %s, %v", i, m.Data, err)
			}
			if cut := bytes.Replace(m.Data, []byte(`"kfreplay":"true",`), nil, 1); !bytes.Equal(cut, was.Data) {
				t.Errorf("%d: got  %s\nwant %s and the flag", i, m.Data, was.Data)
			}
			e.SetExtension(events.ExtReplay, nil)
			if e.String() != old.String() {
				t.Errorf("%d: got %s\nwant %s", i, e, old)
			}
		}
	}
}

func TestReplayRepeated(t *testing.T) {
	p := newPast(t)
	p.teamStream()
	p.many(40)
	for i, want := range []replayed{{Copied: 40}, {Copied: 40, Repeated: 40}} {
		if sum, code, _ := p.run("--name", "once"); code != 0 || sum.Copied != want.Copied || sum.Repeated != want.Repeated {
			t.Errorf("run %d: got %+v", i, sum)
		}
	}
	if got := ids(t, p.holds("TEAM")); got != numbers(1, 40) {
		t.Errorf("got %s", got)
	}
	if sum, _, errs := p.run("--name", "another"); sum.Copied != 40 || sum.Repeated != 0 || !strings.Contains(errs, "2m0s") {
		t.Errorf("another name is another replay: got %+v, %s", sum, errs)
	}
	_, out, _ := kfbus(t, "replay", "--name", "once", "--nats", p.server.URL())
	if !strings.Contains(out, "copied 40 events") || !strings.Contains(out, "40 of them were there already") || !strings.Contains(out, "\nlast   sequence 40, stored ") {
		t.Errorf("got %s", out)
	}
}

func TestReplayRefusals(t *testing.T) {
	p := newPast(t)
	p.takes(jetstream.StreamConfig{Name: "TEAM", Subjects: []string{"kf.replay.>", "orders.>"}})
	p.happened("wk1 wm1 text 1")
	for _, c := range []struct {
		flags string
		code  int
		want  string
	}{
		{"--name n --to kf.message.>", 2, "kf.replay.<name>"},
		{"--name n --to kf.message.ww1.wk1.text.wm1", 2, "take a copy for news"},
		{"--name n --to kf.command.t.ww1.wk1.send.wm1", 2, "kf.replay.<name>"},
		{"--name n --to kf.history.>", 2, "kf.replay.<name>"},
		{"--name n --to kf.replay", 2, "kf.replay.<name>"},
		{"--name n --to kf.replay.>", 2, "kf.replay.<name>"},
		{"--name n --to kf.replayed.x", 2, "kf.replay.<name>"},
		{"--name n --to kf.lane.command.0.>", 2, "kf.replay.<name>"},
		{"--name n --to $KV.kf_ledger.>", 2, "the broker's"},
		{"--name n --to $JS.API.STREAM.PURGE.KF_MESSAGE", 2, "the broker's"},
		{"--name n --to _INBOX.x", 2, "the broker's"},
		{"--name n --to >", 2, "must be a subject"},
		{"--name n --to orders.*", 2, "must be a subject"},
		{"--name n --to orders..x", 2, "must be a subject"},
		{"--name n --to orders.>.x", 2, "must be a subject"},
		{"--name n --to .>", 2, "must be a subject"},
		{"", 2, "--name"},
		{"--name a.b", 2, "--name"},
		{"--name -", 2, "--name"},
		{"--name n --core --stream TEAM", 2, "exclude"},
		{"--name n --app --account wk1", 2, "exclude"},
		{"--name n --rate 0", 2, "--rate"},
		{"--name n --rate fast", 2, "--rate"},
		{"--name n --in-flight 0", 2, "--in-flight"},
		{"--name n --since yesterday", 2, "--since"},
		{"--name n --until -3h", 2, "--until"},
		{"--name n --since 1h --until 2h", 2, "not before"},
		{"--name n --to nobody.>", 3, "--core"},
		{"--name n --stream OTHER", 3, "OTHER"},
		{"--name n --stream KF_OUTCOME", 2, "no team's"},
		{"--name n --to orders.x --stream TEAM", 0, "TEAM"},
		{"--name n --to kf.replay.x", 0, "TEAM"},
	} {
		sum, code, errs := p.run(strings.Fields(c.flags)...)
		if code != c.code || !strings.Contains(errs, c.want) || code != 0 && sum.Copied != 0 {
			t.Errorf("%s: code %d, want %d and %q in %s", c.flags, code, c.code, c.want, errs)
		}
	}
	// A stream that is there, but does not take the subject: the broker says so, and the place is kept.
	p.takes(jetstream.StreamConfig{Name: "ELSEWHERE", Subjects: []string{"elsewhere"}})
	if sum, code, errs := p.run("--name", "n2", "--stream", "ELSEWHERE"); code != 1 || sum.Copied != 0 || !strings.Contains(errs, "--from-seq 1") {
		t.Errorf("code %d, %+v, %s", code, sum, errs)
	}
	if got := len(p.holds(events.StreamMessage)); got != 1 {
		t.Errorf("KF_MESSAGE holds %d messages, want 1", got)
	}
}

// TestReplayOfNothing: a stream without messages, one without matches, and one whose matches are gone.
func TestReplayOfNothing(t *testing.T) {
	p := newPast(t)
	p.teamStream()
	for _, prepare := range []func(){func() {}, func() { p.happened("wk1 wm1 text 1 old") }} {
		prepare()
		if sum, code, _ := p.run("--name", "n"); code != 0 || !sum.Done || sum.Copied != 0 || sum.First != nil || sum.NextSeq != 1 {
			t.Errorf("code %d, got %+v", code, sum)
		}
	}
}

// TestReplayInterrupted: the sum says where to go on, and going on there leaves nothing out and doubles nothing.
func TestReplayInterrupted(t *testing.T) {
	p := newPast(t)
	p.takes(jetstream.StreamConfig{Name: "TEAM", Subjects: []string{"kf.replay.>"}, Duplicates: 100 * time.Millisecond}) // no help from ids
	p.many(2000)
	next, total := uint64(0), uint64(0)
	for i := 0; ; i++ {
		ctx, cancel := context.WithCancel(testkit.Context(t))
		sub, err := p.NC.SubscribeSync("kf.replay.>")
		if err != nil {
			t.Fatal(err)
		}
		if err := p.NC.Flush(); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { // interrupt it after some copies, wherever it is then
			defer close(done)
			for range 150 + 37*i {
				if _, err := sub.NextMsgWithContext(ctx); err != nil {
					return
				}
			}
			cancel()
		}()
		var out, errs bytes.Buffer
		code := run(ctx, []string{"replay", "--nats", p.server.URL(), "-o", "json", "--name", "n", "--from-seq", fmt.Sprint(next)}, strings.NewReader(""), &out, &errs)
		cancel()
		<-done
		_ = sub.Unsubscribe()
		var sum replayed
		if err := json.Unmarshal(out.Bytes(), &sum); err != nil {
			t.Fatalf("%s %s", out.String(), errs.String())
		}
		total += sum.Copied
		if sum.Done {
			if code != 0 {
				t.Errorf("code %d after all", code)
			}
			break
		}
		if code != 3 || sum.NextSeq != sum.Last.Seq+1 || !strings.Contains(errs.String(), fmt.Sprintf("--from-seq %d", sum.NextSeq)) {
			t.Fatalf("code %d, %+v, %s", code, sum, errs.String())
		}
		next = sum.NextSeq
	}
	got := p.holds("TEAM")
	if ids(t, got) != numbers(1, 2000) || total != 2000 {
		t.Errorf("got %d, %d said to be copied", len(got), total)
	}
}

// TestReplayFails: a stream that takes no more stops it, and where there is room again it goes on in order.
func TestReplayFails(t *testing.T) {
	p := newPast(t)
	full := jetstream.StreamConfig{Name: "TEAM", Subjects: []string{"kf.replay.>"}, MaxMsgs: 30, Discard: jetstream.DiscardNew}
	p.takes(full)
	p.many(100)
	sum, code, errs := p.run("--name", "n", "--until", time.Now().Add(time.Hour).Format(time.RFC3339))
	if code != 1 || sum.Done || sum.Copied != 30 || sum.NextSeq != 31 || sum.Ahead != 0 ||
		!strings.Contains(errs, "sequence 31") || !strings.Contains(errs, "--from-seq 31 --until 20") {
		t.Fatalf("code %d, %+v, %s", code, sum, errs)
	}
	full.MaxMsgs = 1000
	if _, err := p.JS.UpdateStream(testkit.Context(t), full); err != nil {
		t.Fatal(err)
	}
	if sum, code, _ := p.run("--name", "n", "--from-seq", "31"); code != 0 || sum.Copied != 70 {
		t.Errorf("code %d, %+v", code, sum)
	}
	if got := ids(t, p.holds("TEAM")); got != numbers(1, 100) {
		t.Errorf("got %s", got)
	}
}

// TestReplayAhead: where one is refused and those behind it are not, the sum says so; with --in-flight 1 none is behind.
func TestReplayAhead(t *testing.T) {
	p := newPast(t)
	p.takes(jetstream.StreamConfig{Name: "TEAM", Subjects: []string{"kf.replay.>"}, MaxMsgSize: 2000})
	long := item("wk1 wm1 text 2")
	long.Raw = json.RawMessage(`{"text":"` + strings.Repeat("x", 3000) + `"}`)
	p.happened("wk1 wm1 text 1")
	if _, _, err := p.Publish(testkit.Context(t), bus.Message{Subject: long.Subject(), Event: long.Event()}); err != nil {
		t.Fatal(err)
	}
	p.happened("wk1 wm1 text 3", "wk1 wm1 text 4")
	if sum, code, errs := p.run("--name", "n"); code != 1 || sum.Copied != 1 || sum.NextSeq != 2 || sum.Ahead != 2 || !strings.Contains(errs, "2 copies behind") {
		t.Errorf("code %d, %+v, %s", code, sum, errs)
	}
	if sum, code, _ := p.run("--name", "n1", "--in-flight", "1"); code != 1 || sum.Copied != 1 || sum.Ahead != 0 {
		t.Errorf("code %d, %+v", code, sum)
	}
}

func TestReplayRate(t *testing.T) {
	p := newPast(t)
	p.teamStream()
	p.many(20)
	began := time.Now()
	if sum, code, _ := p.run("--name", "n", "--rate", "100/s"); code != 0 || sum.Copied != 20 {
		t.Errorf("code %d, %+v", code, sum)
	}
	if took := time.Since(began); took < 190*time.Millisecond { // the first at once, then one every 10 ms
		t.Errorf("20 copies at 100/s took %v, want 190ms at least", took)
	}
}

func TestReplayToWhoeverListens(t *testing.T) {
	p := newPast(t)
	p.many(300)
	sub, err := p.NC.SubscribeSync("bot.in.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.NC.Flush(); err != nil {
		t.Fatal(err)
	}
	if sum, code, errs := p.run("--name", "n", "--to", "bot.in.>", "--core"); code != 0 || sum.Copied != 300 || sum.Stream != "" {
		t.Fatalf("code %d, %+v, %s", code, sum, errs)
	}
	for i := range 300 {
		m, err := sub.NextMsgWithContext(testkit.Context(t))
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("bot.in.message.ww1.wk1.text.wm%d", i%7); m.Subject != want || m.Header.Get(events.HeaderReplaySeq) != fmt.Sprint(i+1) {
			t.Fatalf("%d: got %s %s, want %s", i, m.Subject, m.Header.Get(events.HeaderReplaySeq), want)
		}
	}
}

// TestReplayLeavesOutWhatIsNoEvent: it can be flagged in no mode.
func TestReplayLeavesOutWhatIsNoEvent(t *testing.T) {
	p := newPast(t)
	p.teamStream()
	p.happened("wk1 wm1 text 1")
	if _, err := p.JS.Publish(testkit.Context(t), "kf.message.ww1.wk1.text.wm1", []byte(`{"hello":1}`)); err != nil {
		t.Fatal(err)
	}
	p.happened("wk1 wm1 text 3")
	if sum, code, _ := p.run("--name", "n"); code != 0 || sum.Copied != 2 || sum.LeftOut != 1 {
		t.Errorf("code %d, %+v", code, sum)
	}
	if got := ids(t, p.holds("TEAM")); got != "1 3" {
		t.Errorf("got %s", got)
	}
}

// TestWalkGoesOnWithoutItsConsumer: a consumer that is gone, as after a restart of the broker, costs neither order nor
// messages.
func TestWalkGoesOnWithoutItsConsumer(t *testing.T) {
	p := newPast(t)
	p.many(1000)
	ctx := testkit.Context(t)
	st, err := p.JS.Stream(ctx, events.StreamMessage)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = walk(ctx, p.Bus, events.StreamMessage, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"kf.message.>"}}, func(m bus.Stored, _ uint64) (bool, error) {
		got = append(got, strconv.FormatUint(m.Seq, 10))
		if m.Seq == 200 {
			for name := range st.ConsumerNames(ctx).Name() {
				if name != bus.DurableInbox {
					if err := st.DeleteConsumer(ctx, name); err != nil {
						return false, err
					}
				}
			}
		}
		return true, nil
	})
	if err != nil || strings.Join(got, " ") != numbers(1, 1000) {
		t.Errorf("got %d of 1000 in %v, %v", len(got), got, err)
	}
}

// TestWalkOutlivesTheBroker: a restart in the middle costs neither order nor messages.
func TestWalkOutlivesTheBroker(t *testing.T) {
	dir, addr := t.TempDir(), freeAddr(t)
	start := func() *localnats.Server {
		s, err := localnats.Start(localnats.Options{Dir: dir, Listen: addr})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	server := start()
	defer func() { server.Close() }()
	b, err := bus.Connect(bus.Config{URL: "nats://" + addr}, "walker", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer b.NC.Close()
	if _, err := b.Apply(testkit.Context(t), testkit.Small()); err != nil {
		t.Fatal(err)
	}
	p := past{t, b, server}
	p.many(1000)
	var got []string
	err = walk(testkit.Context(t), b, events.StreamMessage, jetstream.OrderedConsumerConfig{}, func(m bus.Stored, _ uint64) (bool, error) {
		got = append(got, strconv.FormatUint(m.Seq, 10))
		if m.Seq == 200 {
			server.Close()
			server = start()
		}
		return true, nil
	})
	if err != nil || strings.Join(got, " ") != numbers(1, 1000) {
		t.Errorf("got %d of 1000, %v", len(got), err)
	}
}

// TestWalkEnds: before what is stored meanwhile, and also where the rest is deleted meanwhile.
func TestWalkEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(p past)
		most int
	}{
		{"more is stored", func(p past) { p.many(50) }, 1000},
		{"the rest is deleted", func(p past) {
			s, err := p.JS.Stream(p.Context(), events.StreamMessage)
			if err == nil {
				err = s.Purge(p.Context())
			}
			if err != nil {
				p.Fatal(err)
			}
		}, 999},
	} {
		p := newPast(t)
		p.many(1000)
		n := 0
		err := walk(testkit.Context(t), p.Bus, events.StreamMessage, jetstream.OrderedConsumerConfig{}, func(m bus.Stored, _ uint64) (bool, error) {
			if n++; n == 1 {
				c.do(p)
			}
			return true, nil
		})
		if err != nil || n > c.most || n < 1 {
			t.Errorf("%s: got %d, want %d at most: %v", c.name, n, c.most, err)
		}
	}
}

func TestReplayReports(t *testing.T) {
	p := newPast(t)
	p.teamStream()
	p.many(10)
	r := replay{name: "n", inFlight: 4}
	c, err := r.plan(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	c.bus, c.progress = p.Bus, &said
	var clock atomic.Int64
	c.now = func() time.Time { return time.Unix(clock.Add(1), 0) } // a second passes with each message
	if err := r.open(testkit.Context(t), c, p.Bus); err != nil {
		t.Fatal(err)
	}
	if _, err := c.run(testkit.Context(t)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(said.String(), " copied, at sequence "); n != 5 || !strings.Contains(said.String(), "2 copied, at sequence 2 of ") || !strings.Contains(said.String(), "up to 8 to go") {
		t.Errorf("got %d reports:\n%s", n, said.String())
	}
}

// BenchmarkReplay copies 1 KiB events on one server; ns/op is of one copy.
func BenchmarkReplay(b *testing.B) {
	bs, _ := testkit.Bus(b)
	ctx := b.Context()
	if _, err := bs.JS.CreateStream(ctx, jetstream.StreamConfig{Name: "TEAM", Subjects: []string{"kf.replay.>"}}); err != nil {
		b.Fatal(err)
	}
	in := item("wk1 wm1 text 1")
	in.Raw = json.RawMessage(`{"text":"` + strings.Repeat("x", 500) + `"}`)
	for left := b.N; left > 0; {
		var ms []bus.Message
		for ; left > 0 && len(ms) < 500; left-- {
			in.MsgID = fmt.Sprint("m", left)
			ms = append(ms, bus.Message{Subject: in.Subject(), Event: in.Event()})
		}
		if _, err := bs.PublishBatch(ctx, ms); err != nil {
			b.Fatal(err)
		}
	}
	r := replay{name: "n", inFlight: 128}
	c, err := r.plan(time.Now())
	if err != nil {
		b.Fatal(err)
	}
	c.bus, c.progress = bs, io.Discard
	if err := r.open(ctx, c, bs); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	if sum, err := c.run(ctx); err != nil || sum.Copied != uint64(b.N) {
		b.Fatal(sum, err)
	}
}

// TestReplayOnTheStack: what a customer wrote comes again, flagged, to a subject of the team's; nothing of the contract moves.
func TestReplayOnTheStack(t *testing.T) {
	s := startStack(t)
	next := s.subscribe("kf.message.>")
	s.say("first")
	s.say("second")
	originals := []*nats.Msg{next(), next()}
	if _, err := s.admin.JS.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}}); err != nil {
		t.Fatal(err)
	}
	calls := s.sim.Calls("kf/send_msg")
	again := s.subscribe("orders.again.>")
	s.stored(originals[1])
	code, out, errs := kfbus(t, "replay", "--name", "fix", "--since", "1h", "--account", s.kf(), "--customer", s.user(), "--type", "text",
		"--to", "orders.again.>", "--stream", "ORDERS", "--nats", s.urls.nats)
	if code != 0 || !strings.Contains(out, "copied 2 events") {
		t.Fatalf("code %d\n%s%s", code, out, errs)
	}
	for _, was := range originals {
		m := again()
		if want := bytes.Replace(was.Data, []byte("{"), []byte(`{"kfreplay":"true",`), 1); m.Subject != "orders.again"+strings.TrimPrefix(was.Subject, "kf") || !bytes.Equal(m.Data, want) {
			t.Errorf("got  %s %s\nwant %s", m.Subject, m.Data, want)
		}
	}
	if n := s.sim.Calls("kf/send_msg") - calls; n != 0 {
		t.Errorf("%d sends", n)
	}
}

// stored waits until KF_MESSAGE has what a plain subscriber saw a moment before.
func (s *stack) stored(m *nats.Msg) {
	s.Helper()
	testkit.Eventually(s.T, "the message to be stored", func() bool {
		last, err := s.admin.Last(s.Context(), events.StreamMessage, m.Subject)
		return err == nil && bytes.Equal(last.Data, m.Data)
	})
}
