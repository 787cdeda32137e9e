package bus

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/pkg/events"
)

// Team is who reads what some accounts receive, and answers on them.
type Team struct {
	Name     string
	Accounts []TeamAccount
}

// TeamAccount is an account as it stands in subjects: tokens, not ids. OpenKfID
// is "*" for every account of the corp.
type TeamAccount struct{ Corp, OpenKfID string }

var teamName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// ParseTeam reads a team as people write it: orders=ww1/wkDESK+ww1/wkSHOP, or
// audit=ww1/* for every account of a corp.
func ParseTeam(text string) (Team, error) {
	name, accounts, _ := strings.Cut(text, "=")
	bad := func(why string) error {
		return fmt.Errorf("team %q %s; write it like orders=CORP/OPEN_KFID+CORP/OPEN_KFID, or audit=CORP/*", text, why)
	}
	if !teamName.MatchString(name) {
		return Team{}, bad("has a name that is not 1 to 32 letters, digits, _ and -")
	}
	t := Team{Name: name}
	for one := range strings.SplitSeq(accounts, "+") {
		corp, account, _ := strings.Cut(one, "/")
		if corp == "" || account == "" {
			return Team{}, bad("has an account without CORP or OPEN_KFID")
		}
		a := TeamAccount{Corp: events.Token(corp), OpenKfID: account}
		if account != "*" {
			a.OpenKfID = events.Token(account)
		}
		for _, b := range t.Accounts { // a durable's filters must not overlap
			if a.Corp == b.Corp && (a.OpenKfID == b.OpenKfID || a.OpenKfID == "*" || b.OpenKfID == "*") {
				return Team{}, bad("has an account twice")
			}
		}
		t.Accounts = append(t.Accounts, a)
	}
	return t, nil
}

// ParseTeams reads several, and refuses a name that comes twice.
func ParseTeams(texts []string) ([]Team, error) {
	var out []Team
	var errs []error
	for _, text := range texts {
		t, err := ParseTeam(text)
		if err == nil && slices.ContainsFunc(out, func(o Team) bool { return o.Name == t.Name }) {
			err = fmt.Errorf("team %s is given twice", t.Name)
		}
		errs = append(errs, err)
		out = append(out, t)
	}
	return out, errors.Join(errs...)
}

// Durable names the team's durables: of KF_MESSAGE and of KF_OUTCOME.
func (t Team) Durable() string { return "team-" + t.Name }

// Reads are the subjects of the messages and events that the team may read.
func (t Team) Reads() []string {
	var out []string
	for _, a := range t.Accounts {
		for _, k := range []events.Kind{events.KindMessage, events.KindEvent} {
			out = append(out, fmt.Sprintf("kf.%s.%s.%s.>", k, a.Corp, a.OpenKfID))
		}
	}
	return out
}

// Outcomes is the subject of the outcomes of the team's commands.
func (t Team) Outcomes() string { return fmt.Sprintf("kf.%s.%s.>", events.KindOutcome, t.Name) }

// consumers are the durables that a team need not, and must not, make itself: who
// may make a consumer may name the subject that the server delivers to.
func (t Team) consumers(base jetstream.ConsumerConfig) []Consumer {
	of := func(stream string, filters ...string) Consumer {
		c := base
		c.Durable, c.FilterSubjects, c.DeliverPolicy = t.Durable(), filters, jetstream.DeliverNewPolicy
		if len(filters) == 1 {
			c.FilterSubject, c.FilterSubjects = filters[0], nil
		}
		return Consumer{stream, c}
	}
	return []Consumer{of(events.StreamMessage, t.Reads()...), of(events.StreamOutcome, t.Outcomes())}
}
