package syncer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// Each crash point and fault between doorbell and stored message, its outcome, and the tests that cause it.
func TestEveryGuaranteeHasATest(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for i, g := range []struct{ point, fault, outcome, tests string }{
		{"2.1", "killed before the call", "the pull repeats", "TestKilledAnywhere"},
		{"2.2", "killed between answer and commit", "the pull repeats, nothing doubled", "TestKilledAnywhere TestKilledWhileReadingBack"},
		{"2.3", "killed in the middle of a batch", "nothing of it is seen", "TestKilledAnywhere"},
		{"2.4", "the commit's answer is lost", "the cursor is read again, nothing doubled", "TestCommitAnswerLost TestGapIsToldOnceWhateverDies"},
		{"2.5", "killed between commit and ack", "another pull finds nothing", "TestKilledAnywhere"},
		{"2.6", "four syncers on one account", "none lost, none doubled, in order", "TestFourSyncersOnOneAccount TestFourSyncersOnALostCursor"},
		{"2.7", "frozen between answer and commit", "its commit is refused", "TestFrozenSyncerHarmsNobody"},
		{"2.8", "the cursor is deleted", "one copy each, or flagged", "TestCursorLostWithThreeDaysBehindIt TestDeletedMessagesComeAgainFlagged TestCursorLostWhileThePastComesIn TestLostCursorWithItemsWithoutMsgID"},
		{"2.9", "the cursor is garbage or refused", "the one before, then none; no loop", "TestCursorThatNobodyCanUse TestRefusedCursorGoesBackToTheOneBefore TestPlatformThatTakesNoCursorAndNone"},
		{"2.10", "the same cursor again and again, pages that never end", "stopped, told, tried later", "TestCursorThatStays TestPagesThatNeverEnd TestItemsOfAPageThatDoesNotMove"},
		{"2.11", "has_more with an empty page", "goes on", "TestEmptyPagesWithMore"},
		{"2.12", "the callback's token is spent or too old", "a pull without it, inside the budget", "TestSpentSyncToken TestOldSyncTokenIsNotTried TestTokenlessPullsHaveABudget"},
		{"2.13", "no answer, half of one, or another's", "tried again, nothing lost", "TestPlatformFailsInEveryWay TestOneFailureIsTriedAgainAtOnce TestPlatformDown"},
		{"2.14", "45009", "the API is shut for all replicas", "TestRateLimitPausesAllReplicas TestNoCallsDuringABlock TestTokenlessLimitLeavesOthersAlone"},
		{"2.15", "the access token is refused", "one new one, the pull goes on", "TestRevokedAccessToken"},
		{"2.16", "poison: types, UTF-8, 2 MiB, nulls", "stored raw or dead with a reason", "TestPoisonDoesNotHoldUpThePage TestItemTooLargeForTheBroker TestHostileMessagesBetweenGoodOnes"},
		{"2.17", "ids that are hostile to subjects", "never raw in a subject, always stored", "TestHostileMessagesBetweenGoodOnes"},
		{"2.18", "the stream is full", "pulling stops, unready, goes on without loss", "TestFullStream"},
		{"2.19", "the broker restarts", "goes on after the cursor was read again", "TestBrokerRestartsWhilePulling"},
		{"2.20", "a customer takes a message back", "the event is passed on, nothing deleted", "TestRecallIsPassedOn"},
		{"2.21", "clocks that are wrong", "no effect on pulls", "TestWrongClocks"},
		{"2.22", "an outage of a day and more", "alarms at 24, 48, 60 hours, a gap after 72", "TestOutageOfThreeDays TestIdleAccountHasNoGap"},
	} {
		if want := fmt.Sprintf("2.%d", i+1); g.point != want {
			t.Errorf("got %s, want %s", g.point, want)
		}
		for test := range strings.FieldsSeq(g.tests) {
			if !strings.Contains(all.String(), "\nfunc "+test+"(t *testing.T)") {
				t.Errorf("%s %s, %s: there is no %s", g.point, g.fault, g.outcome, test)
			}
		}
	}
}

// 2.16, 2.17: 200 hostile messages between 2,000 good ones, two of them of 2 MiB, one of 9 MiB.
func TestHostileMessagesBetweenGoodOnes(t *testing.T) {
	w := newWorld(t)
	kinds := []string{"subject", "nul", "four_bytes", "surrogate", "huge_text", "huge_id", "json", "markup", "bidi", "empty"}
	raw := []string{
		`{"msgid":7,"msgtype":"text"}`, `{"msgid":null,"external_userid":null,"msgtype":null,"send_time":null}`, `{}`, `[]`, `null`, `17`, `"text"`,
		`{"msgtype":"event"}`, `{"msgtype":"event","event":[]}`, `{"msgtype":"event","event":{"event_type":"a.b>*"}}`, `{"msgtype":{"a":1},"origin":"3"}`,
		"{\"msgid\":\"#\xc3\x28\",\"msgtype\":\"text\",\"text\":\"\xff\xfe\"}", `{"msgtype":"te xt.>","external_userid":"..","send_time":-5}`,
		`{"msgtype":"text","send_time":1e400}`, `{"msgtype":"text","send_time":9223372036854775807}`, `{"msgtype":"text","msgtype":"image"}`,
		`{"msgid":"#` + strings.Repeat("i", 5000) + `","msgtype":"` + strings.Repeat("t", 300) + `"}`,
	}
	const good, hostile = 2000, 200
	w.swallow(true)
	bad := 0
	spoil := func() {
		var err error
		switch n := bad; {
		case n == 50 || n == 150:
			_, err = w.sim.Inject(desk, []byte(`{"msgid":"merged`+fmt.Sprint(n)+`","msgtype":"merged_msg","merged_msg":"`+strings.Repeat("长", 700<<10)+`"}`))
		case n == 100:
			_, err = w.sim.Inject(desk, []byte(`{"msgid":"huge","msgtype":"text","text":"`+strings.Repeat("x", 9<<20)+`"}`))
		case n == 0: // always the same msgid: a second one with the same bytes would be the same item
			_, err = w.sim.Hostile(kfsim.Hostile{OpenKfID: desk, Kind: "path_id"})
		case n%2 == 0:
			_, err = w.sim.Hostile(kfsim.Hostile{OpenKfID: desk, Kind: kinds[n/2%len(kinds)]})
		default:
			_, err = w.sim.Inject(desk, []byte(strings.ReplaceAll(raw[n/2%len(raw)], "#", fmt.Sprint(n))))
		}
		w.must(err)
		bad++
	}
	for i := range good {
		w.says(desk, 1)
		if i%(good/hostile) == 0 {
			spoil()
		}
	}
	r := w.syncer()
	w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}))
	testkit.Eventually(t, "all of them", func() bool { return w.cursor(desk).Seq == good+hostile && w.doorbells() == 0 })
	rows, dead := w.stored(desk), w.dead(reasonTooLarge)
	if len(rows) != good+hostile-1 || len(dead) != 1 {
		t.Errorf("got %d stored and %d dead, want %d and 1", len(rows), len(dead), good+hostile-1)
	}
	have := map[string]int{}
	tokens := regexp.MustCompile(`^kf(\.(=[A-Za-z0-9_-]{22}|[A-Za-z0-9_-]{1,64})){5}$`)
	last := ""
	for _, row := range rows {
		have[string(row.data)]++
		if !tokens.MatchString(row.subject) || row.seq <= last {
			t.Errorf("%s after %s on %q: want order, and tokens only", row.seq, last, row.subject)
		}
		last = row.seq
	}
	for _, it := range w.sim.Items(desk) {
		if len(it.Raw) > 8<<20 {
			continue
		}
		if have[string(it.Raw)]--; have[string(it.Raw)] < 0 {
			t.Errorf("an item of %d bytes is not there byte for byte", len(it.Raw))
		}
	}
	if got := r.counted("kf_syncer_setbacks_total"); got != 0 {
		t.Errorf("%d turns were put off, want none", got)
	}
	r.ready(true, "")
	t.Logf("%d good and %d hostile messages: %d stored raw, %d dead", good, hostile, len(rows), len(dead))
}

// 2.13 and the faults of pages: three calls in ten fail, in every way the simulator knows.
func TestPlatformFailsInEveryWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ctx = t.Context
	w.must(w.sim.Clock().SetSpeed(60)) // a block of a minute takes a second
	kinds := []string{kfsim.FaultLatency, kfsim.FaultRefuse, kfsim.FaultResetBefore, kfsim.FaultResetAfter, kfsim.FaultHTTP500Before, kfsim.FaultHTTP500After,
		kfsim.FaultGarbageBefore, kfsim.FaultGarbageAfter, kfsim.FaultCutAfter, kfsim.FaultRedirect, kfsim.FaultAcceptThenHang, kfsim.FaultLateEffect,
		kfsim.FaultErrCode, kfsim.FaultBlockMinute, kfsim.FaultRevokeToken,
		kfsim.FaultEmptyPage, kfsim.FaultSameCursor, kfsim.FaultNoCursor, kfsim.FaultUnknownItem, kfsim.FaultHostileItem, kfsim.FaultDuplicateItem}
	for _, kind := range kinds {
		f := kfsim.Fault{ID: kind, Kind: kind, Path: "kf/sync_msg", Probability: 0.3 / float64(len(kinds))}
		switch kind {
		case kfsim.FaultLatency, kfsim.FaultAcceptThenHang, kfsim.FaultLateEffect:
			f.Delay = 20 * time.Millisecond
		case kfsim.FaultErrCode:
			f.ErrCode = -1
		}
		_, err := w.sim.AddFault(f)
		w.must(err)
	}
	rs := []*replica{w.syncer(small(3), sweeping), w.syncer(small(3), sweeping)}
	struck := func() (n int, by map[string]int) {
		by = map[string]int{}
		for _, f := range w.sim.Faults() {
			n += f.Struck
			by[f.Kind] = f.Struck
		}
		return n, by
	}
	rounds, strikes := 0, 60
	if os.Getenv("KF_LONG") == "1" {
		strikes = 500
	}
	for n := 0; n < strikes; n, _ = struck() {
		w.says(desk, 30)
		rounds++
		testkit.Eventually(t, "this round's", func() bool { return w.cursor(desk).Seq >= uint64(30*rounds) })
	}
	_, by := struck()
	w.sim.RemoveFaults()
	w.must(w.ring(events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}))
	testkit.Eventually(t, "all of them", func() bool { return w.cursor(desk).Seq >= uint64(len(w.sim.Items(desk))) })
	w.wantAll(desk)
	if made := w.keeper.made; made > 1+by[kfsim.FaultRevokeToken] {
		t.Errorf("%d access tokens after %d revocations", made, by[kfsim.FaultRevokeToken])
	}
	blocks := by[kfsim.FaultBlockMinute]
	if got := w.sim.Answers("kf/sync_msg", 45009); got > 2*blocks {
		t.Errorf("45009 was answered %d times in %d blocks, want at most one call in each after the one that began it", got, blocks)
	}
	t.Logf("%d rounds, struck %v, %d access tokens", rounds, by, w.keeper.made)
	for _, r := range rs {
		r.ready(true, "")
	}
}

// 2.14: an API that is shut for a minute of the platform's hears from nobody, however many ring.
func TestNoCallsDuringABlock(t *testing.T) {
	w := newWorld(t)
	w.must(w.sim.Clock().SetSpeed(60))
	for range 3 {
		w.syncer(sweeping).ready(true, "")
	}
	w.says(desk, 1)
	w.wait(desk)
	_, err := w.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultBlockMinute, Path: "kf/sync_msg", Count: 1})
	w.must(err)
	w.says(desk, 20)
	w.wait(desk)
	w.wantAll(desk)
	if got := w.sim.Answers("kf/sync_msg", 45009); got < 1 || got > 2 {
		t.Errorf("45009 was answered %d times, want once, and at most one call during the block", got)
	}
}

// All callbacks of ten minutes are lost; two sweeps later everything is there.
func TestTenMinutesOfCallbacksSwallowed(t *testing.T) {
	w := newWorld(t)
	clock, timed := w.clock()
	accounts := []string{desk, "wkTWO", "wkTHREE"}
	w.account(accounts[1])
	w.account(accounts[2])
	r := w.syncer(timed, func(c *Config, _ *Deps) { c.Sweep = time.Minute })
	r.ready(true, "")
	w.says(desk, 1)
	w.wait(desk)
	w.swallow(true)
	for range 10 {
		clock.pass(time.Minute)
		for i, a := range accounts {
			w.says(a, 10*i+1)
		}
	}
	const sweep = time.Minute + time.Minute/10 // with its jitter
	for range 2 {
		clock.pass(sweep)
	}
	w.wait(accounts...) // no time passes for the syncer any more
	for _, a := range accounts {
		for _, row := range w.wantAll(a) {
			if row.history {
				t.Errorf("%s is history", row.seq)
			}
		}
	}
}

// 2.20.
func TestRecallIsPassedOn(t *testing.T) {
	w := newWorld(t)
	w.syncer()
	id, err := w.sim.CustomerSays(desk, ann, "forget this")
	w.must(err)
	w.wait(desk)
	w.must(w.sim.Recall(kfsim.Recall{OpenKfID: desk, ExternalUserID: ann, MsgID: id}))
	w.wait(desk)
	rows := w.wantAll(desk)
	if len(rows) != 2 || rows[0].id != id || rows[1].subject != "kf.event.ww1.wkDESK.user_recall_msg.wmANN" || !strings.Contains(string(rows[1].data), id) {
		t.Errorf("got %d stored, the last on %s; want the message and the event that names it", len(rows), rows[len(rows)-1].subject)
	}
}

// 2.21: two replicas whose clocks are an hour off, one each way, and a platform that is right.
func TestWrongClocks(t *testing.T) {
	w := newWorld(t)
	off := func(d time.Duration) func(*Config, *Deps) {
		return func(_ *Config, deps *Deps) { deps.Now = func() time.Time { return time.Now().Add(d) } }
	}
	first := w.syncer()
	w.says(desk, 1) // the account is known
	w.wait(desk)
	first.stop()
	turns := 0
	b := bell{Doorbell: events.Doorbell{Corp: "ww1", OpenKfID: desk, Event: events.RingSweep}}
	fast, slow := w.prepare(off(time.Hour), small(4)), w.prepare(off(-time.Hour), small(4))
	w.swallow(true)
	for w.cursor(desk).Seq < 101 {
		w.says(desk, 10)
		r := []*replica{fast, slow}[turns%2]
		w.must(r.turn(w.ctx(), nil, b))
		r.checkLag(w.ctx())
		turns++
	}
	rows := w.wantAll(desk)
	for _, row := range rows {
		if row.history || row.replay {
			t.Errorf("%s: history %v, flagged %v", row.seq, row.history, row.replay)
		}
	}
	if _, err := w.bus.Last(w.ctx(), events.StreamMessage, "kf.event.>"); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("got %v: an alarm or a gap because of an hour", err)
	}
}
