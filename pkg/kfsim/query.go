package kfsim

import "time"

// Served returns the ids of an account's items that were in a page at least once, in the order of
// the history. An item counts when its page was put together, even if a fault kept the answer back.
func (s *Sim) Served(openKfID string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []string{}
	if a := s.st.accounts[openKfID]; a != nil {
		for _, it := range a.log.items {
			if it.served {
				list = append(list, it.id)
			}
		}
	}
	return list
}

// Accepted returns every message the platform accepted from the API, in order, with what became of it.
func (s *Sim) Accepted() []Send {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Send, 0, len(s.st.sends))
	for _, m := range s.st.sends {
		list = append(list, m.Send)
	}
	return list
}

// AcceptedPerWindow counts the accepted messages of each window they were counted in.
func (s *Sim) AcceptedPerWindow() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := map[string]int{}
	for _, m := range s.st.sends {
		if m.Window != "" {
			count[m.Window]++
		}
	}
	return count
}

// CorpState is a corp without its secrets.
type CorpState struct {
	CorpID         string    `json:"corpid"`
	AgentID        string    `json:"agentid,omitempty"`
	CallbackURL    string    `json:"callback_url,omitempty"`
	CallbackFormat string    `json:"callback_format"`
	Accounts       []Account `json:"accounts"`
	Customers      int       `json:"customers"`
	Media          int       `json:"media"`
}

// State is an overview of the platform.
type State struct {
	Now              time.Time      `json:"now"` // by the virtual clock
	Corps            []CorpState    `json:"corps"`
	Conversations    []Conversation `json:"conversations"`
	Faults           []Fault        `json:"faults"`
	Items            int            `json:"items"`
	Accepted         int            `json:"accepted"`
	PendingCallbacks int            `json:"pending_callbacks"`
}

// State returns an overview without secrets; corps and conversations are sorted by id.
func (s *Sim) State() State {
	faults := s.Faults()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	out := State{Now: now, Corps: []CorpState{}, Conversations: []Conversation{}, Faults: faults, Accepted: len(s.st.sends), PendingCallbacks: len(s.st.callbacks) + s.st.delivering}
	for _, id := range sortedKeys(s.st.corps) {
		c := s.st.corps[id]
		row := CorpState{c.CorpID, c.AgentID, c.CallbackURL, c.CallbackFormat, []Account{}, len(c.customers), len(c.media)}
		for _, a := range c.accounts {
			row.Accounts = append(row.Accounts, a.Account)
			out.Items += len(a.log.items)
			for _, user := range sortedKeys(a.conversations) {
				out.Conversations = append(out.Conversations, a.conversations[user].view(now))
			}
		}
		out.Corps = append(out.Corps, row)
	}
	return out
}
