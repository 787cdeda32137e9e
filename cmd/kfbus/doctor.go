package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

// A checkup is one thing that a service needs. It may say several things about it.
type checkup struct {
	name string
	run  func(context.Context) []verdict
}

// verdict is one line of the doctor's.
type verdict struct {
	Check  string `json:"check"`
	State  string `json:"state"`
	Detail string `json:"detail"`
	Do     string `json:"do,omitempty"`
}

const (
	stateOK   = "ok"
	stateWarn = "warn" // works, and should be otherwise
	stateFail = "fail"
	stateSkip = "skip" // could not be looked at
)

func fine(format string, a ...any) verdict {
	return verdict{State: stateOK, Detail: fmt.Sprintf(format, a...)}
}
func warning(do, format string, a ...any) verdict {
	return verdict{State: stateWarn, Detail: fmt.Sprintf(format, a...), Do: do}
}
func failing(do, format string, a ...any) verdict {
	return verdict{State: stateFail, Detail: fmt.Sprintf(format, a...), Do: do}
}
func skipped(why string) verdict { return verdict{State: stateSkip, Detail: why} }

func doctorCommand(s std) *cobra.Command {
	c := platformDoctorCommand(s, "doctor", "check what a service needs, and say what to do where something is wrong")
	c.Long = "doctor without more is doctor platform.\n\n" + c.Long
	c.AddCommand(doctorPlatform(s), doctorIngress(s))
	return c
}

// examine runs the checks one after the other and prints a line for each thing they say.
func examine(ctx context.Context, s std, o *output, checks []checkup) error {
	failed := false
	for _, c := range checks {
		for _, v := range c.run(ctx) {
			if v.Check == "" {
				v.Check = c.name
			}
			failed = failed || v.State == stateFail
			text := fmt.Sprintf("%-4s  %-12s  %s", v.State, v.Check, v.Detail)
			if v.Do != "" {
				text += ": " + v.Do
			}
			if err := o.print(s.out, v, text); err != nil {
				return err
			}
		}
	}
	if failed {
		return errSaid
	}
	return nil
}
