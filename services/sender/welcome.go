package sender

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/services/sender/window"
)

// WelcomeTeam is the team whose commands the sender's own welcomes are.
const WelcomeTeam = "kfbus"

// welcome answers enter_session with the configured text, by a command like any team's: its id is made from the event, so
// that the event may come again. Where the event gives no code, the customer has been welcomed or has written.
func (s *Sender) welcome(ctx context.Context, in inbound) error {
	var e kfapi.EnterSession
	if in.item.Body(&e) != nil || e.WelcomeCode == "" {
		return nil
	}
	sent := time.Unix(in.item.SendTime, 0)
	if s.clock(window.Ledger{}, false).Platform.Sub(sent) >= codeLife {
		return nil // an old event, read again or late
	}
	body, err := json.Marshal(map[string]any{
		"command_id": "welcome-" + window.MsgID("", WelcomeTeam, in.id), "causationid": in.id, "code": e.WelcomeCode,
		"open_kfid": e.OpenKfID, "touser": e.ExternalUserID, "traceparent": in.trace,
		"msgtype": "text", "text": map[string]string{"content": s.cfg.WelcomeText},
	})
	if err != nil {
		return fmt.Errorf("welcome: %w", err)
	}
	to := events.Subject{Kind: events.KindCommand, Team: WelcomeTeam, Corp: in.who.Corp, Account: in.who.Account, Name: events.VerbReply, User: in.who.User}
	if _, err := s.bus.JS.PublishMsg(ctx, &nats.Msg{Subject: to.String(), Data: body}, jetstream.WithRetryAttempts(1)); err != nil {
		return fmt.Errorf("welcome: %w", bus.Classify(err))
	}
	return nil
}
