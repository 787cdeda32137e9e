package sender

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/services/sender/window"
)

// Team is who may command, and how much.
type Team struct {
	Name      string   // as in the subject of its commands
	Accounts  []string // open_kfids that it may use; empty: all
	PerMinute int      // commands through one replica, recalls aside, of which a twentieth may come at once; 0: no limit
	Share     int      // how many of a customer's five messages it may take; 0: all
}

// ParseTeams reads one team a line, or several on one line with ; between them. What follows a # is a comment:
//
//	shop: accounts=wkAAA,wkBBB rate=600 share=4   # 600 commands a minute, 4 of a customer's 5 messages
//	crm:  accounts=*
//
// accounts is required; rate and share may be missing. An empty text gives no teams, which means any team.
func ParseTeams(text string) ([]Team, error) {
	var list []Team
	for n, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }) {
		line, _, _ = strings.Cut(line, "#")
		for _, entry := range strings.Split(line, ";") {
			if entry = strings.TrimSpace(entry); entry == "" {
				continue
			}
			t, err := parseTeam(entry)
			if err == nil && slices.ContainsFunc(list, func(o Team) bool { return o.Name == t.Name }) {
				err = fmt.Errorf("team %s is there twice; put all its accounts on one line", t.Name)
			}
			if err != nil {
				return nil, fmt.Errorf("teams, line %d: %w", n+1, err)
			}
			list = append(list, t)
		}
	}
	return list, nil
}

func parseTeam(entry string) (Team, error) {
	name, rest, ok := strings.Cut(entry, ":")
	t := Team{Name: strings.TrimSpace(name)}
	if !ok || t.Name == "" || strings.ContainsAny(t.Name, " \t=,") {
		return t, fmt.Errorf("%q is not NAME: accounts=ID,ID rate=COMMANDS share=MESSAGES", entry)
	}
	seen := map[string]bool{}
	for _, f := range strings.Fields(rest) {
		key, value, _ := strings.Cut(f, "=")
		if seen[key] {
			return t, fmt.Errorf("team %s has %s twice", t.Name, key)
		}
		seen[key] = true
		var err error
		switch key {
		case "accounts":
			t.Accounts, err = parseAccounts(value)
		case "rate":
			t.PerMinute, err = parseNumber(value, 1_000_000)
		case "share":
			t.Share, err = parseNumber(value, window.Quota)
		default:
			err = fmt.Errorf("is none of accounts, rate and share")
		}
		if err != nil {
			return t, fmt.Errorf("team %s, %s: %w", t.Name, key, err)
		}
	}
	if !seen["accounts"] {
		return t, fmt.Errorf("team %s owns no account: give accounts=wk…,wk…, or accounts=* for all", t.Name)
	}
	return t, nil
}

// parseAccounts returns nil for all.
func parseAccounts(value string) ([]string, error) {
	if value == "*" {
		return nil, nil
	}
	list := strings.Split(value, ",")
	if slices.Contains(list, "") || slices.Contains(list, "*") {
		return nil, fmt.Errorf("%q is neither * nor open_kfids with commas between them, without spaces", value)
	}
	return list, nil
}

func parseNumber(value string, most int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%q is no number from 1 to %d", value, most)
	}
	return n, nil
}

// teams are the teams by their tokens; none means that anybody may command.
type teams struct{ byToken map[string]*member }

type member struct {
	Team
	accounts map[string]bool // tokens; nil: all
	turns    *rate.Limiter   // nil: no limit
}

// newTeams lets the sender's own welcomes pass, unless their team is one of the list.
func newTeams(list []Team, welcomes bool) *teams {
	all := &teams{map[string]*member{}}
	if welcomes && len(list) > 0 {
		all.byToken[events.Token(WelcomeTeam)] = &member{Team: Team{Name: WelcomeTeam}}
	}
	for _, t := range list {
		known := &member{Team: t}
		if len(t.Accounts) > 0 {
			known.accounts = map[string]bool{}
			for _, a := range t.Accounts {
				known.accounts[events.Token(a)] = true
			}
		}
		if t.PerMinute > 0 {
			known.turns = rate.NewLimiter(rate.Every(time.Minute/time.Duration(t.PerMinute)), max(1, t.PerMinute/20))
		}
		all.byToken[events.Token(t.Name)] = known
	}
	return all
}

// admit returns the team of a command, nil where there are no teams, or why it is not taken on.
func (all *teams) admit(j *job) (*member, error) {
	if len(all.byToken) == 0 {
		return nil, nil
	}
	t := all.byToken[j.subject.Team]
	switch {
	case t == nil:
		return nil, &refusal{window.ReasonUnknownTeam, "team", "is none that may command here"}
	case t.accounts != nil && !t.accounts[j.subject.Account]:
		return nil, &refusal{window.ReasonNotOwner, "open_kfid", "is not of an account that the team owns"}
	}
	return t, nil
}

func (t *member) share() int {
	if t == nil {
		return 0
	}
	return t.Share
}

// takeTurn lets a command wait for its team's turn. It never waits in a lane: others' commands are in it. Its turn is its own
// from the first look on, so that the commands of a team go in the order in which they came. waits is false where it is now.
func (s *Sender) takeTurn(ctx context.Context, j *job, in entry, now window.Now) (waits, done bool, err error) {
	t := s.teams.byToken[j.subject.Team]
	if t == nil || t.turns == nil || j.ask.Verb == window.Recall {
		return false, false, nil
	}
	if j.turn.IsZero() {
		r := t.turns.ReserveN(now.Local, 1)
		j.turn = now.Local.Add(r.DelayFrom(now.Local))
		if !j.turn.Add(decideLead).Before(j.cmd.ExpiresAt) && j.turn.After(now.Local) {
			r.CancelAt(now.Local)
			next, act := s.rules.Refuse(in.Ledger, j.ask, window.ReasonTeamRate, 0, now)
			done, err = s.finish(ctx, j, in, next, act)
			j.turn = time.Time{}
			return true, done, err
		}
	}
	wait := j.turn.Sub(now.Local)
	if wait <= 0 {
		return false, false, nil
	}
	done, err = s.park(ctx, j, in, wait, window.Action{})
	return true, done, err
}
