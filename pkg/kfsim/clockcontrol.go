package kfsim

import (
	"errors"
	"time"
)

// clockMove is the body of POST /clock: one of its fields.
type clockMove struct {
	Advance textDuration `json:"advance"`
	Set     time.Time    `json:"set"`
	Speed   *float64     `json:"speed"`
}

func (m clockMove) validate() error {
	given := 0
	for _, there := range []bool{m.Advance != 0, !m.Set.IsZero(), m.Speed != nil} {
		if there {
			given++
		}
	}
	if given != 1 {
		return errors.New(`clock: give one of {"advance":"49h"}, {"set":"2026-01-02T03:04:05Z"} and {"speed":60}`)
	}
	if m.Speed != nil {
		return checkSpeed(*m.Speed)
	}
	return nil
}

func (s *Sim) moveClock(m clockMove) error {
	if err := m.validate(); err != nil {
		return err
	}
	switch {
	case m.Speed != nil:
		return s.clock.SetSpeed(*m.Speed)
	case !m.Set.IsZero():
		s.clock.Set(m.Set)
	default:
		s.clock.Advance(time.Duration(m.Advance))
	}
	return nil
}

func (s *Sim) clockState() any {
	return struct {
		Now    time.Time    `json:"now"`
		Offset textDuration `json:"offset"`
		Speed  float64      `json:"speed"`
	}{s.clock.Now(), textDuration(s.clock.Offset()), s.clock.Speed()}
}
