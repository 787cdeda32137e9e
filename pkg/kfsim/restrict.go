package kfsim

import (
	"encoding/json"
	"slices"
	"strings"
)

// receivers are the account's servicers, those by their department included.
func (a *account) receivers() []*servicer {
	for _, id := range a.departments {
		d, _ := a.corp.department(id)
		for _, m := range d.Members {
			a.servicer(m)
		}
	}
	return slices.DeleteFunc(slices.Clone(a.servicers), func(m *servicer) bool { return !m.direct && !a.inDepartments(m.userID) })
}

// reach counts a customer who writes to the corp for the first time.
func (c *customer) reach() {
	if c.rank == 0 {
		c.corp.reached++
		c.rank = c.corp.reached
	}
}

// capacity is how many customers the corp may have reached; negative means any number.
//
// https://developer.work.weixin.qq.com/document/path/95149
func (c *corp) capacity(p Personality) int {
	switch {
	case c.Unverified:
		return p.UnverifiedCapacity
	case !c.ChannelsBound:
		return p.VerifiedCapacity
	}
	return -1
}

// restricted decides what the corp's standing and the administrator's settings keep from going out.
func (r *request) restricted(v *conversation, msgType string, m outgoing) answer {
	switch {
	case slices.Contains(v.account.ForbiddenTypes, msgType):
		return refuse(95030, "the Kf component does not let this msgtype out")
	case v.customer.rank > 0 && !fits(v.customer.rank+r.corp.PastCustomers, r.corp.capacity(r.sim.p)):
		return refuse(95003, "the customer is beyond the number that the corp may have reached")
	case msgType == "ca_link" && !within(v.typedAt, windowLength, r.now):
		return refuse(95031, "the customer asked nothing in 48 hours; taps do not count")
	case len(r.corp.ForbiddenWords) > 0 && slices.ContainsFunc(r.corp.ForbiddenWords, func(w string) bool { return strings.Contains(unescaped(m.visible), w) }):
		return refuse(40201, "the message has a forbidden word")
	}
	return answer{}
}

// unescaped is JSON without escapes of letters, so that words can be found in it.
func unescaped(body json.RawMessage) string {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return ""
	}
	return string(marshal(v))
}
