package kfsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Script is what happens by itself in a run: faults, changes of the personality, jumps of the clock,
// people who act. Make it with ParseScript; the zero value does nothing.
type Script struct{ steps []step }

// step is one action and its cue: a time after the script was loaded, or a number of calls since.
type step struct {
	n      int // from 1
	at     time.Duration
	after  *callCue
	action string
	do     func(*Sim) error
}

// callCue is met when so many calls of a path have been decided.
type callCue struct {
	Path  string `json:"path"` // empty: of any path
	Calls int    `json:"calls"`
}

// ParseScript reads a script: {"steps":[…]}, each step an object with a cue, "at" (a duration like
// "5m" on the virtual clock, since the script was loaded) or "after" ({"path","calls"}), and one
// action with its arguments, which are those of the control API. docs/simulator.md lists the actions.
// The first mistake is an error that names the step and the field; arguments that only the running
// platform can judge, such as the name of a customer, are not looked up.
func ParseScript(b []byte) (Script, error) {
	var file struct {
		Steps []map[string]json.RawMessage `json:"steps"`
	}
	if err := decodeStrict(b, &file); err != nil {
		return Script{}, fmt.Errorf(`script: %w; it is a JSON object {"steps":[…]}`, plainJSON(err))
	}
	if len(file.Steps) == 0 {
		return Script{}, errors.New(`script: steps is missing or empty; write {"steps":[{"at":"0s","fault":{…}}]}`)
	}
	var s Script
	for i, raw := range file.Steps {
		st, err := parseStep(raw)
		if err != nil {
			return Script{}, fmt.Errorf("script step %d: %w", i+1, err)
		}
		st.n = i + 1
		s.steps = append(s.steps, st)
	}
	return s, nil
}

func parseStep(raw map[string]json.RawMessage) (st step, err error) {
	actions := scriptActions()
	for _, name := range sortedKeys(raw) {
		switch parse := actions[name]; {
		case name == "note":
		case name == "at":
			st.at, err = parseAt(raw[name])
		case name == "after":
			st.after, err = parseAfter(raw[name])
		case parse == nil:
			return st, fmt.Errorf("%s: there is no such action; use one of %s", clip(name, 64), strings.Join(sortedKeys(actions), ", "))
		case st.action != "":
			return st, fmt.Errorf("%s: the step has the action %s already; make two steps of it", name, st.action)
		default:
			st.action = name
			st.do, err = parse(raw[name])
		}
		if err != nil {
			return st, fmt.Errorf("%s: %w", name, plainJSON(err))
		}
	}
	switch {
	case raw["at"] != nil && raw["after"] != nil:
		return st, errors.New("at: the step has after as well; give one of them")
	case raw["at"] == nil && raw["after"] == nil:
		return st, errors.New(`at: missing; say when, as "at":"5m" or "after":{"path":"kf/send_msg","calls":3}`)
	case st.action == "":
		return st, errors.New("action: missing; add one of " + strings.Join(sortedKeys(actions), ", "))
	}
	return st, nil
}

func parseAt(raw json.RawMessage) (time.Duration, error) {
	var d textDuration
	if err := decodeStrict(raw, &d); err != nil {
		return 0, err
	}
	if d < 0 {
		return 0, errors.New("it cannot be negative")
	}
	return time.Duration(d), nil
}

func parseAfter(raw json.RawMessage) (*callCue, error) {
	var c callCue
	if err := decodeStrict(raw, &c); err != nil {
		return nil, err
	}
	c.Path = trimPath(c.Path)
	switch {
	case c.Calls < 1:
		return nil, errors.New("calls is a number of calls, 1 or more")
	case c.Path != "" && platformEndpoints()[c.Path].handle == nil:
		return nil, fmt.Errorf("path %q is no path of the platform; write it like kf/send_msg, or leave it out for any", clip(c.Path, 64))
	}
	return &c, nil
}

// plainJSON says what is wrong with JSON in the words of its author, not of Go.
func plainJSON(err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind) && kind.Field == "":
		return fmt.Errorf("a %s cannot stand here", kind.Value)
	case errors.As(err, &kind):
		path := strings.Split(kind.Field, ".")
		path = slices.DeleteFunc(path, func(p string) bool { return strings.HasPrefix(p, "plain") })
		return fmt.Errorf("field %s cannot be a %s", strings.Join(path, "."), kind.Value)
	case errors.As(err, &syntax):
		return fmt.Errorf("no JSON at byte %d: %w", syntax.Offset, syntax)
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}
