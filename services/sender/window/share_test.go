package window

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// Whatever the teams send and whenever the customer writes: no team holds more places than its share, and together they
// never hold more than five.
func TestShares(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	shares := map[string]int{"a": 1, "b": 2, "c": 4, "d": 0}
	refused := 0
	for range 300 {
		r, now := Defaults(), Now{Local: time.Unix(1e9, 0), Platform: time.Unix(1e9, 0), Fresh: true}
		l, _ := Ledger{}.CustomerWrote(now.Platform, "m", 1)
		for n := range 30 {
			now.Local = now.Local.Add(time.Second * time.Duration(dice.IntN(5)))
			now.Platform = now.Local
			if dice.IntN(8) == 0 {
				l, _ = l.CustomerWrote(now.Platform, fmt.Sprint("m", n), uint64(n+2))
			}
			team := string(rune('a' + dice.IntN(4)))
			c := Command{Team: team, ID: fmt.Sprint(n), Conversation: "x", Verb: Send, ExpiresAt: now.Local.Add(time.Hour), Share: shares[team]}
			next, act := r.Decide(l, c, now)
			switch act.Kind {
			case Post:
				answer := Answer{Kind: AnswerKind(dice.IntN(4))}
				if l, _ = r.Settle(next, c, act.Attempt, answer, now); shares[team] > 0 && next.usedBy(team) > shares[team] {
					t.Fatalf("team %s holds %d places, its share is %d", team, next.usedBy(team), shares[team])
				}
			case Finish:
				l = next
				if act.Outcome.Reason == ReasonShareSpent {
					refused++
				}
				if act.Outcome.Reason == ReasonShareSpent && l.usedBy(team) < shares[team] {
					t.Fatalf("team %s is refused with %d of its %d places", team, l.usedBy(team), shares[team])
				}
			}
			if l.Used() > Quota {
				t.Fatalf("%d places are held", l.Used())
			}
		}
	}
	if refused == 0 {
		t.Error("no share was ever spent")
	}
}

// A team that floods a conversation with commands, of which nothing is sent, does not keep another from sending.
func TestAFloodLeavesRoom(t *testing.T) {
	l := opened()
	for n := 0; ; n++ {
		c := command(Recall, fmt.Sprint("r", n))
		c.Target = fmt.Sprint("never", n)
		next, a := rules.Decide(l, c, after(time.Minute))
		if a.Kind == Wait {
			break
		}
		if l = next; n > maxRecords {
			t.Fatal("a team never has to wait")
		}
	}
	other := send("s1")
	other.Team = "other"
	if _, a := rules.Decide(l, other, after(time.Minute)); a.Kind != Post {
		t.Errorf("got %+v with %d records, want the other team's send to go", a, len(l.Records))
	}
}
