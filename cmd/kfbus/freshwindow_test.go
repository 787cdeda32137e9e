package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// TestLateCallbacks: every callback comes 5 s late, and a bot that knows of the message by other means answers at once.
func TestLateCallbacks(t *testing.T) {
	const customers = 100
	for _, c := range []struct {
		name, wait string
		falseMost  int // refusals of sends that the platform would have taken
		falseLeast int
	}{
		{"held until the account is pulled", "75s", customers / 100, 0},
		{"refused at once", "0s", customers, customers/100 + 1}, // or the test shows nothing
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("KF_SENDER_FRESH_WAIT", c.wait)
			t.Setenv("KF_SYNCER_SWEEP", "10m")
			t.Setenv("KF_SYNCER_ACCOUNT_LIST", "10m")
			s := startStack(t)
			if _, err := s.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultCallbackDelayed, Delay: 5 * time.Second}); err != nil {
				t.Fatal(err)
			}
			outcomes, err := s.nc.SubscribeSync("kf.outcome.bot.>")
			if err != nil {
				t.Fatal(err)
			}
			pulls := s.sim.Calls("kf/sync_msg")
			for i := range customers {
				user := fmt.Sprintf("wmLATE%03d", i)
				if _, err := s.sim.AddCustomer(kfsim.Customer{ExternalUserID: user}); err != nil {
					t.Fatal(err)
				}
				if _, err := s.sim.CustomerSays(s.kf(), user, "在吗"); err != nil {
					t.Fatal(err)
				}
				if err := s.nc.PublishMsg(&nats.Msg{Subject: events.CommandSubject("bot", s.corp(), s.kf(), events.VerbSend, user),
					Header: nats.Header{"Nats-Msg-Id": {user}}, Data: []byte(`{"msgtype":"text","text":{"content":"在的"}}`)}); err != nil {
					t.Fatal(err)
				}
			}
			refused := 0
			for range customers {
				m, err := outcomes.NextMsg(testkit.Patience)
				if err != nil {
					t.Fatal(err)
				}
				switch o := outcome(t, m); o.State {
				case events.StateAccepted:
				case events.StateRefused:
					refused++
				default:
					t.Errorf("%s: %s %s", o.CommandID, o.State, o.Reason)
				}
			}
			if refused > c.falseMost || refused < c.falseLeast {
				t.Errorf("%d of %d are refused although the customer wrote, want %d to %d", refused, customers, c.falseLeast, c.falseMost)
			}
			t.Logf("%d false refusals of %d, %d pulls", refused, customers, s.sim.Calls("kf/sync_msg")-pulls)
		})
	}
}
