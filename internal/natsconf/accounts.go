package natsconf

import (
	"slices"
	"strconv"
	"strings"
)

// Domain is the JetStream domain that clients of an identity apart must name: in their account $JS.API means its own
// JetStream, which it does not have.
const Domain = "kf"

// Local is the name of a subject of ours in the account of an identity apart.
func Local(subject string) string {
	if rest, ok := strings.CutPrefix(subject, "$JS.API."); ok {
		return "$JS." + Domain + ".API." + rest
	}
	return subject
}

// accounts writes the accounts and their users: ours, the system's, which has none, and one for each identity that is
// apart. What such an identity may publish and hear is exported to its account alone and imported there.
func (c Config) accounts(w *writer) {
	w.line("system_account: SYS")
	w.open("accounts")
	w.line("SYS: {}")
	w.open("KF")
	w.line("jetstream: { max_memory: %d, max_streams: 64, max_consumers: 4096 }", maxMemory)
	w.line("users: [")
	w.in++
	for _, id := range c.Identities {
		if !id.Apart {
			c.user(w, id)
		}
	}
	w.in--
	w.line("]")
	c.exports(w)
	w.shut()
	for _, id := range c.Identities {
		if id.Apart {
			c.apart(w, id)
		}
	}
	w.shut()
}

// exports names each subject once, with all accounts that get it.
func (c Config) exports(w *writer) {
	var order []string
	to := map[string][]string{}
	for _, id := range c.Identities {
		for _, e := range exported(id) {
			if to[e] == nil {
				order = append(order, e)
			}
			to[e] = append(to[e], id.Name)
		}
	}
	if len(order) == 0 {
		return
	}
	slices.Sort(order)
	w.line("exports: [")
	for _, e := range order {
		w.line("  { %s, accounts: [ %s ] }", e, strings.Join(to[e], ", "))
	}
	w.line("]")
}

// exported are the subjects of an identity that is apart, as exports.
func exported(id Identity) []string {
	if !id.Apart {
		return nil
	}
	var out []string
	for _, s := range id.Publish {
		e := "service: " + strconv.Quote(s)
		if strings.HasPrefix(s, "$JS.API.CONSUMER.MSG.NEXT.") {
			e += ", response_type: stream" // many messages answer one pull
		}
		out = append(out, e)
	}
	for _, s := range heard(id) {
		out = append(out, "stream: "+strconv.Quote(s))
	}
	return out
}

// heard is what an identity may subscribe to but its inbox.
func heard(id Identity) []string {
	return slices.DeleteFunc(slices.Clone(id.Subscribe), func(s string) bool { return strings.HasPrefix(s, InboxPrefix(id.Name)+".") })
}

func (c Config) apart(w *writer, id Identity) {
	w.open(id.Name)
	w.line("users: [")
	w.in++
	c.user(w, id)
	w.in--
	w.line("]")
	w.line("imports: [")
	for _, s := range id.Publish {
		w.line("  { service: { account: KF, subject: %s }, to: %s }", strconv.Quote(s), strconv.Quote(Local(s)))
	}
	for _, s := range heard(id) {
		w.line("  { stream: { account: KF, subject: %s } }", strconv.Quote(s))
	}
	w.line("]")
	w.shut()
}

func (c Config) user(w *writer, id Identity) {
	w.line("{ # %s", id.Name)
	w.in++
	w.line("nkey: %s", c.Keys[id.Name])
	w.open("permissions")
	publish := slices.Clone(id.Publish)
	for i := range publish {
		if id.Apart {
			publish[i] = Local(publish[i])
		}
	}
	w.list("publish", publish)
	w.list("subscribe", id.Subscribe)
	if id.Responds {
		w.line("allow_responses: { max: 1, expires: \"2m\" }")
	}
	w.shut()
	w.in--
	w.line("}")
}
