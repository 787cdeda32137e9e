package kfsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// scriptAction reads the arguments of an action and returns what it does.
type scriptAction func(raw json.RawMessage) (func(*Sim) error, error)

// scriptActions is the table of what a step can do. Arguments are the bodies of the control API.
func scriptActions() map[string]scriptAction {
	type nothing struct{}
	type byID struct {
		ID string `json:"id"`
	}
	return map[string]scriptAction{
		"fault": act((Fault).checked, func(s *Sim, f Fault) error { return second(s.AddFault(f)) }),
		"remove_fault": act(nil, func(s *Sim, q byID) error {
			if !s.RemoveFault(q.ID) {
				return fmt.Errorf("there is no fault %q, or it is used up", clip(q.ID, 64))
			}
			return nil
		}),
		"remove_faults": act(nil, func(s *Sim, _ nothing) error { s.RemoveFaults(); return nil }),
		"personality":   patching((*Sim).Personality, (*Sim).SetPersonality, Personality{}.withDefaults(), (Personality).validate),
		"callbacks":     patching((*Sim).Callbacks, (*Sim).SetCallbacks, CallbackSwitches{}, (CallbackSwitches).validateAlone),
		"clock":         act((clockMove).validate, (*Sim).moveClock),

		"account":     act(nil, func(s *Sim, a Account) error { return second(s.AddAccount(a)) }),
		"customer":    act(nil, func(s *Sim, c Customer) error { return second(s.AddCustomer(c)) }),
		"servicer":    act(nil, (*Sim).AddServicer),
		"authorize":   act(nil, func(s *Sim, q who) error { return s.Authorize(q.OpenKfID, true) }),
		"deauthorize": act(nil, func(s *Sim, q who) error { return s.Authorize(q.OpenKfID, false) }),

		"say":     act(checkedSay, func(s *Sim, m Say) error { return second(s.Say(m)) }),
		"tap":     act(nil, func(s *Sim, t Tap) error { return second(s.Tap(t)) }),
		"enter":   act(nil, func(s *Sim, m Enter) error { return second(s.Enter(m)) }),
		"recall":  act(nil, (*Sim).Recall),
		"block":   act(nil, (*Sim).Block),
		"fail":    act(nil, (*Sim).FailSend),
		"inject":  act(nil, func(s *Sim, m inject) error { return second(s.Inject(m.OpenKfID, m.Item)) }),
		"hostile": act(nil, func(s *Sim, h Hostile) error { return second(s.Hostile(h)) }),

		"servicer_say":      act(nil, func(s *Sim, m ServicerSay) error { return second(s.ServicerSay(m)) }),
		"servicer_pickup":   act(nil, (*Sim).PickUp),
		"servicer_transfer": act(nil, (*Sim).Transfer),
		"servicer_end":      act(nil, (*Sim).End),
		"servicer_status":   act(nil, (*Sim).ServicerStatus),

		"load":      act((Load).validate, (*Sim).StartLoad),
		"stop_load": act(nil, func(s *Sim, _ nothing) error { s.StopLoad(); return nil }),

		"app_callback":       act(nil, (*Sim).AppCallback),
		"revoke_tokens":      act(nil, func(s *Sim, q who) error { return second(s.RevokeTokens(q.CorpID)) }),
		"expire_sync_tokens": act(nil, func(s *Sim, q who) error { return second(s.ExpireSyncTokens(q.OpenKfID)) }),
	}
}

// act decodes arguments of type T, checks what can be checked before the run, and does something.
func act[T any](check func(T) error, do func(*Sim, T) error) scriptAction {
	return func(raw json.RawMessage) (func(*Sim) error, error) {
		var in T
		if err := strictObject(raw, &in); err != nil {
			return nil, err
		}
		if check != nil {
			if err := check(in); err != nil {
				return nil, err
			}
		}
		return func(s *Sim) error { return do(s, in) }, nil
	}
}

// patching changes the fields that the arguments name and leaves the others as they are then.
func patching[T any](get func(*Sim) T, set func(*Sim, T) error, sample T, check func(T) error) scriptAction {
	return func(raw json.RawMessage) (func(*Sim) error, error) {
		if err := strictObject(raw, &sample); err != nil {
			return nil, err
		}
		if err := check(sample); err != nil {
			return nil, err
		}
		return func(s *Sim) error {
			v := get(s)
			if err := strictObject(raw, &v); err != nil {
				return err
			}
			return set(s, v)
		}, nil
	}
}

func strictObject(raw json.RawMessage, v any) error {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || raw[0] != '{' {
		return errors.New("the arguments are a JSON object")
	}
	return decodeStrict(raw, v)
}

func second[T any](_ T, err error) error { return err }

// inject is any JSON object for an account's history.
type inject struct {
	OpenKfID string          `json:"open_kfid"`
	Item     json.RawMessage `json:"item"`
}

func (f Fault) checked() error {
	f.Path = trimPath(f.Path)
	return f.validate()
}

func checkedSay(m Say) error { return second(checkSay(m)) }

// validateAlone is validate for switches that are added to others: a delay may be set already.
func (c CallbackSwitches) validateAlone() error {
	if c.Reorder && c.Delay == 0 {
		c.Reorder = false
	}
	return c.validate()
}
