package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kfbus/kfbus/pkg/events"
)

// printConversation writes a view for a person, a line for each thing that is known.
func printConversation(w io.Writer, v events.Conversation, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range convRows(v, now) {
		fmt.Fprintf(t, "%s\t%s\n", row[0], printableText(row[1]))
	}
	return t.Flush()
}

// sessionWords are the session states, for people.
func sessionWords(state int) string {
	words := []string{"new", "assistant", "waiting pool", "human", "ended"}
	if state < 0 || state >= len(words) {
		return strconv.Itoa(state)
	}
	return words[state]
}

func convRows(v events.Conversation, now time.Time) [][2]string {
	rows := [][2]string{
		{"conversation", v.OpenKfID + " " + v.ExternalUserID},
		{"window", windowWords(v, now)},
		{"sends left", strconv.Itoa(v.SendsLeft)},
		{"session", holderWords(v)},
		{"generation", strconv.FormatUint(v.Generation, 10)},
	}
	if m := v.LastMessage; m != nil {
		rows = append(rows, [2]string{"last message", strings.TrimSpace(m.At.Local().Format(time.DateTime) + " " + m.MsgType + " " + m.MsgID)})
	}
	if m := v.LastSend; m != nil {
		rows = append(rows, [2]string{"last send", m.At.Local().Format(time.DateTime) + " " + m.MsgID})
	}
	return append(rows, [2]string{"written", v.UpdatedAt.Local().Format(time.DateTime) + ", revision " + strconv.FormatUint(v.Revision, 10)})
}

// convLine is a view on one line.
func convLine(v events.Conversation, now time.Time) string {
	return printableText(fmt.Sprintf("%s %s · %s · %d sends left · window %s", v.OpenKfID, v.ExternalUserID, holderWords(v), v.SendsLeft, windowWords(v, now)))
}

func holderWords(v events.Conversation) string {
	if v.Servicer == "" {
		return sessionWords(v.SessionState)
	}
	return sessionWords(v.SessionState) + " " + v.Servicer
}

func windowWords(v events.Conversation, now time.Time) string {
	switch {
	case v.WindowEndsAt == nil:
		return "never opened"
	case !now.Before(*v.WindowEndsAt):
		return "closed since " + v.WindowEndsAt.Local().Format(time.DateTime)
	}
	return fmt.Sprintf("open until %s, %v left", v.WindowEndsAt.Local().Format(time.DateTime), v.WindowEndsAt.Sub(now).Truncate(time.Minute))
}
