package natsconf

import (
	"slices"

	"github.com/kfbus/kfbus/internal/bus"
)

// Identity is one user of the broker: a service, a team, a job or a person.
type Identity struct {
	Name      string
	Publish   []string // subjects it may publish on
	Subscribe []string // subjects it may subscribe to, its inbox among them
	Responds  bool     // it may answer requests, on whatever subject they name
	Apart     bool     // it has an account of its own, into which only these subjects lead: see [Config.Render]
}

// Names of the identities that are no team.
const (
	Ingress     = "ingress"
	Syncer      = bus.ServiceSyncer
	Sender      = bus.ServiceSender
	Tokenkeeper = "tokenkeeper"
	Topology    = "topology" // the job that makes streams
	Operator    = "operator" // people: tail, dead letters, replay, requests
	Admin       = "admin"    // people who must be able to do anything; not made unless asked for
)

// TeamIdentity is the name of a team's identity.
func TeamIdentity(team bus.Team) string { return team.Durable() }

// InboxPrefix is what an identity's clients must set as their inbox prefix: replies
// to others are not theirs to read.
func InboxPrefix(identity string) string { return "_INBOX_" + identity }

// Identities returns everyone: services, jobs, people and teams, in that order.
func Identities(teams []bus.Team, admin bool) []Identity {
	out := []Identity{ingress(), syncer(), sender(), tokenkeeper(), topology(), operator()}
	for _, t := range teams {
		out = append(out, team(t))
	}
	if admin {
		out = append(out, Identity{Name: Admin, Publish: []string{">"}, Subscribe: []string{">"}})
	}
	for i := range out {
		if out[i].Name != Admin {
			out[i].Subscribe = append([]string{InboxPrefix(out[i].Name) + ".>"}, out[i].Subscribe...)
		}
		slices.Sort(out[i].Publish)
		out[i].Publish = slices.Compact(out[i].Publish)
	}
	return out
}
