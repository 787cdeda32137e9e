package window

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestLedgerRoundTrip(t *testing.T) {
	l := spent(t, 3)
	l, _ = l.AgentWrote(t0.Add(time.Minute))
	l, _ = l.SessionChanged(1, t0.Add(2*time.Minute), 1<<63+1) // beyond what a float64 holds
	l, _ = l.SendFailed(send("s2").MsgID(), 6, t0.Add(time.Minute), after(time.Minute))
	l, _ = answered(t, l, command(Recall, "c1"), after(time.Minute), Answer{})
	l, _ = rules.Decide(l, Command{Team: "shop", ID: "c2", Verb: Recall, Target: "never <&> 来", ExpiresAt: t0.Add(time.Hour)}, after(time.Minute))
	back := reload(t, l)
	same(t, "round trip", back, l)
	if back.V != version || back.SessionSeq != 1<<63+1 || back.ExhaustedAt == 0 || len(back.Records) != 6 || record(t, back, Command{Team: "shop", ID: "never <&> 来"}).State != Cancelled {
		t.Errorf("got %+v", back)
	}
	if zero := reload(t, Ledger{}); zero.CustomerAt != 0 || zero.CustomerAt.Time() != (time.Time{}) || At(time.Time{}) != 0 {
		t.Errorf("zero value: got %+v", zero)
	}
	if data, _ := json.Marshal(Ledger{}); string(data) != `{"v":1}` {
		t.Errorf("zero value: got %s", data)
	}
}

func TestFieldsOfANewerVersionSurvive(t *testing.T) {
	c := send("s1")
	newer := fmt.Sprintf(`{"v":7,"c":%[1]d,"mood":{"of":["customer",1.50,null]},"B":18446744073709551616,
		"r":[{"k":"%[2]s","t":"shop","i":"s1","b":"send","s":"sending","a":1,"n":true,"ra":%[1]d,"xa":%[3]d,"lane":3,"\u003c":"é"},
		     {"k":"z","t":"shop","i":"z","s":"dreaming","xa":0,"wake":true}]}`,
		t0.UnixMilli(), c.MsgID(), t0.Add(time.Hour).UnixMilli())
	var l Ledger
	if err := json.Unmarshal([]byte(newer), &l); err != nil {
		t.Fatal(err)
	}
	l, res := rules.Settle(l, c, 1, AnswerOf(0), after(time.Second))
	if res.Outcome.State != Accepted {
		t.Fatalf("got %+v", res)
	}
	l, _ = reload(t, l).CustomerWrote(t0.Add(time.Hour), "m2", 9)
	data, err := json.Marshal(reload(t, l))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"v":7`, `"mood":{"of":["customer",1.50,null]}`, `"B":18446744073709551616`, `"lane":3`, `"\u003c":"é"`, `"s":"dreaming"`, `"wake":true`, `"q":9`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("lost %s in %s", want, data)
		}
	}
	if n := strings.Count(string(data), `"v"`); n != 1 {
		t.Errorf("got %d versions in %s", n, data)
	}
}

func TestAnyOneFieldOfANewerVersionSurvives(t *testing.T) {
	for _, stored := range []string{
		`{"v":1,"c":5,"new":1}`,
		`{"v":1,"c":5,"r":[{"k":"a","t":"t","i":"a","s":"accepted","xa":1,"new":1},{"k":"b","t":"t","i":"b","s":"accepted","xa":1}]}`,
	} {
		var l Ledger
		if err := json.Unmarshal([]byte(stored), &l); err != nil {
			t.Fatal(err)
		}
		if data, _ := json.Marshal(l.with(newRecord(send("s1")))); !strings.Contains(string(data), `"new":1`) {
			t.Errorf("lost a field of %s in %s", stored, data)
		}
	}
	for _, bad := range []string{`[]`, `{"r":[1]}`, `{"c":"x"}`, `{"r":[{"k":1}]}`, `{`, ``} {
		if err := json.Unmarshal([]byte(bad), new(Ledger)); err == nil {
			t.Errorf("%q: want an error", bad)
		}
	}
}

func TestFinishedCommandsAreForgottenAfter72Hours(t *testing.T) {
	l := accepted(t, opened(), expiring(send("s1"), time.Minute), after(0))
	l, _ = l.CustomerWrote(t0.Add(time.Hour), "m2", 2)
	for _, tc := range []struct {
		age   time.Duration
		known bool
	}{{recordKeep, true}, {recordKeep + time.Millisecond, false}} {
		l, _ := l.CustomerWrote(t0.Add(tc.age), "m3", 3)
		l, _ = post(t, l, send("s2"), after(tc.age))
		if _, known := l.find(send("s1").MsgID()); known != tc.known {
			t.Errorf("after %v: known %v, want %v", tc.age, known, tc.known)
		}
	}
}

func TestLedgerIsBounded(t *testing.T) {
	fill := func(expiry time.Duration) Ledger {
		l := opened()
		for i := range maxRecords {
			c := expiring(send(fmt.Sprint("f", i)), expiry)
			l.Records = append(l.Records, newRecord(c).finished(Refused, ReasonQuotaSpent, 0, after(0)))
		}
		return l
	}
	late := 2 * time.Hour
	t.Run("the oldest go after their own expiry", func(t *testing.T) {
		l, _ := post(t, fill(time.Minute), send("s1"), after(late))
		if _, known := l.find(MsgID("", "shop", "f0")); known || len(l.Records) != maxRecords {
			t.Errorf("got %d records, the oldest known: %v", len(l.Records), known)
		}
		if _, known := l.find(MsgID("", "shop", "f1")); !known {
			t.Error("more than the oldest went")
		}
	})
	t.Run("none goes before it, and new commands wait", func(t *testing.T) {
		l := fill(late)
		got, a := rules.Decide(l, expiring(send("s1"), late), after(late-time.Minute))
		if a.Kind != Wait || a.Until.Sub(t0) != late-30*time.Second || len(got.Records) != maxRecords {
			t.Errorf("got %+v with %d records, want to wait half a minute", a, len(got.Records))
		}
		got, a = rules.Decide(l, expiring(send("s1"), late), after(late))
		if a.Kind != Finish || a.Outcome.State != Expired || len(got.Records) != maxRecords {
			t.Errorf("got %+v with %d records, want expired without a record", a, len(got.Records))
		}
		if _, a = rules.Decide(l, expiring(send("f7"), late), after(late)); a.Kind != Again {
			t.Errorf("a known command: got %+v, want its outcome", a)
		}
	})
	t.Run("one that holds a place stays", func(t *testing.T) {
		l := accepted(t, opened(), expiring(send("s1"), time.Minute), after(0))
		for i := range maxRecords {
			c := expiring(send(fmt.Sprint("f", i)), time.Minute)
			l.Records = append(l.Records, newRecord(c).finished(Refused, ReasonQuotaSpent, 0, after(0)))
		}
		if l = l.prune(after(late)); l.Used() != 1 || len(l.Records) != maxRecords {
			t.Errorf("got %d places, %d records", l.Used(), len(l.Records))
		}
	})
	t.Run("a tombstone stays for two days", func(t *testing.T) {
		l := fill(time.Minute)
		l.Records = l.Records[:10]
		l, _ = rules.Decide(l, expiring(command(Recall, "c1"), time.Minute), after(0))
		l.Records = append(l.Records, fill(time.Minute).Records...)
		for age, kept := range map[time.Duration]bool{tombKeep: true, tombKeep + staleAfter + time.Second: false} {
			if _, known := l.prune(after(age)).find(MsgID("", "shop", "s1")); known != kept {
				t.Errorf("after %v: known %v, want %v", age, known, kept)
			}
		}
	})
	data, err := json.Marshal(fill(time.Hour))
	if perRecord := len(data) / maxRecords; err != nil || perRecord > 300 {
		t.Errorf("got %d bytes a record, %v", perRecord, err)
	}
	l := opened()
	for i := range maxRecords {
		c := Command{Team: strings.Repeat("t", maxID), ID: fmt.Sprintf("%0256d", i), Verb: Transfer, ExpiresAt: t0}
		rec := newRecord(c).finished(Unknown, ReasonPlatformUndocumented, 1<<30, after(0))
		rec.Fix, rec.FixReason, rec.SentAt, rec.Window, rec.Attempt = Failed, ReasonDeliveryFailed, At(t0), At(t0), 99
		l.Records = append(l.Records, rec)
	}
	if data, _ = json.Marshal(l); len(data) >= 1<<20 {
		t.Errorf("the largest ledger has %d bytes, want less than 1 MiB", len(data))
	}
}

// TestAbandonedCommandsAreSettled: a command was purged from the stream after an attempt, and must not hold a place for ever.
func TestAbandonedCommandsAreSettled(t *testing.T) {
	dead := expiring(send("s1"), time.Minute)
	idle := expiring(send("s2"), time.Minute)
	l, _ := post(t, opened(), dead, after(0))
	l, _ = answered(t, l, idle, after(0), Answer{Kind: AnswerNotSent})
	limit := time.Minute + staleAfter
	before, _ := post(t, l, send("s3"), after(limit))
	if got := [...]State{record(t, before, dead).State, record(t, before, idle).State}; got != [...]State{Sending, Retry} {
		t.Errorf("within the hour: got %v, want both left alone", got)
	}
	l, _ = post(t, l, send("s3"), after(limit+time.Millisecond))
	if got := [...]State{record(t, l, dead).State, record(t, l, idle).State}; got != [...]State{Unknown, Expired} || l.Used() != 2 {
		t.Errorf("got %v with %d places, want unknown, expired, 2", got, l.Used())
	}
	if _, a := rules.Decide(l, dead, after(3*time.Hour)); a.Kind != Again || a.Outcome.State != Unknown || a.Outcome.Reason != ReasonAbandoned {
		t.Errorf("should it come after all: got %+v", a)
	}
	if l, _ = l.CustomerWrote(t0.Add(2*time.Hour), "m2", 2); l.Used() != 1 {
		t.Errorf("got %d places after the next message, want 1", l.Used())
	}
}

func FuzzLedger(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"v":9,"new":[],"r":[{"k":"","s":"retry","q":1}]}`))
	for _, s := range []State{Sending, Retry, Accepted, Refused, Unknown, "odd"} {
		rec := newRecord(send("s1"))
		rec.State, rec.Attempt, rec.Counts = s, 1, true
		data, err := json.Marshal(opened().with(rec))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var l Ledger
		if json.Unmarshal(data, &l) != nil {
			return
		}
		once, err := json.Marshal(l)
		if err != nil {
			t.Fatalf("decoded but cannot be encoded: %v", err)
		}
		if twice, _ := json.Marshal(reload(t, l)); string(twice) != string(once) {
			t.Fatalf("not stable:\n%s\n%s", once, twice)
		}
		now := after(time.Hour)
		for _, c := range []Command{send("s1"), command(Reply, "s1"), command(Recall, "c1"), command(Transfer, "s1")} {
			next, a := rules.Decide(l, c, now)
			if a.Kind == Post && c.Verb == Send && l.Used() >= Quota && next.Used() > l.Used() {
				t.Fatalf("a sixth place from %s", data)
			}
			for code := range 2 {
				_, _ = rules.Settle(next, c, a.Attempt, AnswerOf(code*95001), now)
			}
		}
		_, _ = l.CustomerWrote(now.Platform, "m2", 2)
		_, _ = l.SessionChanged(1, now.Platform, 2)
		_, _ = l.SendFailed(send("s1").MsgID(), 6, now.Platform, now)
		rules.View(l, now)
	})
}
