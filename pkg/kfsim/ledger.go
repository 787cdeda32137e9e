package kfsim

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// factKind is what statistics count.
type factKind uint8

const (
	factWrote    factKind = iota // a customer wrote; servicer holds the session, if any
	factReplied                  // the API sent a message
	factMoved                    // a session left the assistant for the pool or a servicer
	factTaken                    // a servicer got a session
	factAnswered                 // a servicer wrote
	factRejected                 // a servicer refused a customer's messages
	factInvited                  // a customer was recommended a member or group
	factJoined                   // and took it
	factAsked                    // a customer was asked for a rating
	factRated                    // and gave one
)

// fact is one thing that statistics count.
type fact struct {
	kind     factKind
	at       time.Time
	v        *conversation
	session  int // of the conversation
	servicer string
	detail   int           // upgradeMember or upgradeGroup; or an index into ratings
	question bool          // of factWrote: it came while the assistant held the session
	hit      bool          // and the knowledge base knows it
	first    bool          // of factAnswered: the servicer's first message of the session
	after    time.Duration // and how long the session had waited for it
}

func (s *Sim) record(v *conversation, f fact) {
	f.at, f.v, f.session = s.clock.Now(), v, v.session
	v.account.facts = append(v.account.facts, f)
}

func (s *Sim) recordMessage(v *conversation, m Say) {
	f := fact{kind: factWrote}
	switch v.state {
	case stateHuman:
		f.servicer = v.servicer
	case stateNew, stateBot:
		k := &v.account.corp.knowledge
		var body struct {
			Content string `json:"content"`
		}
		if m.MsgType == "text" && len(k.intents) > 0 && json.Unmarshal(m.Body, &body) == nil {
			f.question, f.hit = true, k.knows(body.Content)
		}
	}
	s.record(v, f)
}

func (s *Sim) recordState(v *conversation, from, to int) {
	if (from == stateNew || from == stateBot) && (to == statePool || to == stateHuman) {
		s.record(v, fact{kind: factMoved})
	}
	if to == stateHuman {
		v.takenAt, v.answered = s.clock.Now(), false
		s.record(v, fact{kind: factTaken, servicer: v.servicer})
	}
}

func (s *Sim) recordAnswer(v *conversation) {
	s.record(v, fact{kind: factAnswered, servicer: v.servicer, first: !v.answered, after: s.clock.Now().Sub(v.takenAt)})
	v.answered = true
}

// Ratings a customer may give.
const (
	RatingSatisfied    = "satisfied"
	RatingMiddling     = "middling"
	RatingDissatisfied = "dissatisfied"
)

// Rating is a servicer's request for a rating, with the customer's answer.
type Rating struct {
	OpenKfID       string `json:"open_kfid"`
	ExternalUserID string `json:"external_userid"`
	UserID         string `json:"userid"`           // of the servicer
	Rating         string `json:"rating,omitempty"` // satisfied, middling, dissatisfied; empty: the customer gave none
}

// Rate lets a servicer ask for a rating. It makes no message and no event: it shows in the
// servicer's statistics.
func (s *Sim) Rate(m Rating) error {
	given := slices.Index([]string{RatingSatisfied, RatingMiddling, RatingDissatisfied}, m.Rating)
	if given < 0 && m.Rating != "" {
		return fmt.Errorf("rating is %q; use satisfied, middling, dissatisfied, or leave it out", clip(m.Rating, 64))
	}
	return s.act(ServicerAct{OpenKfID: m.OpenKfID, ExternalUserID: m.ExternalUserID, UserID: m.UserID}, func(v *conversation, _ int) error {
		s.record(v, fact{kind: factAsked, servicer: m.UserID})
		if given >= 0 {
			s.record(v, fact{kind: factRated, servicer: m.UserID, detail: given})
		}
		s.journal.add(Entry{Kind: KindRating, CorpID: v.account.CorpID, OpenKfID: m.OpenKfID, ExternalUserID: m.ExternalUserID, ServicerUserID: m.UserID, Reason: m.Rating})
		return nil
	})
}
